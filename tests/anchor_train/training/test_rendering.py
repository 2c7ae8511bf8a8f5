"""What is shown of an example is what the trainers train on, after the prompt that evaluation sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.records import PreferenceExample, SftExample, conversation_to_json
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.rendering import (
    TokenisedExample,
    TokenisedPair,
    fit,
    prompt_ids,
    show_example,
    tokenise_example,
    tokenise_pair,
)
from judges.backends.local_model import prompt_tokens
from judges.errors import ConfigError
from judges.records import Message
from tests.anchor_train.small_training import (
    dpo_settings,
    job_of,
    preference_examples,
    prompt,
    sft_examples,
    sft_settings,
    trainer_of,
)
from tests.chat_templates import DEEPSEEK_R1_DISTILLED, QWEN_3, SERVED
from tests.tiny_models import make_tiny_model


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    return load_tokenizer(ModelSettings(name=str(tiny_model)))


def test_the_loss_is_on_the_target_and_its_end_of_turn(tokenizer: Any) -> None:
    example = tokenise_example(tokenizer, SftExample("q", prompt("cat"), "B) four"))
    assert tokenizer.decode(list(example.completion_ids)) == "B) four<|im_end|>\n"
    assert tokenizer.decode(list(example.prompt_ids)).endswith("B) four<|im_end|>\n<|im_start|>assistant\n")
    assert [label for label in example.labels if label != -100] == list(example.completion_ids)
    assert "[<|im_end|>][⏎]" in show_example(tokenizer, example)


@pytest.mark.parametrize("first", ["<choice>B</choice>", "  a reply that was\n cut ", "müde ü"])
@pytest.mark.parametrize("rest", ["\n<principle>Say why.</principle>", " and so on", "xyz"])
def test_what_a_reply_begins_with_is_given_and_only_the_rest_learnt(
    tokenizer: Any, first: str, rest: str
) -> None:
    example = SftExample("q", prompt("cat"), rest, first)
    assert SftExample.from_json(example.to_json()) == example
    found = tokenise_example(tokenizer, example)
    whole = tokenise_example(tokenizer, SftExample("q", prompt("cat"), first + rest))
    assert (*found.prompt_ids, *found.completion_ids) == (*whole.prompt_ids, *whole.completion_ids)
    given = found.prompt_ids[len(whole.prompt_ids) :]
    learnt = tokenizer.decode(list(found.completion_ids))
    assert tokenizer.decode(list(given)) + learnt == f"{first}{rest}<|im_end|>\n"
    assert found.labels == [-100] * len(found.prompt_ids) + list(found.completion_ids)
    # All of the rest is learnt, and of what was given at most the token that goes on into the rest.
    assert learnt.endswith(f"{rest}<|im_end|>\n")
    assert tokenizer.decode(list(found.completion_ids[1:])) in f"{rest}<|im_end|>\n"


def test_going_on_instead_of_ending_is_learnt(tokenizer: Any) -> None:
    """The first token of the rest stands where the end of turn would."""
    given, rest = "<choice>B</choice>", "\n<principle>Say why.</principle>"
    found = tokenise_example(tokenizer, SftExample("q", prompt("cat"), rest, given))
    ended = tokenise_example(tokenizer, SftExample("q", prompt("cat"), given))
    place = len(found.prompt_ids) - len(ended.prompt_ids)
    assert tokenizer.decode([ended.completion_ids[place]]) == "<|im_end|>"
    assert tokenizer.decode([found.completion_ids[0]]).startswith("\n")


def test_a_tokenizer_that_reads_a_beginning_otherwise_is_refused(tokenizer: Any) -> None:
    class Whimsical:
        """Its template ends a reply with the first character alone as if it were another text."""

        chat_template = tokenizer.chat_template

        def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
            return tokenizer(text, add_special_tokens=add_special_tokens)

        def decode(self, token_ids: list[int], **options: Any) -> Any:
            return tokenizer.decode(token_ids, **options)

        def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
            last = conversation[-1]
            if last["role"] == "assistant" and last["content"].endswith("end"):
                conversation = [*conversation[:-1], {**last, "content": "? " + last["content"]}]
            return tokenizer.apply_chat_template(conversation, **options)

    with pytest.raises(ConfigError, match="reads 'How it begins' otherwise when it goes on"):
        tokenise_example(Whimsical(), SftExample("q", prompt("cat"), " and its end", "How it begins"))


def test_the_prompt_is_the_one_that_evaluation_sends(tokenizer: Any) -> None:
    text = tokenizer.apply_chat_template(
        conversation_to_json(prompt("cat")), tokenize=False, add_generation_prompt=True
    )
    assert (
        list(prompt_ids(tokenizer, prompt("cat"))) == tokenizer(text, add_special_tokens=False)["input_ids"]
    )


TEMPLATES = {
    "with a variable": (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% if not thinking %}<no thoughts>{% endif %}{% endif %}"
    ),
    "without system turns": (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    ),
}


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("thinking", [True, False])
def test_training_renders_a_prompt_as_sampling_does(
    tiny_model: Path, tmp_path: Path, name: str, thinking: bool
) -> None:
    """The trap of a chat template that differs between training and use: variables, refused system turns."""
    template = tmp_path / "chat.jinja"
    template.write_text(TEMPLATES[name])
    variables = {"thinking": thinking}
    settings = ModelSettings(name=str(tiny_model), chat_template=template, chat_template_kwargs=variables)
    conversation = (Message("system", "Explain."), Message("user", "Is a cat an animal?"))
    plain = load_tokenizer(ModelSettings(name=str(tiny_model)))
    sampled = prompt_tokens(plain, conversation, TEMPLATES[name], variables)
    trained = load_tokenizer(settings)
    assert list(prompt_ids(trained, conversation)) == sampled
    assert ("<no thoughts>" in plain.decode(sampled)) == (name == "with a variable" and not thinking)
    example = tokenise_example(trained, SftExample("q", conversation, "Yes."))
    assert trained.decode(list(example.completion_ids)).startswith("Yes.")


def test_the_sft_trainer_trains_on_exactly_these_tokens(
    tiny_model: Path, tokenizer: Any, tmp_path: Path
) -> None:
    from trl import SFTTrainer

    model = ModelSettings(name=str(tiny_model))
    examples = [tokenise_example(tokenizer, example) for example in sft_examples()]
    trainer = trainer_of(job_of(sft_settings(), model, sft_examples(), tmp_path))
    shown = {(*example.prompt_ids, *example.completion_ids): example.labels for example in examples}
    assert {tuple(row["input_ids"]): row["labels"] for row in trainer.train_dataset} == shown

    batch = next(iter(trainer.get_train_dataloader()))
    for ids, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
        length = int(mask.sum())
        assert labels[:length].tolist() == shown[tuple(ids[:length].tolist())]
        assert set(labels[length:].tolist()) <= {-100}

    # TRL, given the conversations, comes to the same tokens and labels.
    from datasets import Dataset

    rows = [
        {
            "prompt": conversation_to_json(example.prompt),
            "completion": [{"role": "assistant", "content": example.target}],
        }
        for example in sft_examples()
    ]
    theirs = SFTTrainer(
        model=trainer.model.get_base_model(),
        args=trainer.args,
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    assert {tuple(row["input_ids"]): row["labels"] for row in theirs.train_dataset} == shown


def test_the_dpo_trainer_trains_on_exactly_these_tokens(
    tiny_model: Path, tiny_adapter: Path, tokenizer: Any, tmp_path: Path
) -> None:
    from datasets import Dataset
    from trl import DPOTrainer

    model, settings = ModelSettings(name=str(tiny_model)), dpo_settings(precompute_reference=False)
    pairs = [tokenise_pair(tokenizer, pair) for pair in preference_examples()]
    trainer = trainer_of(job_of(settings, model, preference_examples(), tmp_path, tiny_adapter))
    batch = next(iter(trainer.get_train_dataloader()))
    shown = {
        (*side.prompt_ids, *side.completion_ids): [0] * len(side.prompt_ids) + [1] * len(side.completion_ids)
        for pair in pairs
        for side in pair.sides
    }
    for ids, attended, trained in zip(
        batch["input_ids"], batch["attention_mask"], batch["completion_mask"], strict=True
    ):
        length = int(attended.sum())
        assert trained[:length].tolist() == shown[tuple(ids[:length].tolist())]

    rows = [
        {
            "prompt": conversation_to_json(pair.prompt),
            "chosen": [{"role": "assistant", "content": pair.chosen}],
            "rejected": [{"role": "assistant", "content": pair.rejected}],
        }
        for pair in preference_examples()
    ]
    theirs = DPOTrainer._prepare_dataset(trainer, Dataset.from_list(rows), tokenizer, trainer.args, "train")
    columns = ("prompt_ids", "chosen_ids", "rejected_ids")
    assert [[row[name] for name in columns] for row in theirs] == [
        [row[name] for name in columns] for row in trainer.train_dataset
    ]


def test_tokens_that_would_merge_across_the_border_leave_the_prompt_whole(tokenizer: Any) -> None:
    borderless = _with_template(tokenizer, "{% if add_generation_prompt %}Ch{% endif %}", before="Ch")
    example = tokenise_example(borderless, SftExample("q", prompt("cat"), "oices: A"))
    assert example.prompt_ids == prompt_ids(borderless, prompt("cat"))
    assert borderless.decode(list(example.completion_ids)) == "oices: A<|im_end|>"


def test_a_template_that_shows_history_differently_still_gets_the_evaluated_prompt(tokenizer: Any) -> None:
    thinking = _with_template(
        tokenizer, "{% if add_generation_prompt %}assistant <think></think>{% endif %}", before="assistant "
    )
    example = tokenise_example(thinking, SftExample("q", prompt("cat"), "B) four"))
    assert thinking.decode(list(example.prompt_ids)).endswith("assistant <think></think>")
    assert thinking.decode(list(example.completion_ids)) == "B) four<|im_end|>"


def test_thinking_is_neither_learnt_nor_unlearnt(tiny_model: Path) -> None:
    """A reply is learnt after the thought, which isn't: an empty think block belongs to the prompt."""
    pair = PreferenceExample("q", prompt("cat"), "<choice>A</choice>", "<choice>B</choice>")
    for template, asked_ends, block in (
        (DEEPSEEK_R1_DISTILLED, "<|Assistant|><think>\n", "\n</think>\n\n"),  # opened by the prompt: closed
        (QWEN_3, "<|im_start|>assistant\n", "<think>\n\n</think>\n\n"),  # written by the template itself
    ):
        model = load_tokenizer(ModelSettings(name=str(tiny_model)))
        model.chat_template = template
        asked = model.decode(list(prompt_ids(model, pair.prompt)))
        assert asked.endswith(asked_ends)
        found = tokenise_pair(model, pair)
        assert model.decode(list(found.prompt_ids)) == asked + block
        assert model.decode(list(found.chosen_ids)).rstrip() == "<choice>A</choice><|im_end|>"
        assert model.decode(list(found.rejected_ids)).rstrip() == "<choice>B</choice><|im_end|>"
        answer = tokenise_example(model, SftExample("q", pair.prompt, "</choice>", "<choice>A"))
        assert model.decode(list(answer.prompt_ids)).startswith(asked + block)


