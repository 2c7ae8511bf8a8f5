"""Texts that no run made: judged, compared and shown as any run."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from judges.errors import ConfigError, DataError
from judges.rubrics.load import load_rubric
from lm_eval_tasks.cli import main
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.from_elsewhere import Fields, run_of_explanations

SKY = "Air scatters short wavelengths of sunlight more than long ones."
ICE = "Water expands when it freezes, so ice is lighter than what it displaces."
RUBRIC = load_rubric()
OPEN = Fields("q", ("why",))


def verdicts(verdict: str) -> str:
    return "\n".join(f"{criterion.name}: {verdict}" for criterion in RUBRIC.criteria)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache.sqlite"))
    script = [
        {"match": re.escape(SKY), "reply": verdicts("EXCELLENT")},
        {"match": re.escape(ICE), "reply": verdicts("GOOD")},
        {"reply": verdicts("UNSATISFACTORY")},
    ]
    (tmp_path / "judge.jsonl").write_text("".join(json.dumps(one) + "\n" for one in script))
    people = [("Why is the sky blue?", SKY, "Because."), ("Why does ice float?", ICE, "")]
    with (tmp_path / "people.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("q", "why", "too"), *people])
    write(
        tmp_path / "model.jsonl", [{"q": question, "out": {"why": "It just is."}} for question, *_ in people]
    )
    return tmp_path


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def anchor_eval(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def score(folder: Path, name: str, file: str, *fields: str) -> Result:
    given = ["--explanations", folder / file, "--question-field", "q", "--task", "why"]
    judge = ["--judge", f"scripted:{folder / 'judge.jsonl'}"]
    return anchor_eval("score", folder / "runs" / name, *given, *fields, *judge)


def test_open_questions_are_judged_and_compared_and_no_accuracy_is_told(folder: Path) -> None:
    people = score(folder, "people", "people.csv", "--explanation-field", "why", "--explanation-field", "too")
    assert people.exit_code == 0, people.output
    assert re.findall(r"^acc|accuracy \d", people.output, re.MULTILINE) == []
    assert "judged: 3 of 4 responses (1 empty_reply)" in people.output
    assert score(folder, "model", "model.jsonl", "--explanation-field", "out.why").exit_code == 0
    runs = [folder / "runs" / name for name in ("people", "model")]
    table = json.loads(anchor_eval("compare", *runs, "--baseline", "model", "--json").stdout)
    (pair,) = table["pairs"]
    # Sky: one better, one as bad; ice: one better, and the empty one isn't judged.
    assert pair["overall"]["win"]["value"] == pytest.approx((0.5 + 1) / 2)
    assert pair["overall"]["tie"]["value"] == pytest.approx(0.25)
    assert [run["accuracy"] for run in table["runs"]] == [None, None]
    assert pair["tasks"]["why_explain"]["accuracy"] is None
    text = anchor_eval("compare", *runs, "--details").stdout
    assert "by correctness" not in text
    assert "accuracy:" not in text


def test_the_pages_show_open_questions_without_answers(folder: Path) -> None:
    score(folder, "people", "people.csv", "--explanation-field", "why")
    score(folder, "model", "model.jsonl", "--explanation-field", "out.why")
    site = folder / "site"
    made = anchor_eval("leaderboard", folder / "runs", "-o", site, "--figures", "none", "-q", "--draws", 100)
    assert made.exit_code == 0, made.output
    index = (site / "index.html").read_text(encoding="utf-8")
    assert 'data-key="score"' in index
    assert 'data-key="accuracy"' not in index
    for page in (site / "models" / "people.html", site / "pairs" / "model--people.html"):
        text = page.read_text(encoding="utf-8")
        assert "right answer" not in text
        assert not re.search(r"\bnan\b|\bNone\b", text)
    questions = (site / "data" / "why_explain" / "questions.js").read_text(encoding="utf-8")
    assert '"Why is the sky blue?",[],""' in questions
    shown = anchor_eval("show", folder / "runs" / "people").stdout
    assert "unreadable" not in shown
    assert SKY in shown


def test_with_choices_there_is_an_accuracy_too(folder: Path) -> None:
    rows = [
        {"q": "2 + 2?", "why": "Count.", "options": ["3", "4"], "right": "B", "said": "4"},
        {"q": "3 + 3?", "why": "Count on.", "options": ["6", "7"], "right": "A", "said": "B"},
    ]
    file = write(folder / "sums.jsonl", rows)
    fields = Fields("q", ("why",), choices="options", gold="right", choice="said")
    run_of_explanations(file, fields, folder / "sums", task="sums", model="me")
    (task,) = load_run(folder / "sums").tasks.values()
    assert [one.responses[0].correct for one in task.read()] == [True, False]
    with pytest.raises(ConfigError, match="--choices-field needs --gold-field and --choice-field"):
        Fields("q", ("why",), choices="options")


def test_the_judge_is_shown_question_and_explanation_and_no_choices(folder: Path) -> None:
    from lm_eval_tasks.runs.judging.scoring import statements_of
    from lm_eval_tasks.tasks.load import find_tasks

    run_of_explanations(folder / "people.csv", OPEN, folder / "run", task="why", model="people")
    moved = (folder / "run").rename(folder / "moved")
    (task,) = load_run(moved).tasks.values()
    assert task.source is not None
    (spec,) = find_tasks([task.task], None, {task.task: task.source})
    (_, statement), *_ = statements_of(spec, next(task.read()))
    assert statement.question == "Question:\nWhy is the sky blue?"
    assert statement.explanation == SKY


def test_the_same_again_changes_nothing_and_another_file_is_refused(folder: Path) -> None:
    first = run_of_explanations(folder / "people.csv", OPEN, folder / "run", task="why", model="people")
    before = first.read_bytes()
    assert (
        run_of_explanations(folder / "people.csv", OPEN, folder / "run", task="why", model="people") == first
    )
    assert first.read_bytes() == before
    with pytest.raises(ConfigError, match="name a new folder"):
        run_of_explanations(
            folder / "model.jsonl", Fields("q", ("out.why",)), folder / "run", task="why", model="m"
        )


def test_rows_of_one_question_are_its_samples_and_ids_are_held_to_their_question(folder: Path) -> None:
    rows = [{"n": 1, "q": "Why?", "why": why} for why in ("So.", "Since it is.")]
    fields = Fields("q", ("why",), id="n")
    file = write(folder / "several.jsonl", rows)
    run_of_explanations(file, fields, folder / "several", task="why", model="m")
    (task,) = load_run(folder / "several").tasks.values()
    (scored,) = task.read()
    assert (scored.question.id, len(scored.responses)) == ("1", 2)
    write(file, [*rows, {"n": 1, "q": "How?", "why": "Thus."}])
    with pytest.raises(DataError, match=r"line 3.*another question than before has the id '1'"):
        run_of_explanations(file, fields, folder / "other", task="why", model="m")


def test_what_cannot_be_read_is_named_and_nothing_is_left_behind(folder: Path) -> None:
    file = write(
        folder / "bad.jsonl", [{"q": "Why?", "why": 3 * ["x"]}, {"q": "", "why": "So."}, {"q": "Who?"}]
    )
    with pytest.raises(
        DataError, match=r"3 of 3 rows can't be read: .*line 1.*'why'.*line 2.*'q' is empty.*line 3"
    ):
        run_of_explanations(file, OPEN, folder / "bad", task="why", model="m")
    assert not (folder / "bad").exists()
    empty = write(folder / "empty.jsonl", [{"q": "Why?", "why": " "}])
    with pytest.raises(DataError, match="all are empty"):
        run_of_explanations(empty, OPEN, folder / "bad", task="why", model="m")


def test_fields_without_a_file_are_refused(folder: Path) -> None:
    result = anchor_eval("score", folder, "--question-field", "q", "--judge", "x")
    assert result.exit_code == 2
    assert "--question-field goes with --explanations" in result.output
