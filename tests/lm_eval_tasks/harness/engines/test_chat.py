"""The evaluated model is asked in the very tokens in which it is trained and in which it judges."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from lm_eval.models.huggingface import HFLM
from tokenizers.processors import TemplateProcessing

from anchor_train.training.rendering import prompt_ids
from judges.backends.local_model import prompt_tokens
from judges.errors import ConfigError
from judges.records import Message
from lm_eval_tasks.harness.engines.chat import chat_prompt, leave_special_tokens_to_the_template
from tests.chat_templates import CHATML, GEMMA, QWEN_3, REFUSED, SERVED, THINKS_UNLESS_TOLD
from tests.judges.models.test_rendering import CONVERSATIONS


@pytest.fixture(scope="module")
def harness_model(tiny_model: Path) -> HFLM:
    return HFLM(pretrained=str(tiny_model), device="cpu", dtype="float32")


def evaluated(model: HFLM, template: str, **variables: Any) -> HFLM:
    """The harness's model with another chat template and its variables."""
    other = copy.copy(model)
    other.tokenizer = copy.deepcopy(model.tokenizer)
    other.tokenizer.chat_template = template
    other.chat_template_args = variables
    return other


@pytest.mark.parametrize("shape", CONVERSATIONS)
@pytest.mark.parametrize("name", SERVED)
def test_judge_training_and_evaluation_send_the_same_tokens(
    harness_model: HFLM, name: str, shape: str
) -> None:
    template, _ = SERVED[name]
    conversation = CONVERSATIONS[shape]
    model = evaluated(harness_model, template)
    asked = chat_prompt(model.apply_chat_template, conversation, {})
    tokens = model.tok_encode(asked, add_special_tokens=False)
    assert prompt_tokens(model.tokenizer, conversation, None, {}) == tokens
    assert list(prompt_ids(model.tokenizer, conversation)) == tokens


@pytest.mark.parametrize("name", REFUSED)
def test_a_template_that_cannot_serve_is_refused_in_all_three(harness_model: HFLM, name: str) -> None:
    template, _ = REFUSED[name]
    model = evaluated(harness_model, template)
    conversation = CONVERSATIONS["examples before"]
    found = set()
    for ask in (
        lambda: chat_prompt(model.apply_chat_template, conversation, {}),
        lambda: prompt_tokens(model.tokenizer, conversation, None, {}),
        lambda: prompt_ids(model.tokenizer, conversation),
    ):
        with pytest.raises(ConfigError) as caught:
            ask()
        found.add(str(caught.value))
    assert len(found) == 1


def test_variables_of_the_template_reach_all_three(harness_model: HFLM) -> None:
    quiet = {"enable_thinking": False}
    conversation = CONVERSATIONS["system and user"]
    model = evaluated(harness_model, QWEN_3, **quiet)
    asked = chat_prompt(model.apply_chat_template, conversation, {})
    assert asked.endswith("<think>\n\n</think>\n\n")
    assert prompt_tokens(model.tokenizer, conversation, None, quiet) == model.tok_encode(asked)


def test_what_the_harness_takes_out_of_a_models_arguments_comes_from_the_tasks_own(
    harness_model: HFLM,
) -> None:
    """Its vLLM model drops enable_thinking from chat_template_args, and hands None to the template."""
    model = evaluated(harness_model, THINKS_UNLESS_TOLD)
    conversation = CONVERSATIONS["user alone"]
    assert not chat_prompt(model.apply_chat_template, conversation, {}).endswith("/nothink\n")
    given = {"chat_template_args": {"enable_thinking": False}}
    assert chat_prompt(model.apply_chat_template, conversation, given).endswith("/nothink\n")
    model.enable_thinking = True
    assert not chat_prompt(model.apply_chat_template, conversation, given).endswith("/nothink\n")


def test_a_template_known_by_its_function_alone_is_checked_too(harness_model: HFLM) -> None:
    model = evaluated(harness_model, GEMMA)
    rules, question = CONVERSATIONS["system and user"]

    def template(turns: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return str(model.apply_chat_template(turns, add_generation_prompt))

    asked = chat_prompt(template, (rules, question), {})
    assert asked.startswith(
        f"<start_of_turn>user\n{rules.content}\n\n{question.content.strip()}<end_of_turn>"
    )


def test_an_endpoint_gets_the_turns_themselves() -> None:
    turns: list[Any] = []

    def template(given: list[dict[str, str]], add_generation_prompt: bool = True) -> list[dict[str, str]]:
        turns.append(given)
        return given

    conversation = (Message("system", "Rules."), Message("user", "Well?"))
    assert chat_prompt(template, conversation, {}) == [
        {"role": "system", "content": "Rules."},
        {"role": "user", "content": "Well?"},
    ]


def test_a_template_that_takes_everything_gets_it_as_it_is(harness_model: HFLM) -> None:
    model = evaluated(harness_model, CHATML)
    conversation = CONVERSATIONS["examples before"]
    turns = [{"role": turn.role, "content": turn.content} for turn in conversation]
    assert chat_prompt(model.apply_chat_template, conversation, {}) == model.apply_chat_template(turns)


def test_no_special_token_is_added_to_what_the_template_wrote(harness_model: HFLM) -> None:
    """A tokenizer may begin every text with one; its template decides, as in judging and training."""
    model = evaluated(harness_model, f"Chat: {CHATML}")
    begin = model.tokenizer.eos_token
    model.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{begin} $A", special_tokens=[(begin, model.tokenizer.eos_token_id)]
    )
    conversation = CONVERSATIONS["system and user"]
    asked = chat_prompt(model.apply_chat_template, conversation, {})
    trained = list(prompt_ids(model.tokenizer, conversation))
    assert model.tok_batch_encode([asked])[0][0].tolist() == [model.tokenizer.eos_token_id, *trained]
    leave_special_tokens_to_the_template(model)
    assert model.tok_batch_encode([asked])[0][0].tolist() == trained
    model.add_bos_token = True
    leave_special_tokens_to_the_template(model)
    assert model.add_bos_token, "what the user says about it stands"
