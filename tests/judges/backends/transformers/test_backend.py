"""The transformers backend with real models of 0.2M parameters."""

from __future__ import annotations

import re
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from judges import (
    BackendError,
    ChatBackend,
    ConfigError,
    Failure,
    Message,
    OutputForm,
    Reply,
    Sampling,
    answer_all,
)
from judges.backends.local_model import prompt_tokens
from judges.backends.transformers.backend import TransformersBackend, _SeededDraw, create
from judges.config import load_judge
from judges.models.thoughts import said
from tests.chat_templates import DEEPSEEK_R1_DISTILLED, REFUSED
from tests.judges.backends.asking import LETTERS, VERDICTS, ask, peft_greedy, texts
from tests.tiny_models import CHAT_TEMPLATE, make_tiny_model

SEEDED = Sampling(n=3, temperature=1.0, top_p=0.9, max_tokens=12, seed=7)


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> TransformersBackend:
    return create({"model": str(tiny_model), "device": "cpu"})


def test_is_a_backend(backend: TransformersBackend) -> None:
    assert isinstance(backend, ChatBackend)


def test_more_conversations_than_a_window_are_answered_once_each(tiny_model: Path) -> None:
    with create({"model": str(tiny_model), "device": "cpu", "batch_size": 4}) as small:
        conversations = (ask("word " * (i % 7)) for i in range(150))
        indices = [index for index, _ in small.replies(conversations, Sampling(max_tokens=2))]
    assert sorted(indices) == list(range(150))


def test_greedy_text_is_that_of_generate_whatever_the_padding(
    backend: TransformersBackend, tiny_model: Path
) -> None:
    conversations = [ask("a"), ask("a much longer question " * 9), ask("Which?")]
    outcomes = answer_all(backend, conversations, Sampling(max_tokens=10))
    for conversation, outcome in zip(conversations, outcomes, strict=True):
        assert texts(outcome) == [peft_greedy(tiny_model, None, conversation, 10)]


def test_adapter_speaks_as_with_peft(
    backend: TransformersBackend, tiny_model: Path, tiny_adapter: Path
) -> None:
    adapted = create({"model": str(tiny_model), "adapter": str(tiny_adapter), "device": "cpu"})
    (outcome,) = answer_all(adapted, [ask("x")], Sampling(max_tokens=10))
    assert texts(outcome) == [peft_greedy(tiny_model, tiny_adapter, ask("x"), 10)]
    (plain,) = answer_all(backend, [ask("x")], Sampling(max_tokens=10))
    assert texts(outcome) != texts(plain)
    assert adapted.identity != backend.identity


def test_same_seed_same_texts_whatever_shares_the_batch(
    backend: TransformersBackend, tiny_model: Path
) -> None:
    (alone,) = answer_all(backend, [ask("x")], SEEDED)
    crowd = answer_all(backend, [ask("q " * i) for i in range(9)] + [ask("x")], SEEDED)
    assert texts(crowd[-1]) == texts(alone)
    assert len(set(texts(alone))) == 3
    one_by_one = create({"model": str(tiny_model), "device": "cpu", "batch_size": 1})
    assert texts(answer_all(one_by_one, [ask("x")], SEEDED)[0]) == texts(alone)
    (other,) = answer_all(backend, [ask("x")], Sampling(n=3, temperature=1.0, max_tokens=12, seed=8))
    assert texts(other) != texts(alone)


def test_without_a_seed_every_draw_is_new(backend: TransformersBackend) -> None:
    unseeded = Sampling(temperature=1.0, max_tokens=12)
    first, second = answer_all(backend, [ask("x"), ask("x")], unseeded)
    assert texts(first) != texts(second)


@pytest.mark.parametrize("form", [VERDICTS, LETTERS], ids=["lines", "letters"])
def test_an_untrained_model_keeps_the_form(backend: TransformersBackend, form: OutputForm) -> None:
    pytest.importorskip("xgrammar")
    sampling = Sampling(n=4, temperature=1.0, max_tokens=80, seed=1, form=form)
    for outcome in answer_all(backend, [ask("judge this"), ask("judge that one")], sampling):
        assert isinstance(outcome, Reply)
        for completion in outcome.completions:
            assert re.fullmatch(form.regex, completion.text)
            assert completion.finish_reason == "stop"


def test_stop_strings_usage_and_finish_reason(backend: TransformersBackend) -> None:
    (whole,) = answer_all(backend, [ask("x")], Sampling(max_tokens=30))
    assert isinstance(whole, Reply)
    assert whole.completions[0].finish_reason == "length"
    assert whole.usage is not None
    assert whole.usage.completion_tokens == 30
    stop = whole.text[10:12]
    (cut,) = answer_all(backend, [ask("x")], Sampling(max_tokens=30, stop=(stop,)))
    assert isinstance(cut, Reply)
    assert cut.text == whole.text.partition(stop)[0]
    assert cut.completions[0].finish_reason == "stop"


