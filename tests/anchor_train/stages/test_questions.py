"""Stage ``questions``: rows that can't be read are named, or left out and counted where that is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_train.inspection import preflight
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.recipes.files import resolved_yaml
from anchor_train.stages.questions import KIND, read_questions
from judges.errors import AnchorError
from tests.anchor_train.scripted_run import make_run

SKIP = ["questions.skip_unreadable_rows=true"]


def test_unreadable_rows_stop_a_run_unless_they_are_to_be_left_out(tmp_path: Path, tiny_model: Path) -> None:
    run = make_run(tmp_path, tiny_model)
    data = run.recipe().data_dir
    assert data is not None
    for split in ("train", "validation"):
        with (data / f"{split}.jsonl").open("a", encoding="utf-8") as file:
            file.write('{"id": "odd", "question": {}}\n')
    with pytest.raises(AnchorError, match=r"1 of 13 rows can't be read: .*train\.jsonl, line 13"):
        preflight.check(run.recipe())
    preflight.check(run.recipe(SKIP))
    Pipeline(run, run.recipe(SKIP)).do({"questions"})
    assert len(read_questions(run.stage("questions"))) == 12
    (status,) = (
        found for found in Pipeline(run, run.recipe(SKIP)).status() if found.stage.key == "questions"
    )
    assert status.record is not None
    assert status.record.summary["unreadable"] == 1
    assert "0 repeats, 1 unreadable rows left out" in KIND.line(status.record.summary)


def test_the_setting_leaves_no_trace_where_it_is_off(tmp_path: Path, tiny_model: Path) -> None:
    """Stages that were finished before there was the setting stay so."""
    run = make_run(tmp_path, tiny_model)
    assert "skip_unreadable_rows" not in resolved_yaml(run.recipe())
    assert "skip_unreadable_rows: true" in resolved_yaml(run.recipe(SKIP))
