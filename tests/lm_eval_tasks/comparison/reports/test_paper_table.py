"""The LaTeX table with the paper's columns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from lm_eval_tasks.cli import main
from lm_eval_tasks.comparison.named import compare_runs
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.reports.paper_table import paper_table
from lm_eval_tasks.runs.discovery import find_runs
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, BASE, SFT, Evaluation, write_runs

AQUA = Evaluation(task="aqua_rat_explain", questions=12)
LOGIQA = Evaluation(task="logiqa_explain", questions=8, seed=2)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return write_runs(tmp_path, (BASE, replace(SFT, name="sft_50% & more"), ANCHOR), AQUA, LOGIQA)


def test_each_row_says_what_the_comparison_says_in_the_papers_columns(runs: Path) -> None:
    report = compare_runs(find_runs(runs), baseline="base", settings=Settings(draws=100))
    text = paper_table([report.table])
    assert text is not None
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    head, *body = [line.removesuffix(r" \\").split(" & ") for line in rows]
    assert head == ["Data set", "Base acc.", "Model", "Acc.", "Win", "Tie", "Loss", "Win $-$ Loss"]
    anchor = next(line for line in body if line[2] == "anchor")
    pair = report.table.pair("anchor", "base")
    assert pair is not None
    found = pair.tasks["aqua_rat_explain"]
    shares = [f"{100 * one.value:.1f}" for one in (found.win, found.tie, found.loss)]
    assert anchor[4:7] == shares
    assert anchor[7].replace("$-$", "-") == f"{100 * found.margin.value:.1f}"
    base = report.table.entries["aqua_rat_explain"]["base"]
    assert base.spread is not None
    assert body[0][:2] == ["AQuA-RAT", rf"{100 * base.accuracy.value:.1f} $\pm$ {100 * base.spread:.1f}"]
    assert [line[0] for line in body] == ["AQuA-RAT", "", "LogiQA", ""]
    assert r"sft\_50\% \& more" in text
    assert text.count("questions\n") == 4, "an interval for each comparison, in comments"


def test_the_command_prints_the_table_alone_and_the_site_links_it(runs: Path, tmp_path: Path) -> None:
    folders = [str(runs / name) for name in ("anchor", "base")]
    result = CliRunner().invoke(main, ["compare", *folders, "--baseline", "base", "--latex"])
    assert result.exit_code == 0
    assert result.stdout.startswith("% needs")
    assert result.stdout.rstrip().splitlines()[-1].startswith("%")
    site = tmp_path / "site"
    options = ["--baseline", "base", "--figures", "none", "-q", "--draws", "100"]
    assert CliRunner().invoke(main, ["leaderboard", str(runs), "-o", str(site), *options]).exit_code == 0
    assert "AQuA-RAT" in (site / "tables" / "paper.tex").read_text(encoding="utf-8")
    assert 'href="tables/paper.tex"' in (site / "index.html").read_text(encoding="utf-8")


def test_without_a_baseline_there_is_no_such_table(runs: Path) -> None:
    report = compare_runs(find_runs(runs), settings=Settings(draws=100))
    assert paper_table([report.table]) is None
    result = CliRunner().invoke(main, ["compare", str(runs / "anchor"), str(runs / "base"), "--latex"])
    assert result.exit_code == 2
    assert "--latex needs --baseline" in result.output
