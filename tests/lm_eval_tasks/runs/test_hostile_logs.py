"""Samples logs that are made to hurt: refused in one line with file and line, or judged like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kills.victims import TASK, write_log
from judges import DataError
from judges.storage import files as json_lines
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.sample_logs import read_samples_log
from tests.lm_eval_tasks.test_cli import AnchorEval, anchor_eval, write_judge

__all__ = ["anchor_eval"]


def rows(folder: Path) -> tuple[Path, list[dict[str, Any]]]:
    """A good log of three questions, to be spoilt."""
    (log,) = write_log(folder / "run", 12).rglob("samples_*.jsonl")
    return log, [json.loads(line) for line in log.read_text().splitlines()]


def with_doc(row: dict[str, Any], **change: Any) -> str:
    return json.dumps(row | {"doc": row["doc"] | change})


def with_draft(row: dict[str, Any], **draft: Any) -> str:
    """The row as our tasks log it, with one reply that was refined from this draft."""
    reply = {"text": "x", "explanation": "x", "choice": row["doc"]["gold"], "correct": True}
    problems = {"explanation_problem": None, "choice_problem": None, "judgement": None, "score": None}
    return json.dumps(row | {"filtered_resps": [[json.dumps(reply | problems | {"draft": draft})]]})


HOSTILE = {
    "NaN": (lambda row: with_doc(row, weight=float("nan")), "NaN is not a number"),
    "infinity": (lambda row: with_doc(row, weight=float("-inf")), "-Infinity is not a number"),
    "a number of 10,000 digits": (lambda row: '{"doc": ' + "1" * 10_000 + "}", "not valid JSON"),
    "deep nesting": (lambda row: '{"doc": ' + "[" * 200_000, "not valid JSON"),
    "a list": (lambda row: "[1, 2]", "expected an object"),
    "half a line": (lambda row: json.dumps(row)[:100], "not valid JSON"),
    "no text": (lambda row: "\x00\x01\x02", "not valid JSON"),
    "an id that comes twice": (lambda row: with_doc(row, id="q0"), "question 'q0' comes twice"),
    "a question that is a list": (lambda row: with_doc(row, question=["x"]), "question question"),
    "choices that are text": (lambda row: with_doc(row, choices="AB"), "choices"),
    "one choice": (lambda row: with_doc(row, choices={"label": ["A"], "text": ["x"]}), "choices"),
    "a gold that is no choice": (lambda row: with_doc(row, gold="Z"), "gold"),
    "an id that is an object": (lambda row: with_doc(row, id={"a": 1}), "question id"),
    "no replies": (lambda row: json.dumps(row | {"resps": []}), "holds replies"),
    "a draft that is half there": (lambda row: with_draft(row, choice="A"), "draft"),
    "a draft that chose nothing known": (
        lambda row: with_draft(row, explanation="x", choice="Z", correct=False, principle=None),
        "choice 'Z' is none of the labels",
    ),
    "a draft that is right and isn't": (
        lambda row: with_draft(row, explanation="x", choice=None, correct=True, principle=None),
        "contradict 'correct'",
    ),
    "replies that are numbers": (lambda row: json.dumps(row | {"resps": [[1, 2]]}), "holds replies"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, name: str) -> None:
    spoil, complaint = HOSTILE[name]
    log, good = rows(tmp_path)
    log.write_text("\n".join([json.dumps(good[0]), spoil(good[1]), json.dumps(good[2])]))
    with pytest.raises(DataError, match=complaint) as caught:
        list(read_samples_log(log))
    assert str(caught.value).startswith(f"{log}:2: ")
    assert "\n" not in str(caught.value)


def test_a_line_that_is_too_long_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines, "MAX_LINE_BYTES", 1024**2)
    log, good = rows(tmp_path)
    log.write_text(json.dumps(good[0]) + "\n" + "x" * 3 * 1024**2)
    with pytest.raises(DataError, match=r":2: a line of more than 1 MiB"):
        list(read_samples_log(log))


def test_names_cannot_lead_out_of_the_run_folder(anchor_eval: AnchorEval) -> None:
    """Names in a log, its results and on the command line become parts of file names, never paths."""
    log, good = rows(anchor_eval.folder)
    odd = "../../../outside/\u202e<script>"
    lines = [with_doc(row, id=f"{odd}{k}") for k, row in enumerate(good)]
    log.write_text("\n".join(lines))
    (results,) = log.parent.glob("results_*.json")
    results.write_text(json.dumps({"model_name": odd, "configs": {TASK: {}}}))
    judge = write_judge(anchor_eval.folder / "replies.yaml", "GOOD")
    before = set(anchor_eval.folder.parent.rglob("*"))
    done = anchor_eval("score", "run", "--judge", judge, "--as", "../../outside/x")
    assert done.returncode == 0, done.stderr
    new = set(anchor_eval.folder.parent.rglob("*")) - before
    assert {path.parent for path in new} == {log.parent, anchor_eval.folder}
    assert f"judgements_{TASK}_outside-x.jsonl" in {path.name for path in new}
    assert [question.question.id for question in load_run(log.parent).tasks[TASK].read()] == [
        f"{odd}{k}" for k in range(3)
    ]


def test_half_a_character_in_a_log_is_judged_and_written(anchor_eval: AnchorEval) -> None:
    log, good = rows(anchor_eval.folder)
    good[1]["resps"] = [["<explanation>so \ud800 what</explanation><choice>B</choice>"]]
    good[2]["doc"]["question"] = "half \udfff?"
    log.write_text("\n".join(map(json.dumps, good)))
    judge = write_judge(anchor_eval.folder / "replies.yaml", "GOOD")
    done = anchor_eval("score", "run", "--judge", judge, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["coverage"] == 1.0
