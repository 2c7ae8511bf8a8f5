"""Stage ``form``: a run finds out once how its models must be asked, and asks all of them so."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import FORM
from anchor_train.stages.form import asked_in_form, form_of
from anchor_train.stages.sample import read_samples
from judges.errors import ConfigError
from lm_eval_tasks.harness import pilot
from lm_eval_tasks.harness.pilot import FEW
from lm_eval_tasks.prompts.reply_form import ASKED, SHOWN
from tests.anchor_train.scripted_run import REPLIES, finish_sft, make_run, write_script

GOOD, UNREADABLE = REPLIES[0], REPLIES[4]
QUESTIONS = 12


def run_with(folder: Path, model: Path, adapter: Path, replies: list[str], **changes: object) -> RunFolder:
    """A run whose sampler gives these replies, one after the other, whatever it is asked."""
    folder.mkdir(exist_ok=True)
    sampler = write_script(folder / "own.yaml", [{"reply": replies}])
    settings = {"reply_form": "auto", "sampler": {"backend": sampler}, **changes}
    run = make_run(folder, model, **settings)
    finish_sft(run, adapter)
    return run


def states(run: RunFolder) -> dict[str, str]:
    return {found.stage.key: found.state for found in Pipeline(run, run.recipe()).status()}


def test_a_model_that_must_be_shown_the_form_is_shown_it(
    tmp_path: Path, tiny_model: Path, tiny_adapter: Path
) -> None:
    run = run_with(tmp_path, tiny_model, tiny_adapter, [*[UNREADABLE] * FEW, *[GOOD] * QUESTIONS, UNREADABLE])
    assert form_of(run, run.recipe()) is None
    Pipeline(run, run.recipe()).do({"form", "sample"})
    chosen = pilot.stored(run.stage(FORM))
    assert chosen is not None
    assert (chosen.form, chosen.warning) == (SHOWN, False)
    assert "replies readable with asked 0% of 8 " in chosen.why
    assert "shown:2 100% of 12" in chosen.why
    spec, question = asked_in_form(run, run.recipe()), read_samples(run.stage("round-1/sample"))[0].question
    assert [turn.role for turn in spec.explain_conversation(question)].count("assistant") == 2


def test_what_was_chosen_is_chosen_once_and_sampling_depends_on_it(
    tmp_path: Path, tiny_model: Path, tiny_adapter: Path
) -> None:
    run = run_with(tmp_path, tiny_model, tiny_adapter, [GOOD])
    pipeline = Pipeline(run, run.recipe())
    pipeline.do({"form", "sample"})
    assert form_of(run, run.recipe()) == ASKED
    before = (run.stage(FORM) / pilot.FILE).stat().st_mtime_ns
    Pipeline(run, run.recipe()).do({"form", "sample"})
    assert (run.stage(FORM) / pilot.FILE).stat().st_mtime_ns == before
    dependent = {stage.key for stage in pipeline.stages if FORM in stage.needs}
    assert {
        "round-1/sample",
        "round-1/anchor/pairs",
        "round-1/anchor/dpo",
        "evaluate/base/generate",
    } <= dependent


def test_a_model_that_never_follows_is_sampled_with_a_warning(
    tmp_path: Path, tiny_model: Path, tiny_adapter: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = run_with(tmp_path, tiny_model, tiny_adapter, [UNREADABLE])
    Pipeline(run, run.recipe(["sampler.stop_unreadable=null"])).do({"form", "sample"})
    assert form_of(run, run.recipe()) == ASKED
    said = capfd.readouterr().err
    assert "warning: reply form asked (auto: replies readable with asked 0% of 8" in said
    assert "can't hold replies to a form" in said
    assert len(read_samples(run.stage("round-1/sample"))) == QUESTIONS


def test_a_run_of_before_goes_on_as_it_was_asked(
    tmp_path: Path, tiny_model: Path, tiny_adapter: Path
) -> None:
    run = run_with(tmp_path, tiny_model, tiny_adapter, [GOOD], reply_form="asked")
    Pipeline(run, run.recipe()).do({"sample"})
    values = yaml.safe_load(run.recipe_path.read_text())
    del values["reply_form"]
    run.recipe_path.write_text(yaml.safe_dump(values))
    assert run.recipe().reply_form == "auto"
    found = states(run)
    assert FORM not in found
    assert found["round-1/sample"] == "finished"


def test_a_sampler_that_can_t_hold_replies_is_refused(
    tmp_path: Path, tiny_model: Path, tiny_adapter: Path
) -> None:
    run = run_with(tmp_path, tiny_model, tiny_adapter, [GOOD], reply_form={"shown": 2, "held": True})
    with pytest.raises(ConfigError, match=r"can't hold replies to a form; reply_form shown:2 works"):
        Pipeline(run, run.recipe()).do({"sample"})
