"""Rows of samples logs and judgement files -> scored questions, every field checked.

A samples log is what ``lm_eval --log_samples`` writes. Our tasks log parsed responses in ``filtered_resps``;
a log from elsewhere holds raw replies in ``resps``, which are read here.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from judges.errors import DataError
from judges.records import UnjudgedReason
from judges.storage.files import parse_object, read_rows
from lm_eval_tasks.questions.layouts import Layout, RowError, read_row
from lm_eval_tasks.questions.load import with_unique_id
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse, UnreadableReason
from lm_eval_tasks.runs.judging.scoring import read_replies
from lm_eval_tasks.tasks.spec import Protocol


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class _Choices(_Checked):
    label: list[str]
    text: list[str]


class _Question(_Checked):
    id: str | int
    context: str | None = None
    question: str
    choices: _Choices
    gold: str
    reference: str | None = None


class _Assessment(_Checked):
    verdicts: dict[str, str] | None
    unjudged: UnjudgedReason | None
    detail: str | None
    raw: str | None
    attempts: int = Field(ge=0)
    prompt_tokens: int | None = Field(ge=0)
    completion_tokens: int | None = Field(ge=0)
    cached_prompt_tokens: int | None = Field(ge=0)
    seconds: float = Field(ge=0)
    cached: bool
    price: float | None
    flagged: list[str] = []


class _Draft(_Checked):
    explanation: str | None
    choice: str | None
    correct: bool
    principle: str | None


class _Response(_Checked):
    text: str
    explanation: str | None
    choice: str | None
    explanation_problem: UnreadableReason | None
    choice_problem: UnreadableReason | None
    correct: bool
    judgement: _Assessment | None = None
    score: int | None = Field(default=None, ge=0)
    draft: _Draft | None = None
    failure: str | None = None


C = TypeVar("C", bound=_Checked)

Turns: TypeAlias = tuple[tuple[str, str], ...]
"""A prompt: role and text of each turn."""


def read_judgement_file(path: Path) -> Iterator[ScoredQuestion]:
    """Reads a file of ``ScoredQuestion.to_json`` rows, as ``anchor-eval score`` writes it.

    Raises:
        DataError: With file and line, for anything that isn't such a row, and for a question seen twice.
    """
    seen: set[str] = set()
    for where, row in read_rows(path):
        question = _question(row.get("question"), where)
        responses = row.get("responses")
        if not isinstance(responses, list) or not responses:
            raise DataError(f"{where}: 'responses' is missing, empty or no list")
        scored = tuple(_response(response, question, where) for response in responses)
        yield _once(ScoredQuestion(question, scored), seen, where)


def read_samples_log(
    path: Path, layouts: Sequence[Layout] = (), protocol: Protocol = "explain"
) -> Iterator[ScoredQuestion]:
    """Reads a samples log of one of our tasks, with our parsed responses or with raw replies.

    Args:
        path: The ``samples_<task>_<date>.jsonl`` file.
        layouts: The task's row layouts, for logs whose docs are rows of the data set as it lies on the hub.
        protocol: How raw replies are to be read.

    Raises:
        DataError: With file and line, for anything else, and for a question that comes twice.
    """
    seen: set[str] = set()
    repeated: Counter[str] = Counter()
    for where, row in read_rows(path):
        question = _logged_question(row, layouts, repeated, where)
        parsed = parsed_responses(row)
        if parsed is not None:
            responses = tuple(_response(response, question, where) for response in parsed)
        else:
            responses = read_replies(question, _raw_replies(row, where), protocol).responses
        yield _once(ScoredQuestion(question, responses), seen, where)


def read_prompts(path: Path, layouts: Sequence[Layout] = ()) -> Iterator[tuple[str, Turns]]:
    """What the model was asked, question by question: the turns, or one text, as they were sent.

    Args:
        path: As :func:`read_samples_log` takes it; rows that hold no prompt are passed over.
        layouts: Likewise.

    Yields:
        A question's id, and its turns: role and text each; the role of a text without turns is ``prompt``.
    """
    repeated: Counter[str] = Counter()
    for where, row in read_rows(path):
        question = _logged_question(row, layouts, repeated, where)
        turns = _turns(row.get("arguments"))
        if turns:
            yield question.id, turns


def _turns(arguments: Any) -> Turns:
    """The prompt among a request's arguments, in whichever form the harness logged them."""
    while isinstance(arguments, list | Mapping) and arguments:
        arguments = arguments[0] if isinstance(arguments, list) else next(iter(arguments.values()))
    if not isinstance(arguments, str) or not arguments:
        return ()
    try:
        found = json.loads(arguments)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list) and found and all(isinstance(turn, Mapping) for turn in found):
        return tuple((str(turn.get("role")), _content(turn.get("content"))) for turn in found)
    return (("prompt", arguments),)


