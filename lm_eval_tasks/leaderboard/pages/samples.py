"""Data files of the sample browser: small enough to load one by one, readable without a server.

Browsers don't let a page opened from a file read other files, but they do load scripts from beside it. So
each file is a script of one call, ``anchor.put(key, value)``:

========================== ==================================================================================
``TASK/questions.js``      all questions of the task: ``[id, context, question, [[label, text], ...], gold]``
``TASK/RUN/index.js``      marks of all samples of a run, in the order of the questions; what filters read
``TASK/RUN/0.js, 1.js ..`` the texts, in pages of at most ``PAGE_QUESTIONS`` questions or about ``PAGE_CHARS``
``TASK/RUN/prompts-0.js`` what the model was asked, in the same pages: turns that all share, and the others
``TASK/RUN/judge-0.js``   what the judge was asked, likewise: system turn, pieces of the user turn, questions
========================== ==================================================================================

No text of a model is ever a key of an object, only an element of an array.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judges.records import Judgement, Unjudged
from lm_eval_tasks.leaderboard.asked_of_judge import Asked
from lm_eval_tasks.leaderboard.embed import script_json
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.sample_logs import Turns

PAGE_QUESTIONS = 25
PAGE_CHARS = 600_000


@dataclass(frozen=True, slots=True)
class Scale:
    """The criteria and verdicts of a judge, in order; a sample's marks hold places in ``verdicts``."""

    criteria: tuple[str, ...] = ()
    verdicts: tuple[str, ...] = ()


def write_questions(folder: Path, key: str, questions: Sequence[Question]) -> None:
    """Writes the questions of a task to ``folder``."""
    rows = [[q.id, q.context, q.question, [[c.label, c.text] for c in q.choices], q.gold] for q in questions]
    _write(folder / "questions.js", f"{key}/questions", rows)


def write_run(
    folder: Path,
    key: str,
    questions: Sequence[Question],
    scored: Mapping[str, ScoredQuestion],
    scale: Scale,
    prompts: Mapping[str, Turns] | None = None,
    judge: Asked | None = None,
) -> None:
    """Writes index and pages of one run.

    Args:
        folder: The run's folder; made if absent.
        key: Key of the run, which the browser asks by.
        questions: All questions of the task, in the order of ``write_questions``.
        scored: What the run has, by question id; a question that it lacks is ``null`` in the index.
        scale: Of the run's judge.
        prompts: What the model was asked, by question id; None or nothing where the log doesn't tell.
        judge: What its judge was asked; None where that isn't known.
    """
    starts: list[int] = []
    for number, (start, rows) in enumerate(_pages(questions, scored)):
        starts.append(start)
        _write(folder / f"{number}.js", f"{key}/{number}", rows)
        if prompts:
            asked = [prompts.get(question.id) for question in questions[start : start + len(rows)]]
            _write(folder / f"prompts-{number}.js", f"{key}/prompts-{number}", _shared(asked))
        if judge is not None:
            items = [scored.get(question.id) for question in questions[start : start + len(rows)]]
            asked_of = [judge.system, judge.pieces, [_asked(judge, item) for item in items]]
            _write(folder / f"judge-{number}.js", f"{key}/judge-{number}", asked_of)
    found = [scored.get(question.id) for question in questions]
    index = {
        "pages": starts,
        "prompts": bool(prompts),
        "judge": judge is not None,
        "marks": [
            None if item is None else "".join(_marks(response, scale) for response in item.responses)
            for item in found
        ],
        "scores": [
            None if item is None else [response.score for response in item.responses] for item in found
        ],
        "choices": [
            None if item is None else [response.response.choice for response in item.responses]
            for item in found
        ],
    }
    _write(folder / "index.js", f"{key}/index", index)


