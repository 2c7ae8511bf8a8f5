"""One line of a batch: the request that is written, and what a line of results says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from judges.backends.openai.complaints import error_text, understood
from judges.backends.openai.endpoint import Endpoint, Refused, words_of
from judges.backends.openai.reading import (
    ErrorAnswerError,
    NotAReplyError,
    UnusableReplyError,
    filtered,
    read_answer,
)
from judges.backends.openai.wire import FormKind
from judges.records import Completion, Conversation, Failure, Reply, Sampling, Usage


@dataclass(frozen=True, slots=True)
class Line:
    """What reading the reply to a line takes.

    Attributes:
        key: Of its reply, and its ``custom_id``.
        words: Of its prompt.
        form: How the reply was held to the form.
    """

    key: str
    words: int
    form: FormKind


def request_line(
    endpoint: Endpoint, key: str, conversation: Conversation, sampling: Sampling
) -> tuple[Line, Mapping[str, Any]]:
    """A request for one completion, put as the endpoint was found to take it, and its body."""
    form = endpoint.form
    body = endpoint.body(conversation, sampling, form, n=1, drawn=0)
    return Line(key, words_of(conversation), form), body


def status_of(row: Mapping[str, Any]) -> int | None:
    """The status of a line of results; None if it is none that is known. One that isn't given is 200."""
    response = row.get("response")
    found = response.get("status_code") if isinstance(response, Mapping) else None
    if found is None:
        return 200
    if isinstance(found, str) and found.isascii() and found.isdigit():
        found = int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) and 200 <= found < 600 else None


def answered(row: Mapping[str, Any]) -> bool:
    """Whether a line of results is a reply, and no error."""
    status = status_of(row)
    return (
        not row.get("error")
        and isinstance(row.get("response"), Mapping)
        and status is not None
        and status < 300
    )


def outcome_of(endpoint: Endpoint, row: Mapping[str, Any], line: Line, sampling: Sampling) -> Reply | Failure:
    """What a line of results says, read as any reply.

    Args:
        endpoint: Where it was asked.
        row: ``{response: {status_code, body}, error}``.
        line: What it answers.
        sampling: As it was asked.
    """
    response, error, status = row.get("response"), row.get("error"), status_of(row)
    if error or not isinstance(response, Mapping):
        return Failure(endpoint.safe(f"its line of the batch failed ({error_text({'error': error})})"))
    if status is None:
        said = endpoint.safe(repr(response.get("status_code")))
        return Failure(f"its line of the batch has the unknown status {said}")
    body = response.get("body")
    try:
        if status >= 300:
            raise ErrorAnswerError(body if isinstance(body, Mapping) else {"error": {"message": str(body)}})
        read = read_answer(endpoint.masked(json.dumps(body)))
        endpoint.check_prompt(read.usage, line.words)
        return Reply(tuple(endpoint.completions(read, sampling, line.form)[:1]), read.usage)
    except ErrorAnswerError as problem:
        text = endpoint.safe(error_text(problem.body))
        if understood(status, problem.body, {}).kind == "refused" or filtered(problem.body):
            return Reply((Completion("", "refused"),), Usage())
        return Failure(f"its line of the batch failed ({status}: {text})")
    except (NotAReplyError, Refused) as problem:
        return Failure(f"its line of the batch has no reply ({endpoint.safe(str(problem))})")
    except UnusableReplyError as problem:
        return Failure(f"its line of the batch has {endpoint.safe(str(problem))}", usage=problem.usage)
