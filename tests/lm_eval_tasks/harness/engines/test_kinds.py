"""What an engine does nothing with is said; what is said twice, or against itself, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from judges import ConfigError
from lm_eval_tasks.harness.arguments import check_generation, plain_generation
from lm_eval_tasks.harness.engines.kinds import LENGTHS, engine_of, without_effect

KINDS = ["hf", "vllm", "local-chat-completions", "openai-chat-completions", "local-completions"]


@pytest.mark.parametrize("model", KINDS)
@pytest.mark.parametrize("name", LENGTHS)
def test_a_length_holds_by_whichever_name_it_goes(model: str, name: str) -> None:
    """Beside the task's own ``max_gen_toks``, which the harness takes before any other name."""
    given = {name: 99}
    check_generation(given, model)
    task = {"max_gen_toks": 512, "temperature": 0.6}
    assert {**task, **plain_generation(given, model)} == {"max_gen_toks": 99, "temperature": 0.6}


@pytest.mark.parametrize("model", KINDS)
def test_greedy_is_greedy_for_engines_that_look_at_one_of_the_two_settings(model: str) -> None:
    assert plain_generation({"do_sample": False}, model)["temperature"] == 0
    assert plain_generation({"stop": "END"}, model) == {"until": ["END"]}


def test_transformers_is_not_asked_to_draw_at_temperature_zero() -> None:
    assert plain_generation({"temperature": 0}, "hf") == {"temperature": 0, "do_sample": False}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"max_tokens": 9, "max_gen_toks": 9}, "max_tokens and max_gen_toks are the same setting"),
        ({"until": ["a"], "stop": "b"}, "until and stop are the same setting"),
        ({"do_sample": False, "temperature": 0.7}, "greedy"),
        ({"do_sample": True, "temperature": 0.0}, "contradict"),
        ({"seed": 7}, "give --seed 7"),
        ({"max_length": 700}, "give max_gen_toks"),
    ],
)
@pytest.mark.parametrize("model", KINDS)
def test_settings_of_which_one_would_be_overlooked_are_refused(
    model: str, given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        check_generation(given, model)


@pytest.mark.parametrize("model", ["hf", "vllm", "local-completions"])
def test_null_is_for_endpoints_that_may_go_by_their_own(model: str) -> None:
    check_generation({"temperature": None}, "local-chat-completions")
    check_generation({"seed": None}, model)
    with pytest.raises(ConfigError, match="temperature = null"):
        check_generation({"temperature": None}, model)


@pytest.mark.parametrize(
    ("model", "arguments", "options", "expected"),
    [
        ("hf", {"dtype": "float32"}, {"device": "cpu", "batch_size": "4", "seed": 1}, set()),
        ("vllm", {}, {"device": "cuda:1", "seed": 1}, {"--device cuda:1"}),
        ("vllm", {}, {"batch_size": "auto", "seed": 1}, set()),
        ("vllm", {"seed": 5}, {"batch_size": "8", "seed": 1}, {"--batch-size 8", "seed=5 of --model-args"}),
        ("vllm", {"seed": 5}, {"seed": 5}, set()),
        (
            "local-chat-completions",
            {"dtype": "float16", "model": "m"},
            {"device": "cpu", "seed": 1},
            {"--device cpu", "dtype=float16 of --model-args"},
        ),
        ("local-completions", {"seed": 3}, {"batch_size": "8", "seed": 1}, {"seed=3 of --model-args"}),
        ("somebody-elses", {}, {"device": "cpu", "seed": 1}, {"--seed 1"}),
    ],
)
def test_what_does_nothing_is_named_as_it_was_given(
    model: str, arguments: dict[str, Any], options: dict[str, Any], expected: set[str]
) -> None:
    found = without_effect(model, arguments, options)
    assert set(found) == expected
    assert all(found.values())


def test_no_engine_is_left_without_a_word_on_its_seed() -> None:
    assert {engine_of(model).seeds for model in KINDS} == {"each reply", "each batch"}
    assert engine_of("somebody-elses").seeds == "unknown"
