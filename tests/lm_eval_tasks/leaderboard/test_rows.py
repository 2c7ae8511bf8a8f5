"""Tables: who stands with whom, who is told apart, and what the files for papers hold."""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.comparison.boards import Collection, collect
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.leaderboard import tables
from lm_eval_tasks.leaderboard.columns import columns_of
from lm_eval_tasks.leaderboard.rows import Scope, scopes_of
from lm_eval_tasks.leaderboard.words import finding, short_judge, task_title, undecided
from lm_eval_tasks.runs.discovery import find_runs
from lm_eval_tasks.tables import listed
from tests.lm_eval_tasks.leaderboard.conftest import MALLORY
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, BASE, SIX, Evaluation, write_run, write_runs

FEW = Settings(draws=200)
TASK = Evaluation(questions=60, repeats=4)


def scopes(folder: Path, baseline: str | None = "base") -> list[Scope]:
    return scopes_of(collect(find_runs(folder), baseline=baseline, settings=FEW), FEW)


def test_a_copy_of_a_model_shares_its_rank_and_group_and_the_headline_says_so(tmp_path: Path) -> None:
    write_runs(tmp_path, (BASE, ANCHOR), TASK)
    shutil.copytree(tmp_path / "anchor", tmp_path / "copy")
    (table,) = scopes(tmp_path)
    assert {row.run: row.rank for row in table.rows} == {"anchor": "1–2", "copy": "1–2", "base": "3"}
    assert [set(group) for group in table.table.groups if len(group) > 1] == [{"anchor", "copy"}]
    assert finding(table) == "anchor and copy explain their answers best, and can’t be told apart"
    assert undecided(table) == []
    alike = table.table.margin("anchor", "copy")
    assert alike is not None
    assert alike.low is not None
    assert alike.value == 0
    assert alike.low == -(alike.high or 0) < 0  # all ties: narrow, not of no width


def test_the_margin_turns_its_sign_and_bounds_with_the_order_of_the_models(collection: Collection) -> None:
    board = collection.main[0]
    there, back = (board.table.margin(*pair) for pair in (("anchor", "base"), ("base", "anchor")))
    assert there is not None
    assert back is not None
    assert (back.value, back.low, back.high) == (-there.value, -(there.high or 0), -(there.low or 0))
    assert board.table.margin("anchor", "nobody") is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "2.0"}, "task version 2.0 instead of 1.0"),
        ({"prompts": "feed"}, "prompts feed instead of c0ffee0123456789"),
        ({"repeats": 2}, "samples a question 2 instead of 4"),
        ({"rubric": replace(TASK.rubric, version="9")}, "rubric explanation_quality 9"),
    ],
)
def test_a_run_that_was_asked_or_judged_otherwise_is_set_apart_with_the_reason(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    write_runs(tmp_path, (BASE, ANCHOR), TASK)
    write_run(tmp_path, replace(ANCHOR, name="other"), replace(TASK, **change))  # type: ignore[arg-type]
    main, apart, *_ = scopes(tmp_path)
    assert set(main.runs) == {"anchor", "base"}
    assert apart.runs == ("other",)
    assert apart.board is not None
    assert any(reason in str(line) for line in apart.board.differences)


def test_without_a_baseline_the_setting_of_most_runs_is_the_main_one(tmp_path: Path) -> None:
    write_runs(tmp_path, SIX[:3], TASK)
    write_run(tmp_path, replace(ANCHOR, name="aaa"), replace(TASK, version="0"))
    main, apart, _ = scopes(tmp_path, baseline=None)
    assert len(main.rows) == 3
    assert apart.runs == ("aaa",)


def test_runs_that_nobody_judged_have_accuracy_and_no_rank(tmp_path: Path) -> None:
    write_run(tmp_path, BASE, TASK, judged=False)
    write_run(tmp_path, ANCHOR, TASK, judged=False)
    (table,) = scopes(tmp_path)
    assert "not judged" in finding(table)
    assert all(row.score is None and row.rating is None and row.judged is None for row in table.rows)
    assert not {"rank", "rating", "score"} & {column.key for column in columns_of(table)}


def test_the_mean_over_tasks_has_only_models_with_all_tasks(collection: Collection) -> None:
    overall = scopes_of(collection, FEW)[0]
    assert MALLORY not in overall.runs
    one = collection.main[0].table.margin("anchor", "base")
    two = collection.main[1].table.margin("anchor", "base")
    both = overall.table.margin("anchor", "base")
    assert one is not None
    assert two is not None
    assert both is not None
    assert both.value == pytest.approx((one.value + two.value) / 2)


def test_an_unknown_baseline_is_answered_with_the_nearest_name(tmp_path: Path) -> None:
    write_run(tmp_path, BASE, TASK)
    with pytest.raises(ConfigError, match="did you mean 'base'"):
        collect(find_runs(tmp_path), baseline="bsae")


def test_files_for_papers_hold_every_row_and_no_markup_of_a_name(collection: Collection) -> None:
    table = next(scope for scope in scopes_of(collection, FEW) if scope.key == "arc_explain")
    columns = columns_of(table)
    text = tables.markdown(columns, table.rows)
    assert len(text.splitlines()) == 2 + len(table.rows)
    assert r"mallory \& \<b\>co" in text
    text = tables.latex(columns, table.rows, "50% of all & more")
    assert r"\caption{50\% of all \& more}" in text
    assert text.count(r"\\") == 1 + len(table.rows)
    rows = list(csv.DictReader(io.StringIO(tables.comma_separated(columns, table.rows))))
    best = table.rows[0]
    assert float(rows[0]["score"]) == pytest.approx(best.score.value if best.score else None)
    assert float(rows[0]["score_low"]) < float(rows[0]["score"]) < float(rows[0]["score_high"])
    assert {row["model"] for row in rows} == set(table.runs)


def test_a_csv_cell_is_never_a_formula(collection: Collection) -> None:
    table = scopes_of(collection, FEW)[0]
    row = replace(table.rows[0], run="=HYPERLINK(1)")
    text = tables.comma_separated(columns_of(table), [row])
    assert "'=HYPERLINK(1)" in text


def test_words() -> None:
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed([str(n) for n in range(20)]) == "0, 1, 2, 3, 4, 5 and 14 others"
    assert short_judge("openai:meta-llama/Llama-3@http://localhost:8000/v1") == "Llama-3"
    assert short_judge("transformers:/models/judge/") == "judge"


@pytest.mark.parametrize(
    ("task", "title"),
    [
        ("logiqa_explain", "logiqa"),
        ("logiqa_explain_refined", "logiqa, refined"),
        ("animals", "animals"),
        ("oil_refined", "oil_refined"),
        ("_explain", "_explain"),
    ],
)
def test_a_task_is_called_by_its_data_set(task: str, title: str) -> None:
    assert task_title(task) == title