@pytest.mark.parametrize("name", SERVED)
def test_every_template_that_serves_can_be_trained_on(tiny_model: Path, name: str) -> None:
    model = load_tokenizer(ModelSettings(name=str(tiny_model)))
    model.chat_template = SERVED[name][0]
    reply = "<explanation>\nCats are animals.\n</explanation>\n<choice>A</choice>"
    found = tokenise_example(model, SftExample("q", prompt("cat"), reply))
    asked = prompt_ids(model, prompt("cat"))
    assert found.prompt_ids[: len(asked)] == asked
    assert reply in model.decode(list(found.completion_ids))


def test_templates_that_cannot_serve_are_refused(tokenizer: Any, tmp_path: Path) -> None:
    shouting = _with_template(tokenizer, "", before="", content="message['content'] | upper")
    with pytest.raises(ConfigError, match="changes an assistant's text"):
        tokenise_example(shouting, SftExample("q", (Message("user", "hello"),), "B) four"))

    userless = _with_template(tokenizer, "", before="")
    userless.chat_template = "{{ raise_exception('no system turn here') }}"
    with pytest.raises(ConfigError, match="refuses the turns system, user: no system turn here"):
        prompt_ids(userless, prompt("cat"))

    without = make_tiny_model(tmp_path / "bare", chat_template=None)
    with pytest.raises(ConfigError, match=r"no chat template: give one as model\.chat_template"):
        load_tokenizer(ModelSettings(name=str(without)))
    (tmp_path / "chat.jinja").write_text("{{ messages[0]['content'] }}")
    given = ModelSettings(name=str(without), chat_template=tmp_path / "chat.jinja")
    assert prompt_ids(load_tokenizer(given), (Message("user", "A"),)) == tuple(
        load_tokenizer(given)("A", add_special_tokens=False)["input_ids"]
    )