def _content(content: Any) -> str:
    """A turn's text; of parts, the texts."""
    if isinstance(content, list):
        return "".join(
            str(part.get("text", "")) if isinstance(part, Mapping) else str(part) for part in content
        )
    return str(content)


def is_explain_row(row: Mapping[str, Any]) -> bool:
    """Whether a row of a samples log was written by one of our tasks."""
    return _in_row_form(row.get("doc")) or parsed_responses(row) is not None


def parsed_responses(row: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Our parsed responses in a row's ``filtered_resps``; None if it holds something else."""
    found = []
    for text in _flat(row.get("filtered_resps")):
        if not text.startswith("{"):
            return None
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict) or not {"text", "explanation", "choice", "correct"} <= value.keys():
            return None
        # Read again with NaN refused: json.loads above only tells whose row this is.
        found.append(parse_object(text, "filtered_resps"))
    return found or None


def _logged_question(
    row: Mapping[str, Any], layouts: Sequence[Layout], repeated: Counter[str], where: str
) -> Question:
    doc = row.get("doc")
    if not isinstance(doc, Mapping):
        raise DataError(f"{where}: 'doc' is missing: not a row of an lm_eval samples log")
    if _in_row_form(doc) or not layouts:
        return _question(doc, where)
    try:
        question = read_row(doc, layouts, new_id="")
    except RowError as error:
        raise DataError(f"{where}: the doc is no question of this task: {error}") from None
    return with_unique_id(question, repeated)


def _in_row_form(doc: Any) -> bool:
    return isinstance(doc, Mapping) and {"id", "question", "choices", "gold"} <= doc.keys()


def _question(row: Any, where: str) -> Question:
    _check(_Question, row, where, "question")
    if len(row["choices"]["label"]) == 1:
        raise DataError(f"{where}: question choices.label: one choice alone; an open question has none")
    try:
        return Question.from_json(row)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None


def _response(row: Any, question: Question, where: str) -> ScoredResponse:
    _check(_Response, row, where, "response")
    response = ScoredResponse.from_json(row)
    choices = [(response.response.choice, response.correct)]
    if response.draft is not None:
        choices.append((response.draft.choice, response.draft.correct))
    for choice, correct in choices:
        if choice is not None and choice not in question.labels:
            raise DataError(f"{where}: choice {choice!r} is none of the labels {', '.join(question.labels)}")
        if correct != (choice == question.gold and not question.is_open):
            raise DataError(f"{where}: choice {choice!r} and gold {question.gold!r} contradict 'correct'")
    if (response.score is None) != (response.verdicts is None):
        raise DataError(f"{where}: a score without verdicts, or verdicts without a score")
    return response


def _raw_replies(row: Mapping[str, Any], where: str) -> list[str]:
    replies = _flat(row.get("resps"))
    if not replies:
        raise DataError(f"{where}: neither 'filtered_resps' nor 'resps' holds replies")
    return replies


def _flat(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _flat(item)]
    return []


def _once(scored: ScoredQuestion, seen: set[str], where: str) -> ScoredQuestion:
    if scored.question.id in seen:
        raise DataError(f"{where}: question {scored.question.id!r} comes twice")
    seen.add(scored.question.id)
    return scored


def _check(kind: type[C], row: Any, where: str, what: str) -> None:
    try:
        kind.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{where}: {what}{' ' + place if place else ''}: {first['msg']}") from None
