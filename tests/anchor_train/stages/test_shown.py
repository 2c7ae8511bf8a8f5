"""A training judge whose rubric shows it the right answer, or a reference that the task's rows don't have."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_train.inspection.preflight import check
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.stages.consult import read_arguments
from anchor_train.stages.judge import read_scored
from judges.errors import ConfigError
from tests.anchor_train.scripted_run import finish_sft, make_run, verdict, write_script
from tests.anchor_train.stages.test_consult import GOOD

TOLD = "explanation_quality_right_answer"


def test_replies_and_arguments_are_judged_with_the_right_answer_in_view(
    tmp_path: Path, tiny_model: Path, tiny_adapter: Path
) -> None:
    right = r"<right_answer>\n(.+)\n</right_answer>\n<choice>\n\1\n</choice>"
    script = write_script(
        tmp_path / "told.yaml",
        [{"match": right, "reply": verdict("GOOD")}, {"reply": verdict("UNSATISFACTORY")}],
    )
    judge = {"backend": "scripted", "replies": script.removeprefix("scripted:"), "rubric": TOLD}
    consultant = {"backend": write_script(tmp_path / "says.yaml", [{"reply": GOOD}])}
    run = make_run(tmp_path, tiny_model, strategies=["anchor"], judge=judge)
    write_script(
        tmp_path / "sampler.yaml", [{"reply": "<explanation>I guess.</explanation><choice>C</choice>"}]
    )
    finish_sft(run, tiny_adapter)
    recipe = run.recipe(["consultant.check=true", f"consultant.backend={consultant['backend']}"])
    Pipeline(run, recipe).do({"sample", "judge", "consult"})
    scored = read_scored(run.stage("round-1/judge"))
    assert {(one.correct, one.score) for question in scored for one in question.responses} == {
        (True, 20),
        (False, 0),
    }
    # The consultant argues for the right answer, and is judged as one who chose it.
    arguments = read_arguments(run.stage("round-1/consult")).values()
    assert {argument.score for argument in arguments if argument.judged} == {20}


def test_a_reference_that_no_row_has_is_refused_before_anything_runs(
    tmp_path: Path, tiny_model: Path
) -> None:
    values = Path("judges/rubrics/explanation_quality.yaml").read_text(encoding="utf-8")
    rubric = tmp_path / "beside.yaml"
    rubric.write_text(
        values.replace("{{ question }}", "{{ question }} {{ reference }}") + "\nshows: [reference]\n"
    )
    script = write_script(tmp_path / "told.yaml", [{"reply": verdict("GOOD")}])
    judge = {"backend": "scripted", "replies": script.removeprefix("scripted:"), "rubric": str(rubric)}
    run = make_run(tmp_path, tiny_model, judge=judge)
    with pytest.raises(ConfigError, match="judge: rubric explanation_quality shows a reference explanation"):
        check(run.recipe())
