"""Which runs stand in one table, and that any folder of runs makes a site or one line that says why not."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lm_eval_tasks.cli import main
from lm_eval_tasks.comparison.boards import Collection, collect
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.runs.discovery import find_runs
from tests.lm_eval_tasks.leaderboard.synthetic import BASE, SIX, Evaluation, FakeModel, write_run, write_runs

TASK = Evaluation(questions=12, repeats=2)
MUTE = FakeModel("mute", 0.0, 0.5, unreadable=1.0)


def boards_of(folder: Path, baseline: str | None = None) -> Collection:
    return collect(find_runs(folder), baseline=baseline, settings=Settings(draws=100))


def test_an_unjudged_run_stands_with_the_judged_ones_that_were_asked_like_it(tmp_path: Path) -> None:
    write_run(tmp_path, replace(BASE, name="aaa"), TASK, judged=False)
    write_runs(tmp_path, SIX[1:3], TASK)
    (board,) = boards_of(tmp_path).boards
    assert board.table.runs[-1] == "aaa"
    assert set(board.table.compared) == {"rank", "sft"}
    assert "aaa" not in board.table.places


def test_the_board_is_the_largest_set_that_can_be_compared_wherever_the_baseline_stands(
    tmp_path: Path,
) -> None:
    write_run(tmp_path, BASE, replace(TASK, version="0"))
    for name in ("one", "two", "three"):
        write_run(tmp_path, replace(BASE, name=name), replace(TASK, version="9"), judged=False)
    write_runs(tmp_path, SIX[1:3], TASK)
    found = boards_of(tmp_path, "base")
    assert [set(board.settings) for board in found.main] == [{"rank", "sft"}]
    assert [set(board.settings) for board in found.apart] == [{"one", "two", "three"}, {"base"}]
    assert [str(line) for line in found.apart[1].differences] == ["task version 0 instead of 1.0"]


def test_runs_that_differ_in_temperature_only_can_be_compared_anyway(tmp_path: Path) -> None:
    write_runs(tmp_path, SIX[:2], TASK)
    write_run(tmp_path, SIX[2], replace(TASK, temperature=1.0))
    found = boards_of(tmp_path, "base")
    main, apart, anyway = found.boards
    assert (main.kind, apart.kind, anyway.kind) == ("main", "apart", "anyway")
    assert [str(line) for line in apart.differences] == ["temperature 1.0 instead of 0.6"]
    assert set(anyway.table.compared) == {"base", "sft", "rank"}
    assert found.shelves == (anyway,)
    assert found.boards_of("sft", "base") == [main]
    assert found.boards_of("rank", "base") == [anyway]


def test_runs_in_different_reply_forms_stand_apart_and_can_be_compared_anyway(tmp_path: Path) -> None:
    write_runs(tmp_path, SIX[:2], TASK)
    write_run(tmp_path, SIX[2], replace(TASK, form="shown+held"))
    main, apart, anyway = boards_of(tmp_path, "base").boards
    assert (main.kind, apart.kind, anyway.kind) == ("main", "apart", "anyway")
    assert [str(line) for line in apart.differences] == ["reply form shown+held instead of asked"]
    assert "rank" not in main.table.compared


def test_rows_that_were_left_out_are_named_on_the_pages(tmp_path: Path) -> None:
    bad = ("test.jsonl, line 3: 'gold' = 'E'", "test.jsonl, line 9: not JSON")
    write_runs(tmp_path / "runs", (BASE, SIX[1]), replace(TASK, left_out=bad))
    arguments = ["leaderboard", str(tmp_path / "runs"), "-o", str(tmp_path / "site"), "--figures", "none"]
    assert CliRunner().invoke(main, [*arguments, "-q"]).exit_code == 0
    text = html.unescape((tmp_path / "site" / "index.html").read_text(encoding="utf-8"))
    assert f"2 rows of the data left out that can't be read: {'; '.join(bad)}" in text.replace("’", "'")


def test_runs_in_different_measures_are_never_compared(tmp_path: Path) -> None:
    write_runs(tmp_path, SIX[:2], TASK)
    other = replace(TASK.rubric, user_template=TASK.rubric.user_template + " Be strict.")
    write_run(tmp_path, SIX[2], replace(TASK, rubric=other))
    found = boards_of(tmp_path)
    assert {board.kind for board in found.boards} == {"main", "apart"}
    assert found.boards_of("rank", "base") == []


def test_a_mean_over_tasks_is_only_of_runs_that_have_them_all(tmp_path: Path) -> None:
    tasks = [replace(TASK, task=f"{name}_explain", seed=place) for place, name in enumerate("abc")]
    write_run(tmp_path, SIX[0], *tasks)
    write_run(tmp_path, SIX[1], *tasks)
    write_run(tmp_path, SIX[2], tasks[0], tasks[1])
    found = boards_of(tmp_path)
    assert found.overall is not None
    assert set(found.overall.runs) == {"base", "sft"}
    assert boards_of(tmp_path / SIX[2].name).overall is None


TASKS = ("arc_explain", "logiqa_explain", "pocket_explain")
evaluations = st.builds(
    lambda task, repeats, temperature, judge, version, strict, form: replace(
        TASK,
        task=task,
        questions=3,
        repeats=repeats,
        temperature=temperature,
        judge=judge,
        version=version,
        form=form,
        rubric=replace(TASK.rubric, user_template=TASK.rubric.user_template + " Be strict.")
        if strict
        else TASK.rubric,
    ),
    st.sampled_from(TASKS),
    st.sampled_from([1, 2]),
    st.sampled_from([0.6, 0.6, 1.0]),
    st.sampled_from(["openai:judge-70b@http://localhost:8000/v1", "openai:other"]),
    st.sampled_from(["1.0", "1.0", "2.0"]),
    st.booleans(),
    st.sampled_from(["asked", "asked", "shown", "shown+held"]),
)
models = st.builds(
    lambda unreadable, unjudged: (unreadable, unjudged),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 0.3, 1.0]),
)
made_runs = st.lists(
    st.tuples(models, st.lists(evaluations, max_size=3, unique_by=lambda one: one.task), st.booleans()),
    max_size=5,
)
PLAIN = (0.0, 0.0)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@example(made=[(PLAIN, [replace(TASK, task=task, questions=3)], True) for task in TASKS])
@example(made=[((1.0, 0.0), [replace(TASK, questions=3)], True)])
@example(made=[(PLAIN, [replace(TASK, questions=3)], True), ((1.0, 0.0), [replace(TASK, questions=3)], True)])
@example(
    made=[(PLAIN, [replace(TASK, questions=3)], False), ((0.0, 1.0), [replace(TASK, questions=3)], True)]
)
@example(made=[(PLAIN, [replace(TASK, questions=3, repeats=1)], place % 4 == 0) for place in range(40)])
@example(made=[])
@given(made=made_runs)
def test_any_folder_of_runs_makes_a_site_or_one_line_that_says_why_not(
    made: list[tuple[tuple[float, float], list[Evaluation], bool]],
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        for number, ((unreadable, unjudged), tasks, judged) in enumerate(made):
            model = FakeModel(f"m{number}", 0.5, 0.5, unreadable=unreadable, unjudged=unjudged)
            write_run(folder / "runs", model, *tasks, judged=judged)
        (folder / "runs").mkdir(exist_ok=True)
        for extra in ([], ["--baseline", "m0"]):
            check_site(folder, [*extra, "--draws", "100"])


def test_boards_that_differ_alike_from_the_first_one_have_names_of_their_own(tmp_path: Path) -> None:
    """Nobody judged the first board's run, so it isn't told that the others' judges differ from its own."""
    one, two = replace(TASK, questions=3, repeats=1), replace(TASK, questions=3, repeats=2)
    strict = replace(TASK.rubric, user_template=TASK.rubric.user_template + " Be strict.")
    write_run(tmp_path / "runs", FakeModel("m0", 0.5, 0.5), one, judged=False)
    write_run(tmp_path / "runs", FakeModel("m1", 0.5, 0.5), two)
    write_run(tmp_path / "runs", FakeModel("m2", 0.5, 0.5), replace(two, judge="openai:other", rubric=strict))
    check_site(tmp_path, ["--baseline", "m0", "--draws", "100"])


