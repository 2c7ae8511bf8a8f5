"""Tasks as their YAML files have them, and the real question sets through them."""

from __future__ import annotations

from pathlib import Path

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.specs import load_task, task_names

REAL_SPLITS = [
    ("aqua_rat_explain", "validation", 254),
    ("aqua_rat_explain", "train", 2724),
    ("arc_challenge_explain", "train", 1119),
    ("arc_challenge_explain", "validation", 299),
    ("logiqa_explain", "validation", 651),
    ("openbookqa_explain", "train", 4957),
    ("openbookqa_explain", "validation", 500),
]


@pytest.mark.parametrize(("task", "split", "count"), REAL_SPLITS)
def test_every_real_row_becomes_a_question(shared_data: Path, task: str, split: str, count: int) -> None:
    questions = load_task(task).load_questions(split, shared_data)
    assert len(questions) == count
    assert len({question.id for question in questions}) == count
    for question in questions:
        assert question.gold in question.labels
        assert (question.context is not None) == (task == "logiqa_explain")


def test_both_forms_of_logiqa_hold_the_same_questions(shared_data: Path) -> None:
    task = load_task("logiqa_explain")
    text = task.load_questions("validation", shared_data / "logiqa" / "Eval.txt")
    assert text == task.load_questions("validation", shared_data / "logiqa" / "eval.jsonl")


def test_real_arc_rows_keep_their_labels(shared_data: Path) -> None:
    questions = load_task("arc_challenge_explain").load_questions("train", shared_data)
    kinds = [question.labels for question in questions]
    assert kinds.count(("1", "2", "3", "4")) == 23
    assert kinds.count(("A", "B", "C")) == 1
    assert kinds.count(("A", "B", "C", "D", "E")) == 1


def test_the_built_in_tasks() -> None:
    assert set(task_names()) >= {
        "aqua_rat_explain",
        "arc_challenge_explain",
        "logiqa_explain",
        "openbookqa_explain",
    }
    for name in task_names():
        task = load_task(name)
        assert task.name == name
        assert task.sampling.n == 16
        assert (task.sampling.temperature, task.sampling.top_p) == (0.6, 0.9)


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'logiqa_explain'"):
        load_task("logiqa_explan")
