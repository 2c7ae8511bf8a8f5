"""A model that refines is evaluated by its refined replies, in one table with the others."""

from __future__ import annotations

import shutil

import pytest

from anchor_train.inspection.preflight import check
from anchor_train.pipeline.plan import plan
from anchor_train.run.stage import StageJob
from anchor_train.stages.evaluate import LOG, asked_task, generate, room
from anchor_train.stages.parts.paper_table import Table, TableRow
from judges.errors import ConfigError
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TASKS
from tests.anchor_train.principles.scripted_staple import make_staple


def job(run, key):
    (stage,) = [stage for stage in plan(run.recipe()) if stage.key == key]
    run.stage(key).mkdir(parents=True, exist_ok=True)
    return StageJob(run, run.recipe(), stage, "")


def test_the_refined_form_of_a_built_in_task_has_room_for_two_replies(tmp_path, tiny_model):
    run = make_staple(tmp_path, tiny_model, strategies=["anchor", "staple"])
    refined, plain = job(run, "evaluate/staple/generate"), job(run, "evaluate/anchor/generate")
    assert asked_task(refined).name == "arc_challenge_explain_refined"
    assert asked_task(plain).name == "arc_challenge_explain"
    assert (room(refined), room(plain)) == (2 * 8 + 96, 8)
    assert "refine prompts" in refined.stage.externals
    assert "refine prompts" not in plain.stage.externals


@pytest.fixture
def own_task(tmp_path):
    """A task file of a user's own."""
    path = tmp_path / "tasks" / "letters_explain.yaml"
    path.parent.mkdir()
    text = (TASKS / "arc_challenge_explain.yaml").read_text(encoding="utf-8")
    text = text.replace("task: arc_challenge_explain", "task: letters_explain")
    path.write_text(f"{text}\ndata_dir: ../r/data\n", encoding="utf-8")
    return path


def test_a_task_of_the_users_own_is_asked_in_the_refined_form_too(own_task, tmp_path, tiny_model):
    run = make_staple(tmp_path / "r", tiny_model, task=str(own_task))
    found = asked_task(job(run, "evaluate/staple/generate"))
    assert (found.name, found.protocol) == ("letters_explain_refined", "refined")
    assert found.prompts == load_task(own_task).prompts
    assert found.data_dir is not None
    assert found.data_dir.samefile(tmp_path / "r" / "data")


def test_the_harness_generates_refined_replies(own_task, tmp_path, tiny_model, tiny_adapter):
    run = make_staple(tmp_path / "r", tiny_model, task=str(own_task), data_dir=None)
    shutil.copytree(tiny_adapter, run.stage("round-1/staple/train") / "adapter")
    stage_job = job(run, "evaluate/staple/generate")
    assert generate(stage_job).summary == {"questions": 3, "replies": 6}
    (task,) = load_run(stage_job.folder / LOG).tasks.values()
    assert task.task == "letters_explain_refined"
    assert all(sample.draft is not None for scored in task.read_samples() for sample in scored.responses)


def test_the_table_says_whose_refined_replies_are_compared():
    rows = (
        TableRow("base", 3, 0.5, None, None, None, 6, 6),
        TableRow("staple", 3, 0.5, None, None, None, 6, 6),
    )
    table = Table("t", "judge", 2, rows, refined=("staple",))
    note = "staple: a reply, a principle and a refined reply; the refined one counts"
    assert table.to_text().splitlines()[-1] == table.to_markdown().splitlines()[-1] == note
    assert Table.from_json(table.to_json()) == table
    before = {key: value for key, value in table.to_json().items() if key != "refined"}
    assert Table.from_json(before).refined == ()


def test_a_task_that_refines_is_nothing_to_train_on(tmp_path, tiny_model):
    run = make_staple(tmp_path, tiny_model, task="arc_challenge_explain_refined")
    with pytest.raises(ConfigError, match="refines its own replies: train on arc_challenge_explain;"):
        check(run.recipe())
