"""The leaderboard of judges: known ones in the order of their worth, people as the measure, repeats once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judges import Judge, load_judge
from lm_eval_tasks.audit.audit import audit, audit_path, write_audit
from lm_eval_tasks.audit.plan import plan_of
from lm_eval_tasks.cli import main
from lm_eval_tasks.comparison.judges.board import judge_board
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.runs.discovery import find_runs, load_run
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.audit.known_judges import RUBRIC, always_good, noisy, oracle
from tests.lm_eval_tasks.comparison.judges.test_correction import rate
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run

SPEC = load_task(TASK)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, judged by the truth (twice), by a noisy judge and by one that always says the same."""
    folder = tmp_path_factory.mktemp("runs")
    for explainer in (Explainer("m1", slips=0.15, bare=0), Explainer("base", slips=0.45, bare=1)):
        path = write_pocket_run(folder, explainer, questions=40, samples=3)
        task = load_run(path).task(TASK)
        with load_judge("pocket-oracle:truth", cache=None) as judge:
            score_task(task, SPEC, judge, name="truth", progress=False)
        for name, known in (
            ("oracle", oracle()),
            ("again", oracle()),
            ("noisy", noisy(0.5)),
            ("constant", always_good()),
        ):
            with Judge(RUBRIC, known) as judge:
                score_task(task, SPEC, judge, name=name, progress=False)
    return folder


def test_judges_stand_in_the_order_of_their_worth(folder: Path) -> None:
    board = judge_board(find_runs(folder), None, Settings(draws=100))
    assert board.by == "right"
    names = [row.name for row in board.rows]
    assert names[-1] == "known:always-good"
    assert set(names[:2]) == {"known:oracle", "pocket-oracle:truth"}
    rows = {row.name: row for row in board.rows}
    best, constant = rows["known:oracle"], rows["known:always-good"]
    assert best.right is not None
    assert constant.right is not None
    assert (constant.right.value, constant.separated) == (0.5, 0)
    assert best.right.value > 0.65  # some right choices are argued for wrongly, and some wrong ones well
    assert (best.separated, best.pairs, best.runs) == (1, 1, 2)
    assert best.judged == constant.judged == 240  # a repeat under another name counts once
    assert best.coverage == 1


def test_people_are_the_measure_and_audits_are_read(folder: Path, tmp_path: Path) -> None:
    rate((folder / "m1", folder / "base"), 70, tmp_path / "ratings.jsonl")
    run = load_run(folder / "m1")
    with Judge(RUBRIC, noisy(0.5)) as judge:
        plan = plan_of([run], {TASK: SPEC}, RUBRIC, 32)
        report = audit(run, plan, ("consistency", "discrimination"), judge, models={}, progress=False)
        write_audit(audit_path(run, judge), report)
    found = call("judges", folder, "--gold", "human", "--json")
    assert found.exit_code == 0, found.output
    board = json.loads(found.stdout)
    assert board["by"] == "kappa"
    rows = {row["name"]: row for row in board["judges"]}
    assert rows["known:oracle"]["kappa"]["value"] == pytest.approx(1)
    assert rows["known:noisy-0.5"]["kappa"]["value"] < 0.8
    assert rows["known:noisy-0.5"]["consistency"]["value"] < 0.2
    assert rows["known:oracle"]["consistency"] is None
    assert not [name for name in rows if name.startswith("human")]
    told = call("judges", folder, "--gold", "human").stdout
    assert "Sorted by: agreement with the gold judgements." in told


def test_what_is_not_there_is_said(folder: Path, tmp_path: Path) -> None:
    assert "no run has judgements 'nobody'" in call("judges", folder, "--gold", "nobody").output
    write_pocket_run(tmp_path, Explainer("alone"), questions=3)
    assert "no judge's judgements" in call("judges", tmp_path).output