def check_site(folder: Path, options: list[str]) -> None:
    site = folder / f"site{len(options)}"
    arguments = ["leaderboard", str(folder / "runs"), "-o", str(site), "--figures", "none", "-q", *options]
    result = CliRunner().invoke(main, arguments)
    if result.exit_code:
        assert result.exit_code == 1, result.exception
        assert result.output.startswith("Error: ")
        assert len(result.output.strip().splitlines()) == 1
        return
    names = {path.name for path in (folder / "runs").iterdir() if any(path.rglob("samples_*.jsonl"))}
    assert {path.stem for path in (site / "models").iterdir()} == names
    titles = tabs(site)
    assert len(set(titles)) == len(titles), titles
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"\bnan\b|\bNone\b(?! of its)", text), page
        for target in re.findall(r'(?:href|src)="([^"#]+)', text):
            assert (page.parent / target).exists(), f"{page}: {target}"


def tabs(site: Path) -> list[str]:
    index = (site / "index.html").read_text(encoding="utf-8")
    return re.findall(
        r'<button type="button" data-task="[^"]*" aria-pressed="false">([^<]+)</button>\n', index
    )


def test_a_folder_without_a_run_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "samples_arc_explain_2026-03-14T09-26-53.589793.jsonl").touch()
    result = CliRunner().invoke(main, ["leaderboard", str(tmp_path / "runs"), "-o", str(tmp_path / "site")])
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
    assert "the samples log is empty" in result.output


@pytest.mark.parametrize("page", ["index.html", "models/mute.html"])
def test_a_model_without_a_readable_reply_is_told_so_and_not_called_wrong(tmp_path: Path, page: str) -> None:
    write_runs(tmp_path / "runs", (BASE, SIX[1], MUTE), TASK)
    arguments = [
        "leaderboard",
        str(tmp_path / "runs"),
        "-o",
        str(tmp_path / "site"),
        "--figures",
        "none",
        "-q",
    ]
    result = CliRunner().invoke(main, [*arguments, "--baseline", "base", "--json"])
    assert json.loads(result.stdout)["pages"] == 6
    text = (tmp_path / "site" / page).read_text(encoding="utf-8")
    assert "none of its 24 replies has a readable explanation (24 no tag)" in text
    assert "Rank 1" not in text
    assert "100.0%" not in re.findall(r"consistently incorrect: ([\d.]+%)", text)
    if page == "models/mute.html":
        assert "None of its replies has a readable explanation, so there is nothing to judge;" in text
