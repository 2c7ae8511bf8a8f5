"""``anchor-eval audit`` as users call it: what it says, and that it goes on where it stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lm_eval_tasks.audit.audit import read_audits
from lm_eval_tasks.cli import main
from lm_eval_tasks.runs.discovery import load_run
from tests.lm_eval_tasks.pocket_runs import Explainer, write_pocket_run

JUDGE = ("--judge", "pocket-oracle:truth", "--kinds", "consistency,discrimination", "-n", "32")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache.sqlite"))
    return write_pocket_run(tmp_path, Explainer("m1"), questions=40, samples=3)


def test_an_audit_goes_on_where_it_stopped(run: Path) -> None:
    said = call(run, *JUDGE, "--dry-run")
    assert said.exit_code == 0
    assert "consistency: 96 statements" in said.stderr
    assert "to ask" in said.stderr
    stopped = call(run, *JUDGE, "--max-calls", 50)
    assert stopped.exit_code == 3
    assert not list(run.rglob("audit_*"))
    whole = call(run, *JUDGE, "--json")
    assert whole.exit_code == 0, whole.output
    first = json.loads(whole.stdout)
    again = json.loads(call(run, *JUDGE, "--json").stdout)
    assert first["calls"] > 100
    assert again["calls"] == 0
    assert again["kinds"] == first["kinds"]
    told = call(run, *JUDGE)
    lines = told.stdout.splitlines()
    assert lines[0] == "audit of pocket-oracle:truth, rubric explanation_quality 1"
    assert any("it says the same again" in line for line in lines[3:8])
    assert [report.judge for report in read_audits(load_run(run))] == ["pocket-oracle:truth"]


def test_wrong_options_are_said_in_one_line(run: Path) -> None:
    unknown = call(run, "--judge", "pocket-oracle:truth", "--kinds", "lenght")
    assert (unknown.exit_code, "did you mean 'length'" in unknown.output) == (1, True)
    nobody = call(run, *JUDGE, "--reference", "human")
    assert (nobody.exit_code, "no judgements 'human'" in nobody.output) == (1, True)


def test_kinds_of_an_earlier_audit_stay_while_the_replies_are_the_same(run: Path) -> None:
    def kinds() -> dict[str, int]:
        (report,) = read_audits(load_run(run))
        return {found.kind: found.probes for found in report.kinds}

    few = ("--judge", "pocket-oracle:truth", "-n", 12)
    call(run, *few, "--kinds", "consistency,discrimination")
    before = kinds()
    assert call(run, *few, "--kinds", "length,consistency", "--repeats", 4).exit_code == 0
    assert list(kinds()) == ["consistency", "length", "discrimination"]
    assert kinds()["discrimination"] == before["discrimination"]
    assert (before["consistency"], kinds()["consistency"]) == (36, 48)
    log = load_run(run).task("pocket_explain").samples_file
    log.write_text(log.read_text().replace('"doc_id": 0,', '"doc_id":  0,', 1))
    assert call(run, *few, "--kinds", "length").exit_code == 0
    assert list(kinds()) == ["length"]
