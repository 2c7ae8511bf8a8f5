"""All replies of a run as rows, for data frames and data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from judges.records import Unjudged
from lm_eval_tasks.records import Question, ScoredResponse

if TYPE_CHECKING:
    import datasets
    import pandas

    from lm_eval_tasks.runs.discovery import Run, TaskRun

_SHOWN = 20
"""Rows that a notebook shows."""


class Replies:
    """The replies of a run, a row each, in the order of the logs.

    A row has ``task``, ``id``, ``sample`` (from 0), ``context``, ``question``, ``choices`` ("A. text" each),
    ``gold``, ``choice``, ``right`` (None for an open question), ``explanation``, ``reply`` (as written),
    ``score`` in points, a column for each criterion with its verdict, ``problem`` (why the reply can't be
    read), ``unjudged`` (why there is no verdict) and ``judge_reply``.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __iter__(self) -> Iterator[dict[str, Any]]:
        criteria = self._criteria()
        for task in self._run.tasks.values():
            for scored in task.read():
                for number, reply in enumerate(scored.responses):
                    yield _row(task, scored.question, number, reply, criteria)

    def __len__(self) -> int:
        return sum(len(scored.responses) for task in self._run.tasks.values() for scored in task.read())

    def to_pandas(self) -> pandas.DataFrame:
        """As a frame."""
        import pandas

        return pandas.DataFrame(list(self))

    def to_dataset(self) -> datasets.Dataset:
        """As a ``datasets.Dataset``."""
        import datasets

        return datasets.Dataset.from_list(list(self))

    def __repr__(self) -> str:
        return f"{len(self)} replies of {self._run.name} ({', '.join(self._run.tasks)})"

    def _repr_html_(self) -> str:
        return str(self.to_pandas().head(_SHOWN).to_html(escape=True))

    def _criteria(self) -> tuple[str, ...]:
        judges = [task.judge for task in self._run.tasks.values()]
        return tuple(dict.fromkeys(key for judge in judges if judge for key in judge.criteria))


def _row(
    task: TaskRun, question: Question, number: int, reply: ScoredResponse, criteria: tuple[str, ...]
) -> dict[str, Any]:
    response, assessment = reply.response, reply.assessment
    verdicts: Mapping[str, str] = reply.verdicts or {}
    units = task.judge.units if task.judge else 1
    unjudged = None
    if assessment is not None and isinstance(assessment.outcome, Unjudged):
        unjudged = ": ".join(filter(None, (assessment.outcome.reason, assessment.outcome.detail)))
    problem = response.failure or response.explanation_problem or response.choice_problem
    return {
        "task": task.task,
        "id": question.id,
        "sample": number,
        "context": question.context,
        "question": question.question,
        "choices": [f"{choice.label}. {choice.text}" for choice in question.choices],
        "gold": question.gold or None,
        "choice": response.choice,
        "right": None if question.is_open else reply.correct,
        "explanation": response.explanation,
        "reply": response.text,
        "score": None if reply.score is None else reply.score / units,
        **{key: verdicts.get(key) for key in criteria},
        "problem": problem,
        "unjudged": unjudged,
        "judge_reply": None if assessment is None else assessment.raw,
    }
