"""No turn's text is lost, whatever the chat template does with it; a template that can't serve is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from judges.backends.local_model import prompt_tokens
from judges.errors import ConfigError
from judges.models import rendering
from judges.models.rendering import (
    AS_IT_IS,
    LostTextError,
    RenderingError,
    Way,
    folded,
    lost_turns,
    renderer_of,
)
from judges.output.notices import listen
from judges.records import Conversation, Message
from tests.chat_templates import CHATML, DEEPSEEK_R1_DISTILLED, FIRST_PHI_3, QWEN_3, REFUSED, SERVED
from tests.tiny_models import TRAINING_TEXT, train_tokenizer

RULES = Message("system", 'Explain, <explanation>…</explanation>, and choose.\n\n  It\'s "that" & no more.')
QUESTION = Message("user", "Which is an animal?\nA) a cat\nB) a 'stone'\n")
SHOWN = (
    Message("user", "Which one is cold?\nA) ice\nB) fire"),
    Message("assistant", "<explanation>\nIce is frozen.\n</explanation>\n<choice>A</choice>"),
)
CONVERSATIONS: dict[str, Conversation] = {
    "system and user": (RULES, QUESTION),
    "user alone": (QUESTION,),
    "examples before": (
        RULES,
        *SHOWN,
        Message("user", "Which one is wet?\nA) a"),
        Message("assistant", "A"),
        QUESTION,
    ),
    "examples before, no system": (*SHOWN, QUESTION),
}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return train_tokenizer(TRAINING_TEXT, 512, 4096, None)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What users are told from here on."""
    lines: list[str] = []
    monkeypatch.setattr(rendering, "_told", set())
    monkeypatch.setattr("judges.output.notices._listener", print)  # put back afterwards
    listen(lines.append)
    return lines


@pytest.mark.parametrize("shape", CONVERSATIONS)
@pytest.mark.parametrize("name", SERVED)
def test_every_text_reaches_the_prompt(tokenizer: Any, name: str, shape: str) -> None:
    template, way = SERVED[name]
    conversation = CONVERSATIONS[shape]
    text = tokenizer.decode(prompt_tokens(tokenizer, conversation, template, {}))
    for turn in conversation:
        for line in turn.content.strip().splitlines():
            assert line.strip() in text
    has_system = conversation[0] == RULES
    expected = way if has_system else Way(parts=way.parts)
    assert renderer_of(tokenizer, template).way(conversation) == expected
    if expected == AS_IT_IS:
        turns = [{"role": turn.role, "content": turn.content} for turn in conversation]
        own = tokenizer.apply_chat_template(
            turns, chat_template=template, add_generation_prompt=True, tokenize=False
        )
        assert text == own


def test_folded_text_stands_at_the_head_of_the_first_user_turn(tokenizer: Any) -> None:
    text = renderer_of(tokenizer, FIRST_PHI_3).prompt(CONVERSATIONS["examples before"])
    assert text.startswith(f"<|user|>\n{RULES.content}\n\n{SHOWN[0].content}<|end|>")
    assert text.endswith(f"<|user|>\n{QUESTION.content}<|end|>\n<|assistant|>\n")


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_cannot_serve_is_refused_in_one_line(tokenizer: Any, name: str) -> None:
    template, problem = REFUSED[name]
    conversation = (RULES, *SHOWN, QUESTION)
    with pytest.raises(RenderingError, match=re.escape(problem)) as caught:
        prompt_tokens(tokenizer, conversation, template, {})
    assert isinstance(caught.value, ConfigError)
    assert "\n" not in str(caught.value)
    assert "give another one as chat_template" in str(caught.value)


def test_how_turns_are_handed_over_is_said_once(tokenizer: Any, told: list[str]) -> None:
    template = FIRST_PHI_3 + "{# a template of its own #}"
    for conversation in CONVERSATIONS.values():
        renderer_of(tokenizer, template).prompt(conversation)
        renderer_of(tokenizer, CHATML).prompt(conversation)
    assert told == [
        "the chat template loses or changes text (turns: system); so the system text goes into the user "
        "turn, in judging, training and evaluation alike"
    ]


def test_a_text_that_one_template_alone_changes_is_that_prompts_problem(tokenizer: Any) -> None:
    """The template serves; what it does to this one text shows when it is rendered."""
    censored = CHATML.replace("m['content']", "m['content'] | replace('stone', '*')")
    with pytest.raises(LostTextError, match=r"changes a user's text: .Which is an animal"):
        renderer_of(tokenizer, censored).prompt((RULES, QUESTION))
    assert "hello" in renderer_of(tokenizer, censored).prompt((RULES, Message("user", "hello")))


def test_thoughts_of_earlier_turns_may_be_cut_but_not_what_was_said(tokenizer: Any) -> None:
    thought = Message("assistant", "<think>\nIce is cold.\n</think>\n\n<choice>A</choice>")
    conversation = (SHOWN[0], thought, QUESTION)
    for template in (QWEN_3, DEEPSEEK_R1_DISTILLED):
        text = renderer_of(tokenizer, template).prompt(conversation)
        assert "Ice is cold." not in text
        assert "<choice>A</choice>" in text
    with pytest.raises(LostTextError, match="changes an assistant's text: '<think>"):
        renderer_of(tokenizer, DEEPSEEK_R1_DISTILLED).with_reply((QUESTION,), thought.content)


def test_variables_of_the_template_reach_it(tokenizer: Any) -> None:
    plain = renderer_of(tokenizer, QWEN_3).prompt((QUESTION,))
    quiet = renderer_of(tokenizer, QWEN_3, {"enable_thinking": False}).prompt((QUESTION,))
    assert quiet == f"{plain}<think>\n\n</think>\n\n"


def test_another_template_on_the_same_tokenizer_is_found_out_anew(tokenizer: Any) -> None:
    own = train_tokenizer(TRAINING_TEXT, 512, 4096, FIRST_PHI_3)
    assert renderer_of(own).way((RULES, QUESTION)).folds
    own.chat_template = CHATML
    assert renderer_of(own).way((RULES, QUESTION)) == AS_IT_IS
    assert renderer_of(own, FIRST_PHI_3).way((RULES, QUESTION)).folds


def test_folding_loses_nothing_and_lets_turns_alternate() -> None:
    u, s = (lambda text: Message("user", text)), (lambda text: Message("system", text))
    assert folded((s("a"), u("b"))) == (u("a\n\nb"),)
    assert folded((s("a"), s("b"), u("c"), u("d"))) == (u("a\n\nb\n\nc\n\nd"),)
    assert folded((u("a"), Message("assistant", "b"), s("c"), u("d"))) == (
        u("a"),
        Message("assistant", "b"),
        u("c\n\nd"),
    )
    assert folded((u("a"), s("b"))) == (u("a"), s("b"))  # nowhere to go: for the check to find


def test_texts_are_looked_for_in_their_order() -> None:
    turns = (Message("user", "one"), Message("assistant", "two"))
    assert lost_turns("<one> <two>", turns) == []
    assert lost_turns("<two> <one>", turns) == [turns[1]]
    assert lost_turns("<one>", (turns[0], turns[0])) == [turns[0]]
    assert lost_turns(" a\n   b ", (Message("user", "a b\n"),)) == []
    # Some templates put the system text behind everything else.
    assert lost_turns("one, two, rules", (Message("system", "rules"), *turns)) == []
