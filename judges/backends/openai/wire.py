"""What goes over the wire to an OpenAI-compatible endpoint, and how what comes back is read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

from judges.records import Completion, Conversation, FinishReason, OutputForm, Sampling, Usage

FormKind: TypeAlias = Literal["regex", "json_schema", "none"]
"""How an endpoint is held to the form: vLLM's structured outputs, OpenAI's response format, or not at all."""


class NotAReplyError(Exception):
    """The endpoint answered with something that is no chat completion; the message says what."""


def request_body(
    model: str,
    conversation: Conversation,
    sampling: Sampling,
    *,
    form: FormKind,
    n: int,
    drawn: int,
    token_limit: str,
    extra: Mapping[str, Any],
) -> dict[str, Any]:
    """The JSON body of one request.

    Args:
        model: Model name at the endpoint.
        conversation: What to answer.
        sampling: How to answer.
        form: How the reply is held to ``sampling.form``.
        n: Completions to ask for in this request.
        drawn: Completions of this conversation that are there already; moves the seed.
        token_limit: Name of the field that bounds the completion's length.
        extra: Fields of the user's own.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": message.content} for message in conversation],
        "temperature": sampling.temperature,
        token_limit: sampling.most_tokens,
    }
    if n > 1:
        body["n"] = n
    if sampling.top_p < 1:
        body["top_p"] = sampling.top_p
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if sampling.seed is not None:
        body["seed"] = conversation_seed(sampling.seed, conversation, drawn)
    if sampling.form is not None:
        body.update(form_fields(sampling.form, form))
    body.update(extra)
    return body


def form_fields(form: OutputForm, kind: FormKind) -> dict[str, Any]:
    """The body's fields that hold a reply to a form."""
    match kind:
        case "regex":
            return {"structured_outputs": {"regex": form.regex}}
        case "json_schema":
            schema = {"name": "reply", "strict": True, "schema": json.loads(form.json_schema)}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
        case "none":
            return {}


def in_form(text: str, form: OutputForm, kind: FormKind) -> bool:
    """Whether a finished reply has the form that was asked for; some endpoints ignore the request."""
    match kind:
        case "regex":
            return re.fullmatch(form.regex, text) is not None
        case "json_schema":
            try:
                return isinstance(json.loads(text), dict)
            except (ValueError, RecursionError):
                return False
        case "none":
            return True


def conversation_seed(seed: int, conversation: Conversation, drawn: int) -> int:
    """A seed that depends on the batch's seed and this conversation alone: 0 to 2^31 - 1."""
    content = json.dumps([seed, drawn, [[message.role, message.content] for message in conversation]])
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "big") % 2**31


def read_reply(text: str) -> tuple[tuple[Completion, ...], Usage | None]:
    """The completions and the tokens in a response body, whatever content type it came with.

    Raises:
        NotAReplyError: If it isn't a chat completion.
    """
    if not text.strip():
        raise NotAReplyError("an empty body")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise NotAReplyError(f"no JSON: {excerpt(text)}") from None
    if not isinstance(body, dict):
        raise NotAReplyError(f"no chat completion: {excerpt(text)}")
    if body.get("error"):
        raise NotAReplyError(f"an error: {error_text(body)}")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise NotAReplyError(f"no choices: {excerpt(text)}")
    return tuple(_completion(choice) for choice in choices), _usage(body)


def _completion(choice: object) -> Completion:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise NotAReplyError(f"a choice without a message: {excerpt(json.dumps(choice))}")
    text, refusal = message.get("content"), message.get("refusal")
    if not isinstance(text, str | None) or not isinstance(refusal, str | None):
        raise NotAReplyError(f"a message that is no text: {excerpt(json.dumps(message))}")
    finish: FinishReason = "stop"
    if choice.get("finish_reason") == "length":
        finish = "length"
    elif refusal or choice.get("finish_reason") == "content_filter":
        finish = "refused"
    return Completion(text or refusal or "", finish)


def _usage(body: Mapping[str, Any]) -> Usage | None:
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    counts = (
        usage.get("prompt_tokens"),
        usage.get("completion_tokens"),
        (details.get("cached_tokens") if isinstance(details, dict) else 0) or 0,
    )
    if not all(isinstance(count, int) and count >= 0 for count in counts):
        return None
    return Usage(*counts)  # type: ignore[arg-type]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from ``Retry-After`` (seconds or an HTTP date) or ``Retry-After-Ms``; None without.

    A date is read against the response's own ``Date``, so that a wrong clock on either side does no harm.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", milliseconds):
        return float(milliseconds) / 1000
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    now = _http_date(headers.get("date", "")) or datetime.now(timezone.utc)
    return max(0.0, (until - now).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def error_text(body: object) -> str:
    """The message in an error body, whichever of the usual shapes it has."""
    found: object = body
    for key in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(key):
            found = found[key]
    return excerpt(found if isinstance(found, str) else json.dumps(found, default=str))


def error_code(body: object) -> object:
    """The machine's name of an error, where the body has one."""
    error = body.get("error") if isinstance(body, dict) else None
    return error.get("code") if isinstance(error, dict) else None


def excerpt(text: str, length: int = 200) -> str:
    """A text on one line, cut to a length."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"
