"""Members of a panel beside the others, and the order of the runs without each of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judges import Judge
from lm_eval_tasks.cli import main
from lm_eval_tasks.comparison.judges.panels import panel_reports
from lm_eval_tasks.runs.discovery import find_runs, load_run
from lm_eval_tasks.runs.judging.panel import Member, Panel, combine
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.audit.known_judges import RUBRIC, KnownJudge, length_lover, noisy, oracle
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run

SPEC = load_task(TASK)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def judged_by_panel(folder: Path, name: str, *members: KnownJudge) -> None:
    for run in find_runs(folder):
        task = run.task(TASK)
        found = []
        for known in members:
            with Judge(RUBRIC, known) as judge:
                summary = score_task(task, SPEC, judge, progress=False)
            found.append(Member(summary.name, summary.judge))
        combine(
            load_run(run.path).task(TASK), Panel(panel=tuple(m.name for m in found), name=name), found, RUBRIC
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, the better of which is the shorter; judged by the truth, noisy copies, and length."""
    folder = tmp_path_factory.mktemp("panel")
    for explainer in (Explainer("terse", slips=0.05, bare=1.0), Explainer("wordy", slips=0.35, bare=0.0)):
        write_pocket_run(folder, explainer, questions=30, samples=3)
    judged_by_panel(folder, "four", oracle(), noisy(0.1), noisy(0.2), length_lover())
    return folder


def test_the_member_that_goes_its_own_way_agrees_least(folder: Path) -> None:
    (report,) = panel_reports(find_runs(folder), 0.95)
    assert (report.name, report.statements, report.missing) == ("panel:four", 180, 0)
    members = {member.name: member for member in report.members}
    assert list(members) == ["known:oracle", "known:noisy-0.1", "known:noisy-0.2", "known:length-lover"]
    kappas = {name: member.kappa.value for name, member in members.items() if member.kappa is not None}
    assert min(kappas, key=lambda name: kappas[name]) == "known:length-lover"
    assert min(kappa for name, kappa in kappas.items() if name != "known:length-lover") > 0.1
    above = {name: member.above for name, member in members.items() if member.above is not None}
    assert above["known:length-lover"].high < -1  # type: ignore[operator]
    assert abs(above["known:oracle"].value) < 1


def test_the_order_of_runs_without_a_member_is_the_others_order(folder: Path) -> None:
    (report,) = panel_reports(find_runs(folder), 0.95)
    without = {member.name: member.order for member in report.members}
    assert without["known:length-lover"] == ("terse", "wordy"), "by the truth and its noisy copy"
    assert sorted(report.order) == ["terse", "wordy"]


def test_it_is_told_with_the_judges_and_stands_on_their_page(folder: Path, tmp_path: Path) -> None:
    told = call("judges", folder)
    assert told.exit_code == 0, told.output
    assert "panel:four (rubric explanation_quality 1): 4 members on 180 explanations" in told.stdout
    assert "order of the runs without it" in told.stdout
    found = json.loads(call("judges", folder, "--json", "-o", tmp_path / "site").stdout)
    (panel,) = found["panels"]
    assert [member["name"] for member in panel["members"]][3] == "known:length-lover"
    assert found["for_seconds"]
    page = (tmp_path / "site" / "judges.html").read_text(encoding="utf-8")
    for words in (
        "Which judge?",
        "take",
        "length-lover",
        "Each member beside the median",
    ):
        assert words in page


def test_a_panel_whose_members_are_gone_is_left_out(folder: Path, tmp_path: Path) -> None:
    alone = write_pocket_run(tmp_path, Explainer("m1"), questions=12, samples=3)
    judged_by_panel(tmp_path, "two", oracle(), length_lover())
    assert [report.name for report in panel_reports(find_runs(tmp_path), 0.95)] == ["panel:two"]
    for path in alone.rglob("judgements_*length-lover*"):
        path.unlink()
    assert panel_reports(find_runs(tmp_path), 0.95) == ()
