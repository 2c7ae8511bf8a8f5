"""Prompts and replies that don't fit a model's context are told before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from anchor_train.cli import main
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.stages.parts.lengths import check_lengths, context_of
from judges.errors import ConfigError
from tests.anchor_train.scripted_run import make_run

OWN = {"sampler": {"n": 2, "temperature": 1.0, "top_p": 1.0, "max_tokens": 60}, "judge": "base"}


def test_replies_without_room_are_refused_with_what_would_fit(tmp_path: Path, tiny_model: Path) -> None:
    run = make_run(tmp_path, tiny_model, **OWN)
    check_lengths(run, run.recipe(["engine.max_model_len=700"]))
    with pytest.raises(ConfigError, match=r"sampler: the longest prompt has \d+ tokens") as refused:
        check_lengths(run, run.recipe(["sampler.max_tokens=5000"]))
    most = int(str(refused.value).partition("sampler.max_tokens to ")[2].split()[0])
    check_lengths(run, run.recipe([f"sampler.max_tokens={most}"]))
    check_lengths(run, run.recipe(["sampler.max_tokens=5000", "sampler.allow_cut=true"]))
    with pytest.raises(ConfigError, match=r"evaluate: the longest .* set evaluate.max_tokens to \d+ at most"):
        check_lengths(run, run.recipe(["evaluate.max_tokens=5000"]))


def test_examples_in_the_prompt_and_thoughts_count(tmp_path: Path, tiny_model: Path) -> None:
    run = make_run(tmp_path, tiny_model, **OWN)
    context = context_of(run.recipe())
    assert context is not None
    with pytest.raises(ConfigError) as refused:
        check_lengths(run, run.recipe([f"sampler.max_tokens={context}"]))
    most = int(str(refused.value).partition("sampler.max_tokens to ")[2].split()[0])
    fits = f"sampler.max_tokens={most - 40}"
    for more in ("reply_form=shown", "sampler.thinking_tokens=50"):
        with pytest.raises(ConfigError, match="the longest prompt has"):
            check_lengths(run, run.recipe([fits, more]))


def test_what_an_endpoint_serves_is_not_ours_to_count(tmp_path: Path, tiny_model: Path) -> None:
    run = make_run(tmp_path, tiny_model)
    check_lengths(run, run.recipe(["sampler.max_tokens=5000"]))


def test_questions_of_the_hub_are_counted_when_they_are_drawn_and_need_no_network(
    tmp_path: Path, tiny_model: Path
) -> None:
    run = make_run(tmp_path, tiny_model, **OWN)
    Pipeline(run, run.recipe()).do({"questions"})
    away = ["data_dir=null", "sampler.max_tokens=5000"]  # the hub can't be reached from tests
    with pytest.raises(ConfigError, match="sampler: the longest prompt"):
        check_lengths(run, run.recipe(away))
    fresh = make_run(tmp_path / "fresh", tiny_model, **OWN)
    check_lengths(fresh, fresh.recipe(away))


def test_the_command_says_so_before_it_begins(tmp_path: Path, tiny_model: Path) -> None:
    run = make_run(tmp_path, tiny_model, **OWN)
    for further in ([], ["--dry-run"]):
        found = CliRunner().invoke(main, ["run", str(run.path), "--set", "sampler.max_tokens=5000", *further])
        assert found.exit_code == 1
        assert "don't fit the model's context" in found.stderr
        assert "started" not in found.stderr