def _asked(judge: Asked, item: ScoredQuestion | None) -> Any:
    """``[the question as shown, for each sample its user turn where it isn't the filled pieces]``.

    Where the judge saw more, there follow for each sample its choice, the right answer and the reference.
    """
    if item is None:
        return None
    statements = [judge.statement(item.question, response.response) for response in item.responses]
    exceptions = [
        None if response.response.explanation is None else judge.exception(statement, _texts(response)[0])
        for response, statement in zip(item.responses, statements, strict=True)
    ]
    first = statements[0]
    if not judge.shows_more:
        return [first.question, exceptions]
    choices = [statement.choice for statement in statements]
    return [first.question, exceptions, choices, first.right_answer, first.reference]


def _shared(prompts: Sequence[Turns | None]) -> list[Any]:
    """``[turns at the head of all prompts, further turns of each]``; None for a prompt that isn't known."""
    known = [prompt for prompt in prompts if prompt is not None]
    same = 0
    while known and all(len(one) > same + 1 and one[same] == known[0][same] for one in known):
        same += 1
    head = known[0][:same] if known else ()
    return [head, [None if prompt is None else prompt[same:] for prompt in prompts]]


def _marks(response: ScoredResponse, scale: Scale) -> str:
    """One sample in 2 + criteria characters: state, choice, then the place of each verdict.

    State: ``j`` judged, ``u`` the judge gave no verdict, ``x`` no readable explanation, ``n`` no judge has
    seen it, ``f`` the reply never arrived. Choice: ``1`` right, ``0`` wrong, ``?`` none that can be read,
    ``-`` none, since the question is open.
    Verdict: a digit or letter in base 36, ``-`` for none.
    """
    choice = "1" if response.correct else "0"
    if response.response.choice is None:
        choice = "-" if response.response.choice_problem is None else "?"
    verdicts = response.verdicts or {}
    places = "".join(
        _DIGITS[scale.verdicts.index(verdicts[key])] if verdicts.get(key) in scale.verdicts else "-"
        for key in scale.criteria
    )
    return f"{state(response)}{choice}{places}"


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def state(response: ScoredResponse) -> str:
    """The letter for how far a sample got; see :func:`_marks`."""
    if response.response.failure is not None:
        return "f"
    if response.response.explanation is None:
        return "x"
    if response.assessment is None:
        return "n"
    return "j" if isinstance(response.assessment.outcome, Judgement) else "u"


def _pages(
    questions: Sequence[Question], scored: Mapping[str, ScoredQuestion]
) -> Iterator[tuple[int, list[Any]]]:
    """``(index of the first question, rows)`` page by page; a row is None or a list of samples."""
    start, size = 0, 0
    rows: list[Any] = []
    for index, question in enumerate(questions):
        item = scored.get(question.id)
        row = None if item is None else [_texts(response) for response in item.responses]
        length = 0 if row is None else sum(len(part) for sample in row for part in sample if part)
        if rows and (len(rows) == PAGE_QUESTIONS or size + length > PAGE_CHARS):
            yield start, rows
            start, size, rows = index, 0, []
        rows.append(row)
        size += length
    if rows:
        yield start, rows


def _texts(response: ScoredResponse) -> list[str | None]:
    """``[explanation or whole reply, problem, the judge's raw reply, why unjudged]``."""
    read, assessment = response.response, response.assessment
    problems = [
        f"{part}: {problem.replace('_', ' ')}"
        for part, problem in (("explanation", read.explanation_problem), ("choice", read.choice_problem))
        if problem is not None
    ]
    unjudged = None
    if assessment is not None and isinstance(assessment.outcome, Unjudged):
        unjudged = ": ".join(filter(None, (assessment.outcome.reason, assessment.outcome.detail)))
    return [
        read.explanation if read.readable else read.text,
        "; ".join(problems) or None,
        None if assessment is None else assessment.raw,
        unjudged,
    ]


def _write(path: Path, key: str, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"anchor.put({script_json(key)},{script_json(value)});\n", encoding="utf-8")
