"""From the rows of a data set to questions: every row read or named, every id unique."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from judges.errors import DataError
from lm_eval_tasks.questions.layouts import Layout, RowError, read_row
from lm_eval_tasks.questions.rows import Row, listed
from lm_eval_tasks.records import Question


def questions_of(rows: Iterable[Row], layouts: Sequence[Layout]) -> list[Question]:
    """Reads all rows, in their order.

    A question's id is the row's own one, or else a hash of its content, which is the same in every layout and
    in every run. Where an id comes again (data sets repeat rows), the second has ``#2`` behind it, and so on.

    Raises:
        DataError: Naming the rows that can't be read. None is left out.
    """
    questions: list[Question] = []
    problems: list[str] = []
    seen: Counter[str] = Counter()
    for row in rows:
        try:
            question = read_row(row.values, layouts, new_id="")
        except RowError as error:
            problems.append(f"{row.place}: {error}")
            continue
        questions.append(with_unique_id(question, seen))
    if problems:
        total = len(problems) + len(questions)
        raise DataError(f"{len(problems)} of {total} rows can't be read: {listed(problems)}")
    return questions


def with_unique_id(question: Question, seen: Counter[str]) -> Question:
    """The question under its own id or its content's, told apart from those seen before it."""
    id_ = question.id or content_id(question)
    seen[id_] += 1
    return replace(question, id=id_ if seen[id_] == 1 else f"{id_}#{seen[id_]}")


def content_id(question: Question) -> str:
    """Hash of what a question says: context, text, labelled choices and gold.

    White space and the order in which the choices are printed don't count.
    """
    choices = sorted((choice.label, choice.text) for choice in question.choices)
    parts = [
        question.context or "",
        question.question,
        *(part for choice in choices for part in choice),
        question.gold,
    ]
    content = json.dumps([" ".join(part.split()) for part in parts], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
