"""The one engine behind ``compare`` and the site: the same runs give the same figures in both."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lm_eval_tasks.cli import main
from lm_eval_tasks.comparison.boards import collect
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.standings import Table, family_of, table_of
from lm_eval_tasks.runs.discovery import find_runs
from lm_eval_tasks.stats.estimation.estimates import holm
from tests.lm_eval_tasks.leaderboard.synthetic import SIX, Evaluation, write_runs

NAMES = [model.name for model in SIX]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tasks = (
        Evaluation(task="arc_explain", questions=50),
        Evaluation(task="logiqa_explain", questions=30, seed=3),
    )
    return write_runs(tmp_path_factory.mktemp("runs"), SIX, *tasks)


def told(*arguments: object) -> str:
    result = CliRunner().invoke(main, [*map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("task", [None, "arc_explain"])
def test_compare_and_the_site_give_the_same_adjusted_p_and_interval(
    runs: Path, tmp_path: Path, task: str | None
) -> None:
    only = [] if task is None else ["--task", task]
    named = [runs / name for name in NAMES]
    found = json.loads(told("compare", *named, "--baseline", "base", "--json", *only))
    told("leaderboard", runs, "--baseline", "base", "-o", tmp_path / "site", "--figures", "none", "-q")
    with (tmp_path / "site" / "tables" / f"{task or 'all-tasks'}.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert len(found["pairs"]) == 5
    for pair in found["pairs"]:
        row = rows[pair["first"]]
        assert pair["adjusted_over"] == "the pairs with base"
        assert float(row["p"]) == pytest.approx(pair["adjusted_p"], rel=1e-12)
        margin = pair["overall"]["margin"]
        shown = [float(row[f"margin{end}"]) for end in ("", "_low", "_high")]
        assert shown == pytest.approx([margin[end] for end in ("value", "low", "high")])
        assert float(row["readable"]) == pytest.approx(
            sum(run["readable"] for run in found["runs"] if run["run"] == pair["first"]) / (1 if task else 2)
        )


def table(runs: Path, baseline: str | None) -> Table:
    (board,) = collect(find_runs(runs), baseline=baseline, settings=Settings(draws=100)).main[:1]
    return board.table


@pytest.mark.parametrize("baseline", [None, "base"])
def test_holm_corrects_over_the_pairs_that_a_claim_stands_beside(runs: Path, baseline: str | None) -> None:
    found = table(runs, baseline)
    assert len(found.pairs) == 15
    families: dict[str, list[tuple[str, str]]] = {}
    for names in found.pairs:
        families.setdefault(family_of(names, baseline), []).append(names)
    assert sorted(map(len, families.values())) == ([15] if baseline is None else [5, 10])
    for members in families.values():
        raw = [found.pairs[names].overall.p_value for names in members]
        assert [found.pairs[names].adjusted_p for names in members] == holm(raw)


def test_ranks_and_groups_follow_from_the_adjusted_p_values(runs: Path) -> None:
    found = table(runs, "base")
    for names, pair in found.pairs.items():
        apart = not any(set(names) <= set(group) for group in found.groups)
        assert apart == (pair.adjusted_p is not None and pair.adjusted_p < 0.05)
    for run, (best, worst) in found.places.items():
        ahead = [pair.ahead for pair in found.pairs.values() if run in (pair.first, pair.second)]
        lost = sum(winner not in (None, run) for winner in ahead)
        assert (best, worst) == (1 + lost, 6 - ahead.count(run))


def test_with_a_baseline_only_its_pairs_are_compared_and_nobody_has_a_rank(runs: Path) -> None:
    whole = table(runs, "base")
    some = table_of(whole.entries, baseline="base", settings=Settings(draws=100), all_pairs=False)
    assert set(some.pairs) == {names for names in whole.pairs if "base" in names}
    assert (some.places, some.groups) == ({}, ())
    for names, pair in some.pairs.items():
        assert pair.adjusted_p == whole.pairs[names].adjusted_p


def test_a_margin_does_not_depend_on_what_stands_beside_it(runs: Path) -> None:
    loaded = find_runs(runs)
    alone, among = (
        collect(some, settings=Settings(draws=100)).boards[0].table.margin("anchor", "sft")
        for some in ([run for run in loaded if run.name in ("anchor", "sft")], loaded)
    )
    assert alone == among