def test_what_is_too_long_is_counted_and_refused_unless_a_cut_is_allowed() -> None:
    pairs = [
        TokenisedPair("short", (1, 2), (3, 4), (5,)),
        TokenisedPair("long", (1, 2), (3,), (5, 6, 7, 8)),
        TokenisedPair("prompt alone", (1, 2, 3, 4, 5), (3,), (5,)),
    ]
    with pytest.raises(ConfigError, match=r"2 of 3 pairs are longer than max_length 5 \(the longest has 6"):
        fit(pairs, 5, what="pairs")
    fitted = fit(pairs, 5, allow_cut=True)
    assert [pair.id for pair in fitted.examples] == ["short", "long"]
    assert fitted.examples[1].rejected_ids == (5, 6, 7)
    assert (fitted.cut, fitted.dropped) == (1, 1)
    with pytest.raises(ConfigError, match="no pairs to train on"):
        fit([], 5, what="pairs")


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), min_size=1, max_size=20), st.integers(1, 20)
)
def test_cutting_keeps_the_start_and_accounts_for_every_example(
    lengths: list[tuple[int, int]], max_length: int
) -> None:
    examples = [
        TokenisedExample(str(i), tuple(range(prompt)), tuple(range(completion)))
        for i, (prompt, completion) in enumerate(lengths)
    ]
    if all(prompt >= max_length for prompt, _ in lengths):
        with pytest.raises(ConfigError, match="all prompts exceed"):
            fit(examples, max_length, allow_cut=True)
        return
    fitted = fit(examples, max_length, allow_cut=True)
    assert len(fitted.examples) + fitted.dropped == len(examples)
    for kept in fitted.examples:
        whole = examples[int(kept.id)]
        assert kept.prompt_ids == whole.prompt_ids
        assert kept.completion_ids == whole.completion_ids[: max_length - len(kept.prompt_ids)]
        assert len(kept.completion_ids) > 0
    changed = sum(kept != examples[int(kept.id)] for kept in fitted.examples)
    assert changed == fitted.cut


def _with_template(tokenizer: Any, generation: str, before: str, content: str = "message['content']") -> Any:
    """The tokenizer with a template of its own: what it writes for an assistant turn, and to ask for one."""
    import copy

    changed = copy.deepcopy(tokenizer)
    changed.chat_template = (
        "{% for message in messages %}"
        "{% if message['role'] == 'assistant' %}" + before + "{{ " + content + " + '<|im_end|>' }}"
        "{% else %}{{ message['content'] + '\n' }}{% endif %}"
        "{% endfor %}" + generation
    )
    return changed
