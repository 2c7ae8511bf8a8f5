"""Rationales: read where a layout names their field, by the ids of their questions, and shown to nobody."""

from __future__ import annotations

import json
from pathlib import Path

from lm_eval_tasks.tasks.load import load_task

ROWS = [
    {"question": "2 + 2?", "options": ["A)3", "B)4"], "rationale": "Two and two\nare four.", "correct": "B"},
    {"question": "1 + 2?", "options": ["A)3", "B)4"], "rationale": "  ", "correct": "A"},
    {"question": "1 + 1?", "options": ["A)2", "B)4"], "correct": "A"},
    {"question": "2 + 2?", "options": ["A)3", "B)4"], "rationale": "Again.", "correct": "B"},
]


def test_they_are_read_by_question(tmp_path: Path):
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    spec = load_task("aqua_rat_explain")
    loaded = spec.load("train", tmp_path)
    ids = [question.id for question in loaded.questions]
    assert loaded.rationales == {ids[0]: "Two and two\nare four.", ids[3]: "Again."}
    assert ids[3] == f"{ids[0]}#2"
    for question in loaded.questions:
        assert "are four" not in spec.shown_question(question)
        assert question.to_json().get("reference") == question.reference == loaded.rationales.get(question.id)


def test_other_layouts_have_none(shared_data: Path):
    spec = load_task("arc_challenge_explain")
    assert spec.load("validation", shared_data).rationales == {}
    assert load_task("aqua_rat_explain").load("validation", shared_data).rationales