def test_a_prompt_too_long_fails_alone_and_a_long_one_gets_what_room_there_is(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "short", max_positions=64)
    with create({"model": str(model), "device": "cpu"}) as backend:
        shortest = len(prompt_tokens(backend_tokenizer(model), ask(""), None, {}))
        nearly = ask("!" * (64 - shortest - 5))
        outcomes = answer_all(backend, [ask("a"), ask("word " * 200), nearly], Sampling(max_tokens=30))
    assert isinstance(outcomes[1], Failure)
    assert "the model takes 64" in outcomes[1].message
    assert isinstance(outcomes[0], Reply)
    assert isinstance(outcomes[2], Reply)
    assert outcomes[2].usage is not None
    assert outcomes[2].usage.prompt_tokens + outcomes[2].usage.completion_tokens == 64


def test_chat_template_of_ones_own(tmp_path: Path) -> None:
    bare = make_tiny_model(tmp_path / "bare", chat_template=None)
    with pytest.raises(ConfigError, match="has no chat template"):
        create({"model": str(bare)})
    template = tmp_path / "template.jinja"
    template.write_text(CHAT_TEMPLATE)
    (outcome,) = answer_all(
        create({"model": str(bare), "chat_template": str(template), "device": "cpu"}), [ask("x")], Sampling()
    )
    assert isinstance(outcome, Reply)


def test_a_template_without_system_turns_gets_the_system_text_in_the_users(tiny_model: Path) -> None:
    refusing = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHAT_TEMPLATE
    tokenizer = backend_tokenizer(tiny_model)
    tokens = prompt_tokens(tokenizer, (Message("system", "Be kind."), Message("user", "Hi")), refusing, {})
    assert tokenizer.decode(tokens) == ("<|im_start|>user\nBe kind.\n\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_weights_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    model = make_tiny_model(tmp_path / "broken")
    (model / "model.safetensors").unlink()
    with pytest.raises(BackendError, match="can't be loaded") as raised:
        answer_all(create({"model": str(model), "device": "cpu"}), [ask("x")], Sampling())
    assert "\n" not in str(raised.value)


def test_close_frees_the_model_and_a_later_question_loads_it_again(tiny_model: Path) -> None:
    backend = create({"model": str(tiny_model), "device": "cpu"})
    before = answer_all(backend, [ask("x")], Sampling(max_tokens=4))
    assert backend._model is not None
    model = weakref.ref(backend._model._model)
    backend.close()
    assert model() is None
    assert texts(answer_all(backend, [ask("x")], Sampling(max_tokens=4))[0]) == texts(before[0])


@settings(deadline=None, max_examples=50)
@given(
    weights=st.lists(st.integers(0, 5), min_size=2, max_size=9).filter(any),
    seed=st.integers(0, 2**62),
)
def test_draws_have_the_model_s_distribution(weights: list[int], seed: int) -> None:
    draws = 4000
    draw = _SeededDraw([(seed, sample) for sample in range(draws)], prompt_width=1, tokens=1)
    scores = torch.log(torch.tensor(weights, dtype=torch.float32)).expand(draws, -1)
    drawn = draw(torch.zeros((draws, 1), dtype=torch.long), scores).argmax(dim=-1).numpy()
    counts = np.bincount(drawn, minlength=len(weights))
    expected = draws * np.array(weights) / sum(weights)
    assert (counts[np.array(weights) == 0] == 0).all()
    # Six standard deviations of a binomial count.
    assert (np.abs(counts - expected) <= 6 * np.sqrt(expected) + 1e-9).all()


def backend_tokenizer(model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model)


def test_a_thought_that_the_prompt_opens_belongs_to_the_reply(tmp_path: Path) -> None:
    """Else nobody could tell a thought that was cut from a reply; what is held to a form has none."""
    model = make_tiny_model(tmp_path / "thinking", chat_template=DEEPSEEK_R1_DISTILLED)
    form = OutputForm("(yes|no)", "{}")
    with create({"model": str(model), "device": "cpu"}) as backend:
        (free,) = answer_all(backend, [ask("x")], Sampling(max_tokens=4, thinking_tokens=3))
        (held,) = answer_all(backend, [ask("x")], Sampling(max_tokens=4, form=form))
    assert isinstance(free, Reply)
    assert free.usage is not None
    assert free.usage.completion_tokens == 7
    assert free.text.startswith("<think>\n")
    assert said(free.text).cut
    assert texts(held)[0] in {"yes", "no"}


def test_a_judge_that_may_think_here_is_not_held_to_the_form(tmp_path: Path, tiny_model: Path) -> None:
    for tokens, held in ((0, True), (8, False)):
        given = {
            "backend": "transformers",
            "model": str(tiny_model),
            "device": "cpu",
            "thinking_tokens": tokens,
        }
        with load_judge(given, cache=None) as judge:
            assert (judge.sampling.form is not None) == held
            assert judge.info.constrained == held


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_loses_text_ends_the_judging(tmp_path: Path, name: str) -> None:
    """It would lose that of every conversation: nobody is judged by a judge who sees nothing."""
    template, _ = REFUSED[name]
    model = make_tiny_model(tmp_path / "model", chat_template=template)
    asked = (*ask("x"), Message("assistant", "y"), *ask("z"))
    with (
        create({"model": str(model), "device": "cpu"}) as backend,
        pytest.raises(ConfigError, match=r"the chat template (loses|refuses)"),
    ):
        answer_all(backend, [asked], Sampling(max_tokens=2))
