"""The data files of the sample browser, read back as the browser does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lm_eval_tasks.leaderboard.pages import samples
from lm_eval_tasks.leaderboard.pages.samples import Scale, write_questions, write_run
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, RUBRIC, Evaluation, make_questions, score_model

SCALE = Scale(tuple(criterion.key for criterion in RUBRIC.criteria), tuple(RUBRIC.scale))
EVALUATION = Evaluation(questions=57, repeats=3)


def put(path: Path) -> tuple[str, Any]:
    """Key and value that a data file puts."""
    text = path.read_text(encoding="utf-8").removeprefix("anchor.put(").removesuffix(");\n")
    key, value = json.loads(f"[{text}]")
    return key, value


def test_pages_hold_every_question_once_and_the_index_says_where(tmp_path: Path) -> None:
    questions = make_questions(EVALUATION)
    scored = {item.question.id: item for item in score_model(ANCHOR, EVALUATION)}
    del scored[questions[30].id]
    write_run(tmp_path, "task/run", questions, scored, SCALE)
    _, index = put(tmp_path / "index.js")
    assert index["pages"] == [0, 25, 50]
    rows = [row for number in range(3) for row in put(tmp_path / f"{number}.js")[1]]
    assert len(rows) == len(questions) == len(index["marks"])
    assert [place for place, row in enumerate(rows) if row is None] == [30]
    assert index["marks"][30] is index["scores"][30] is index["choices"][30] is None
    for question, row, scores in zip(questions, rows, index["scores"], strict=True):
        if row is not None:
            assert scores == [sample.score for sample in scored[question.id].responses]
            readable = [sample.response.readable for sample in scored[question.id].responses]
            texts = [sample.response.explanation for sample in scored[question.id].responses]
            assert [text for (text, *_), ok in zip(row, readable, strict=True) if ok] == [
                text for text, ok in zip(texts, readable, strict=True) if ok
            ]


def test_marks_say_state_choice_and_each_verdict(tmp_path: Path) -> None:
    questions = make_questions(EVALUATION)
    scored = {item.question.id: item for item in score_model(ANCHOR, EVALUATION)}
    write_run(tmp_path, "task/run", questions, scored, SCALE)
    _, index = put(tmp_path / "index.js")
    for question, marks in zip(questions, index["marks"], strict=True):
        for sample, mark in zip(
            scored[question.id].responses, [marks[at : at + 7] for at in range(0, len(marks), 7)], strict=True
        ):
            assert (mark[1] == "1") == sample.correct
            assert (mark[0] == "j") == (sample.score is not None)
            if sample.verdicts is not None:
                assert [SCALE.verdicts[int(digit)] for digit in mark[2:]] == list(sample.verdicts.values())


def test_long_texts_make_shorter_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "PAGE_CHARS", 5_000)
    questions = make_questions(EVALUATION)
    scored = {item.question.id: item for item in score_model(ANCHOR, EVALUATION)}
    write_run(tmp_path, "task/run", questions, scored, SCALE)
    _, index = put(tmp_path / "index.js")
    assert len(index["pages"]) > 10
    sizes = [(tmp_path / f"{number}.js").stat().st_size for number in range(len(index["pages"]))]
    assert max(sizes) < 12_000


def test_questions_keep_their_choices_gold_and_context(tmp_path: Path) -> None:
    questions = make_questions(Evaluation(questions=2, context=True))
    write_questions(tmp_path, "task", questions)
    key, rows = put(tmp_path / "questions.js")
    assert key == "task/questions"
    assert [row[0] for row in rows] == [question.id for question in questions]
    assert rows[0][1].startswith("The ")
    assert dict(rows[1][3])[rows[1][4]] == questions[1].gold_choice.text


def test_prompts_lie_in_the_same_pages_and_what_all_share_is_there_once(tmp_path: Path) -> None:
    questions = make_questions(EVALUATION)
    scored = {item.question.id: item for item in score_model(ANCHOR, EVALUATION)}
    shared = (("system", "Explain."), ("user", "An example?"), ("assistant", "So."))
    prompts = {question.id: (*shared, ("user", question.question)) for question in questions[:-1]}
    write_run(tmp_path, "task/run", questions, scored, SCALE, prompts)
    _, index = put(tmp_path / "index.js")
    assert index["prompts"]
    found: list[Any] = []
    for number in range(len(index["pages"])):
        head, rest = put(tmp_path / f"prompts-{number}.js")[1]
        assert head == [list(turn) for turn in shared]
        found += [None if turns is None else [*head, *turns] for turns in rest]
    expected = [prompts.get(question.id) for question in questions]
    assert found == [None if turns is None else [list(turn) for turn in turns] for turns in expected]
