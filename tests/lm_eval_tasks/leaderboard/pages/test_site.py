"""Writing a site: the command, and what it never overwrites."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lm_eval_tasks.cli import main
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, BASE, Evaluation, write_run, write_runs

TASK = Evaluation(questions=20, repeats=2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_runs(tmp_path_factory.mktemp("runs"), (BASE, ANCHOR), TASK)


def invoke(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["leaderboard", *map(str, arguments), "--draws", "100", "-q"])
    return result.exit_code, result.output


def test_the_command_writes_pages_data_tables_and_pictures(runs: Path, tmp_path: Path) -> None:
    code, output = invoke(runs, "--baseline", "base", "-o", tmp_path / "site", "--json")
    assert code == 0
    told = json.loads(output)
    files = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*.*")}
    assert told["pages"] == 5
    assert {"index.html", "samples.html", "models/anchor.html", "pairs/anchor--base.html"} <= files
    assert {"tables/pocket_explain.md", "tables/pocket_explain.tex", "tables/pocket_explain.csv"} <= files
    assert {"figures/pocket_explain-criteria.png", "figures/pocket_explain-criteria.svg"} <= files
    assert {"data/pocket_explain/questions.js", "data/pocket_explain/anchor/0.js"} <= files


def test_all_pictures_are_those_of_the_models_and_pairs_too(runs: Path, tmp_path: Path) -> None:
    assert invoke(runs, "-o", tmp_path / "site", "--figures", "all")[0] == 0
    drawn = {path.name for path in (tmp_path / "site" / "figures").iterdir()}
    assert {"pair-anchor--base-outcomes.svg", "pair-anchor--base-strata.png"} <= drawn
    assert {"model-anchor-behaviour.svg", "pocket_explain-criteria.png"} <= drawn


def test_the_same_runs_give_the_same_site(runs: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert invoke(runs, "-o", tmp_path / name, "--figures", "none")[0] == 0
    one, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.html")}
        for name in ("one", "two")
    )
    assert one == two


def test_an_older_site_is_replaced_and_anything_else_is_left_alone(runs: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert invoke(runs, "-o", site, "--figures", "none")[0] == 0
    stale = site / "models" / "gone.html"
    stale.touch()
    assert invoke(runs, "-o", site, "--figures", "none")[0] == 0
    assert not stale.exists()
    (tmp_path / "thesis.tex").write_text("years of work")
    code, output = invoke(runs, "-o", tmp_path)
    assert code == 1
    assert "holds other files" in output
    assert (tmp_path / "thesis.tex").exists()


def test_mistakes_are_one_line(runs: Path, tmp_path: Path) -> None:
    for arguments in ((tmp_path / "none",), (runs, "--baseline", "bas"), (runs, "--judge", "nobody")):
        code, output = invoke(*arguments, "-o", tmp_path / "site")
        assert code == 1
        assert output.startswith("Error: ")
        assert len(output.splitlines()) == 1
        assert not (tmp_path / "site").exists()


def test_a_single_run_makes_a_site_too(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", BASE, TASK)
    code, _ = invoke(tmp_path / "runs", "-o", tmp_path / "site", "--figures", "none")
    assert code == 0
    assert "How base explains its answers" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
