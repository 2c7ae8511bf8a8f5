"""Replies of the harness's engines: their seeds, and what is on disk of them when a run is cut off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance

from judges import ConfigError
from lm_eval_tasks.harness.engines.models import open_model

SETTINGS = {"until": [], "max_gen_toks": 12, "do_sample": True, "temperature": 1.0}
PROMPTS = ("What is ice?", "Which of these is a metal, and why?", "Why?", "Name a river.")


def asked(prompts: Sequence[str] = PROMPTS, samples: int = 4, **settings: Any) -> list[Instance]:
    """What the harness asks for: each request as often as it is to be sampled."""
    requests = [
        Instance("generate_until", {}, (prompt, {**SETTINGS, **settings}), idx, ("t", idx, samples))
        for idx, prompt in enumerate(prompts)
    ]
    return [request for request in requests for _ in range(samples)]


class CutOff(Exception):
    """The end of a run in its middle."""


@pytest.fixture
def model(tiny_model: Path) -> dict[str, Any]:
    return {"pretrained": str(tiny_model), "dtype": "float32"}


def hf(arguments: dict[str, Any], replies: Path, seed: int | None = 1, **more: Any) -> Any:
    options = {"batch_size": "3", "device": "cpu", **more}
    return open_model("hf", arguments, replies=replies, seed=seed, **options).lm


def cut_off_after(lm: Any, batches: int) -> None:
    """Has the model die in a later batch."""
    own, left = lm._model_generate, iter(range(batches))

    def generate(*arguments: Any, **settings: Any) -> Any:
        if next(left, None) is None:
            raise CutOff
        return own(*arguments, **settings)

    lm._model_generate = generate


def count_batches(lm: Any) -> list[int]:
    own, sizes = lm._model_generate, []

    def generate(context: Any, *arguments: Any, **settings: Any) -> Any:
        sizes.append(len(context))
        return own(context, *arguments, **settings)

    lm._model_generate = generate
    return sizes


def test_hf_another_seed_gives_other_replies_and_the_same_one_the_same(
    model: dict[str, Any], tmp_path: Path
) -> None:
    first, again, other = (
        hf(model, tmp_path / name, seed).generate_until(asked(), disable_tqdm=True)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == len(first)  # samples of one question differ, too


def test_hf_a_run_that_was_cut_off_ends_with_the_replies_of_one_that_was_not(
    model: dict[str, Any], tmp_path: Path
) -> None:
    whole = hf(model, tmp_path / "whole").generate_until(asked(), disable_tqdm=True)
    lm = hf(model, tmp_path / "cut")
    cut_off_after(lm, 4)
    with pytest.raises(CutOff):
        lm.generate_until(asked(), disable_tqdm=True)
    second = hf(model, tmp_path / "cut")
    sizes = count_batches(second)
    assert second.generate_until(asked(), disable_tqdm=True) == whole
    assert sizes == [3, 1]  # sixteen replies are six batches, of which four were kept
    third = hf(model, tmp_path / "cut")
    sizes = count_batches(third)
    assert third.generate_until(asked(), disable_tqdm=True) == whole
    assert sizes == []


def test_what_is_asked_in_another_way_or_of_another_model_is_asked_anew(
    model: dict[str, Any], tmp_path: Path
) -> None:
    def batches(arguments: dict[str, Any], seed: int = 1, **settings: Any) -> int:
        lm = hf(arguments, tmp_path / "replies", seed)
        sizes = count_batches(lm)
        lm.generate_until(asked(PROMPTS[:1], 1, **settings), disable_tqdm=True)
        return len(sizes)

    assert [batches(model), batches(model)] == [1, 0]
    assert [batches(model, temperature=0.5), batches(model, until=["x"])] == [1, 1]
    assert [batches(model, seed=2), batches({**model, "dtype": "bfloat16"})] == [1, 1]
    assert [batches(model), batches(model, temperature=0.5)] == [0, 0]


def test_more_samples_or_questions_leave_what_is_there(model: dict[str, Any], tmp_path: Path) -> None:
    few = hf(model, tmp_path / "r").generate_until(asked(PROMPTS[:2], 2), disable_tqdm=True)
    lm = hf(model, tmp_path / "r")
    sizes = count_batches(lm)
    more = lm.generate_until(asked(PROMPTS[:3], 3), disable_tqdm=True)
    assert [more[0:2], more[3:5]] == [few[0:2], few[2:4]]
    assert sum(sizes) == 9 - 4


def test_without_a_seed_two_starts_draw_other_replies(model: dict[str, Any], tmp_path: Path) -> None:
    one, two = (hf(model, tmp_path / name, None).generate_until(asked(), disable_tqdm=True) for name in "ab")
    assert not set(one) & set(two)


def test_the_harness_finds_the_batch_size_once(model: dict[str, Any], tmp_path: Path) -> None:
    # The harness tries sizes with prompts that fill the context.
    lm = hf({**model, "max_length": 96}, tmp_path / "r", batch_size="auto")
    found: list[int] = []
    own = lm._detect_batch_size
    lm._detect_batch_size = lambda *a, **k: found.append(own(*a, **k)) or found[-1]
    lm.generate_until(asked(PROMPTS[:1], 1), disable_tqdm=True)
    assert len(found) == 1
    assert int(lm.batch_size) == found[0]


def test_a_prompt_that_does_not_fit_is_refused_unless_it_may_be_cut(
    model: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "ice " * 60
    short = {**model, "max_length": 64}
    with pytest.raises(ConfigError, match=r"1 of 2 prompts don't fit the model's context of 64 tokens"):
        hf(short, tmp_path / "r").generate_until(asked(["ice", long], 1), disable_tqdm=True)
    lm = hf(short, tmp_path / "r", cut_prompts=True)
    assert len(lm.generate_until(asked(["ice", long], 1), disable_tqdm=True)) == 2
    assert "their beginnings are cut off" in capsys.readouterr().err


def test_options_that_contradict_the_arguments_are_refused(model: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--device cpu and device=cuda of --model-args contradict"):
        hf({**model, "device": "cuda"}, tmp_path / "r")
    assert hf({**model, "device": "cpu"}, tmp_path / "r", device=None).device.type == "cpu"
