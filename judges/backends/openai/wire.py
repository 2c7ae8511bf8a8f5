"""What goes over the wire to an OpenAI-compatible endpoint: requests, forms, seeds, and waits it asks for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeAlias

from judges.records import Conversation, OutputForm, Sampling

FormKind: TypeAlias = Literal["regex", "json_schema", "none"]
"""How an endpoint is held to the form: vLLM's structured outputs, OpenAI's response format, or not at all."""


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
    omit: Collection[str] = (),
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
        omit: Fields of ours that are left out.
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
    for name in omit:
        body.pop(name, None)
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


def exactly_in_form(text: str, form: OutputForm, kind: FormKind) -> bool:
    """Whether a text is the form and nothing else, so that only a reply held to it can have come out so."""
    if kind != "json_schema" or not in_form(text, form, kind):
        return kind == "regex" and in_form(text, form, kind)
    schema, value = json.loads(form.json_schema), json.loads(text)
    return bool(value) and set(value) == set(schema.get("properties", {}))


def conversation_seed(seed: int, conversation: Conversation, drawn: int) -> int:
    """A seed that depends on the batch's seed and this conversation alone: 0 to 2^31 - 1."""
    content = json.dumps([seed, drawn, [[message.role, message.content] for message in conversation]])
    return int.from_bytes(hashlib.blake2b(content.encode(), digest_size=8).digest(), "big") % 2**31


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
