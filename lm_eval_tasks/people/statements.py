"""Which statements people are asked to rate, and what of them they see.

A rater sees what a judge sees: the question with its choices, and the explanation. No model, no judge's
verdict, no right answer. A statement is known by a hash of these two texts, so that a rating always belongs
to the very words that were rated.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from judges.errors import ConfigError, DataError
from judges.storage.files import sha256_of, text_hash
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import Run, TaskRun
from lm_eval_tasks.runs.drawing import of_strata
from lm_eval_tasks.tasks.spec import TaskSpec

_ID = 24  # hexadecimal digits of a statement's hash
_SOURCE = 12


@dataclass(frozen=True, slots=True)
class Shown:
    """A statement as a rater sees it.

    Attributes:
        id: Hash of the two texts.
        task: Its task.
        question_id: Its question.
        source: Which log it was drawn from, in a form that tells a reader nothing.
        question: Text of the question with context and choices.
        explanation: The text under judgement.
    """

    id: str
    task: str
    question_id: str
    source: str
    question: str
    explanation: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sample that may be drawn."""

    shown: Shown
    right: bool
    score: int | None


def statement_id(question: str, explanation: str) -> str:
    """What a statement is known by: a hash of what is shown of it."""
    return text_hash(question, explanation)[:_ID]


def source_id(run: TaskRun) -> str:
    """What a log is known by on the page."""
    return text_hash("source", sha256_of(run.samples_file))[:_SOURCE]


def draw(runs: Sequence[Run], specs: Mapping[str, TaskSpec], number: int, *, seed: int = 0) -> list[Shown]:
    """Draws statements for people to rate.

    Of one run: as many of each stratum, right and wrong by thirds of the score (right and wrong alone where
    nobody has judged yet), and of as many questions as there are. Of several runs: the same questions of each
    run, spread evenly over easy and hard ones, and one sample of each run to a question, all equally likely.
    Then people's win - loss on these questions has the expectation of win - loss on all.

    Args:
        runs: The runs.
        specs: Tasks by name; those that all runs have are drawn from, equally.
        number: About how many statements to draw in all.
        seed: Of the draw.

    Raises:
        ConfigError: If fewer statements are asked for than there are runs and tasks.
        DataError: If runs share no task, or a task has no statement to draw.
    """
    tasks = [task for task in specs if all(task in run.tasks for run in runs)]
    if not tasks:
        held = "; ".join(f"{run.name}: {', '.join(run.tasks)}" for run in runs)
        raise DataError(f"the runs have no task in common ({held})")
    if number < len(runs) * len(tasks):
        raise ConfigError(
            f"{number} statements: of {len(runs)} runs on {len(tasks)} tasks it takes at least "
            f"{len(runs) * len(tasks)}"
        )
    found: dict[str, Shown] = {}
    for place, task in enumerate(tasks):
        rng = random.Random(f"{seed}/{task}")
        share = number // len(tasks) + (place < number % len(tasks))
        of_runs = [run.tasks[task] for run in runs]
        drawn = (
            _of_strata(of_runs[0], specs[task], share, rng)
            if len(runs) == 1
            else _of_questions(of_runs, specs[task], share // len(runs), rng)
        )
        if not drawn:
            where = ", ".join(str(run.samples_file) for run in of_runs)
            raise DataError(f"{where}: no readable explanation to rate")
        found |= {shown.id: shown for shown in drawn}
    drawn = list(found.values())
    random.Random(f"{seed}/order").shuffle(drawn)
    return drawn


def _of_strata(run: TaskRun, spec: TaskSpec, number: int, rng: random.Random) -> list[Shown]:
    source = source_id(run)
    return [
        Shown(
            statement_id(drawn.text, drawn.explanation),
            drawn.task,
            drawn.question.id,
            source,
            drawn.text,
            drawn.explanation,
        )
        for drawn in of_strata(run, spec, number, rng)
    ]


def _of_questions(runs: Sequence[TaskRun], spec: TaskSpec, number: int, rng: random.Random) -> list[Shown]:
    """One sample of each run to each of some questions."""
    by_run = []
    for run in runs:
        source = source_id(run)
        judged = run.judge is not None
        found = {}
        for scored in run.read():
            candidates = [
                one for one in _candidates(spec, scored, source) if not judged or one.score is not None
            ]
            if candidates:
                found[scored.question.id] = candidates
        by_run.append(found)
    shared = [question for question in by_run[0] if all(question in found for found in by_run)]
    rng.shuffle(shared)
    # A systematic draw from the questions in the order of difficulty: every question is as likely as another,
    # and easy and hard ones come in their shares.
    shared.sort(key=lambda question: _ease([one for found in by_run for one in found[question]]))
    number = min(number, len(shared))
    if not number:
        return []
    step, start = len(shared) / number, rng.random()
    chosen = [shared[int((start + place) * step) % len(shared)] for place in range(number)]
    return [rng.choice(found[question]).shown for question in chosen for found in by_run]


def _ease(candidates: Sequence[_Candidate]) -> tuple[float, float]:
    right = sum(one.right for one in candidates) / len(candidates)
    return right, sum(one.score or 0 for one in candidates) / len(candidates)


def _candidates(spec: TaskSpec, scored: ScoredQuestion, source: str) -> Iterator[_Candidate]:
    question = spec.shown_question(scored.question)
    for sample in scored.answered:
        shown = shown_of(spec.name, scored.question, question, sample, source)
        if shown is not None:
            yield _Candidate(shown, sample.correct, sample.score)


def shown_of(
    task: str, question: Question, text: str, sample: ScoredResponse, source: str = ""
) -> Shown | None:
    """What a rater would see of a sample; None if it has no readable explanation.

    Args:
        task: Its task.
        question: Its question.
        text: The question as it is shown.
        sample: The sample.
        source: As in :class:`Shown`.
    """
    explanation = sample.response.explanation
    if explanation is None:
        return None
    return Shown(statement_id(text, explanation), task, question.id, source, text, explanation)
