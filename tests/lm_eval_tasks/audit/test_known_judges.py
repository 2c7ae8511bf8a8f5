"""Judges of known worth, audited through the real judge: each is put in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from judges import Judge
from lm_eval_tasks.audit.audit import audit
from lm_eval_tasks.audit.plan import Plan, plan_of
from lm_eval_tasks.audit.records import AuditReport, Figure
from lm_eval_tasks.runs.discovery import Run, load_run
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.audit.known_judges import (
    RUBRIC,
    KnownJudge,
    always_good,
    length_lover,
    list_lover,
    noisy,
    obedient,
    oracle,
)
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run

FAST = ("consistency", "order", "length", "discrimination")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    return load_run(write_pocket_run(folder, Explainer("m1", slips=0.3, bare=0.3), questions=50))


@pytest.fixture(scope="module")
def plan(run: Run) -> Plan:
    return plan_of([run], {TASK: load_task(TASK)}, RUBRIC, 30)


def audited(run: Run, plan: Plan, judge: KnownJudge, *kinds: str) -> AuditReport:
    with Judge(RUBRIC, judge) as ready:
        return audit(run, plan, kinds, ready, models={}, progress=False)


def figure(report: AuditReport, key: str) -> Figure:
    return next(found for kind in report.kinds for found in kind.figures if found.key == key)


def value(report: AuditReport, key: str) -> float:
    found = figure(report, key).estimate
    assert found is not None, key
    return found.value


def bad(report: AuditReport) -> str:
    return "\n".join(finding.text for finding in report.findings if finding.grade == "bad")


def test_the_ground_truth_has_no_bad_finding(run: Run, plan: Plan) -> None:
    report = audited(run, plan, oracle(), *FAST, "perturbation")
    assert bad(report) == ""
    assert value(report, "consistency.same") == 1
    assert value(report, "flaw") > 0.85
    assert value(report, "criteria_reversed.kept") == value(report, "choices_reversed.kept") == 1
    assert {kind.judged for kind in report.kinds} == {kind.probes for kind in report.kinds}


def test_noise_shows_in_consistency_and_costs_discrimination(run: Run, plan: Plan) -> None:
    light, heavy = (audited(run, plan, noisy(share), *FAST) for share in (0.05, 0.6))
    assert 0.3 < value(light, "consistency.same") < 0.95
    assert value(heavy, "consistency.same") < 0.1
    assert "doesn't say the same again" in bad(heavy)
    assert value(heavy, "flaw") < value(light, "flaw") < 0.95
    assert value(heavy, "consistency.spread") > value(light, "consistency.spread") > 0
    # What noise does to verdicts isn't taken for an effect of the order.
    assert "order matters" not in "\n".join(finding.text for finding in light.findings)


def test_one_that_loves_length_is_found_by_its_control(run: Run, plan: Plan) -> None:
    report = audited(run, plan, length_lover(), "length", "discrimination", "perturbation")
    assert value(report, "longer.alike") > 0.8
    assert "prefers the longer one" in bad(report)
    assert "rises with padding" in bad(report)
    assert value(report, "padding.control") > 0.3
    assert "any addition helps" in bad(report)
    assert value(report, "flaw.wrong_number") < 0.6


def test_one_that_loves_lists_is_found_by_the_same_text_without_marks(run: Run, plan: Plan) -> None:
    report = audited(run, plan, list_lover(), "perturbation")
    assert value(report, "list_form.shift") > 0.5
    assert value(report, "list_form.control") == 0
    assert "rises with list form" in bad(report)
    assert "rises with cheerful" not in bad(report)


def test_one_that_always_says_good_is_steady_and_worth_nothing(run: Run, plan: Plan) -> None:
    report = audited(run, plan, always_good(), *FAST)
    assert value(report, "consistency.same") == 1
    assert value(report, "flaw") == value(report, "right") == 0.5
    assert "can't tell right from wrong explanations: AUC 0.50" in bad(report)
    assert "easily fooled" in bad(report)


def test_one_that_does_what_it_is_told_is_found_by_injections(run: Run, plan: Plan) -> None:
    report = audited(run, plan, obedient(), "perturbation")
    for kind in ("ready verdicts", "instructions"):
        assert f"rises with injection: {kind}" in bad(report)
        assert value(report, f"injection.{kind.replace(' ', '_')}.beyond") > 0.3
    assert "bandwagon" not in bad(report)


def test_too_few_statements_give_no_figure(run: Run) -> None:
    few = plan_of([run], {TASK: load_task(TASK)}, RUBRIC, 8)
    report = audited(run, few, oracle(), *FAST)
    assert figure(report, "consistency.same").estimate is None
    assert {finding.grade for kind in report.kinds[:2] for finding in kind.findings} == {"unknown"}


def test_an_audit_can_be_written_and_read(run: Run, plan: Plan, tmp_path: Path) -> None:
    report = audited(run, plan, oracle(), "length")
    assert AuditReport.from_json(report.to_json()) == report
