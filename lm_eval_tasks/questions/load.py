"""From the rows of a data set to questions: every row read or named, every id unique."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from judges.errors import DataError
from lm_eval_tasks.questions.layouts import Layout, RowError, read_row
from lm_eval_tasks.questions.rows import Row, listed
from lm_eval_tasks.records import Question


@dataclass(frozen=True, slots=True)
class Loaded:
    """The questions of some rows.

    Attributes:
        questions: In the order of the rows.
        left_out: Rows that can't be read and aren't among them: where each stands and why.
    """

    questions: tuple[Question, ...]
    left_out: tuple[str, ...] = ()

    @property
    def rationales(self) -> Mapping[str, str]:
        """Id of a question -> the reason that its row gives for the right choice, where it has one."""
        return {one.id: one.reference for one in self.questions if one.reference is not None}

    @property
    def note(self) -> str | None:
        """A sentence on the rows that were left out; None if none was."""
        if not self.left_out:
            return None
        return left_out_text(len(self.left_out), self.left_out)


def questions_of(rows: Iterable[Row], layouts: Sequence[Layout], *, skip_unreadable: bool = False) -> Loaded:
    """Reads all rows, in their order.

    A question's id is the row's own one, or else a hash of its content, which is the same in every layout and
    in every run. Where an id comes again (data sets repeat rows), the second has ``#2`` behind it, and so on.

    Args:
        rows: The rows.
        layouts: The layouts that they come in.
        skip_unreadable: Whether rows that can't be read are left out, and told in what is returned.

    Raises:
        DataError: Naming the rows that can't be read, unless they are left out; or if no row can be read.
    """
    questions: list[Question] = []
    problems: list[str] = []
    seen: Counter[str] = Counter()
    for row in rows:
        try:
            if row.problem is not None:
                raise RowError(row.problem)
            question = read_row(row.values, layouts, new_id="")
        except RowError as error:
            problems.append(f"{row.place}: {error}")
            continue
        questions.append(with_unique_id(question, seen))
    if problems and not (skip_unreadable and questions):
        total = len(problems) + len(questions)
        hint = "; skip_unreadable_rows leaves such rows out and counts them" if questions else ""
        raise DataError(f"{len(problems)} of {total} rows can't be read: {listed(problems)}{hint}")
    return Loaded(tuple(questions), tuple(problems))


def left_out_text(number: int, places: Sequence[str] = ()) -> str:
    """That rows were left out, where a result is told.

    Args:
        number: How many.
        places: Where they stand and why they can't be read; the first two are told.
    """
    said = f"{number} {'row' if number == 1 else 'rows'} of the data left out that can't be read"
    if not places:
        return said
    more = f"; and {number - 2} more" if number > 2 else ""
    return f"{said}: {'; '.join(places[:2])}{more}"


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
