"""What an endpoint's error means: by its code, its parameter and its words, never by the status alone."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["refused", "too_long", "quota", "address", "parameter", "form", "unknown"]

FORM_FIELDS = ("response_format", "structured_outputs")
LEAVABLE = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "n")
"""Fields of a request that it can do without."""

_QUOTA_CODES = frozenset(
    {"insufficient_quota", "insufficient_credits", "insufficient_balance", "billing_hard_limit_reached"}
    | {"payment_required", "arrearage", "billing_not_active", "quota_exhausted", "credits_exhausted"}
)
_QUOTA = re.compile(
    r"(insufficient|not enough|out of|no remaining|ran out of)[\w ]{0,20}"
    r"(credit|balance|quota|fund)|credit balance is too low|account is in arrears|payment required"
    r"|billing hard limit",
    re.IGNORECASE,
)
_REFUSED_CODES = frozenset(
    {"content_filter", "content_policy_violation", "responsibleaipolicyviolation", "content_filtered"}
    | {"data_inspection_failed", "datainspectionfailed", "moderation_blocked", "prompt_blocked", "safety"}
    | {"sensitive", "prohibited_content", "content_blocked", "moderation_error", "guardrail_intervened"}
)
_REFUSED = re.compile(
    r"content management policy|content[ _-]?filter|content policy|safety system|usage polic"
    r"|flagged (as|by|for)|inappropriate content|unsafe or sensitive"
    r"|blocked by (our |the )?(safety|moderation)"
    r"|requires moderation|prohibited content|responsible ?ai",
    re.IGNORECASE,
)
_TOO_LONG_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "prompt_too_long"})
_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|(prompt|input|message|request)s?\b.{0,40}\btoo (long|large)"
    r"|too many (input )?tokens|(longer|more) than the model's (context|maximum)|reduce the length"
    r"|exceeds? (the )?(model's )?(maximum|max)[\w ]* (tokens?|length)|exceed_context_size",
    re.IGNORECASE,
)
_NO_SUCH_ADDRESS = re.compile(
    r"unexpected endpoint or method|no route matched|unknown request url", re.IGNORECASE
)
_UNKNOWN_TO_IT = re.compile(
    r"unsupported|not support|n'?t support|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed"
    r"|not accept|forbidden|deprecated|not available|unavailable|extra (inputs?|fields?)|no longer"
    r"|can(not|'?t) be (set|specified|used|changed)|additional propert|only the default|not implemented"
    r"|use ['\"`]?max_(completion_)?tokens|invalid (parameter|argument|field)|empty array"
    r"|must be (omitted|unset|null)",
    re.IGNORECASE,
)
_UNKNOWN_CODES = frozenset(
    {"unsupported_parameter", "unsupported_value", "unknown_parameter", "extra_forbidden", "empty_array"}
    | {"unrecognized_parameter", "parameter_not_supported"}
)
_FORM = re.compile(
    r"response_format|json[_ ]?schema|structured[_ ]?output|guided|grammar|regex|constrained", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error, understood.

    Attributes:
        kind: ``refused``: the provider's filter; ``too_long``: more than fits; ``quota``: nothing left to
            spend; ``address``: no such page; ``parameter``: a field that it doesn't take; ``form``: the form
            of the reply; else ``unknown``.
        parameter: The field, where ``kind`` is ``parameter``.
    """

    kind: Kind
    parameter: str | None = None


def understood(status: int, body: object, sent: Collection[str]) -> Complaint:
    """What an error is about.

    Args:
        status: HTTP status; where the error came with 200, the status that it names.
        body: The body as JSON, or its text.
        sent: Names of the request's fields.
    """
    text = error_text(body)
    codes = _codes(body)
    if status == 402 or codes & _QUOTA_CODES or (status in {200, 400, 403, 429} and _QUOTA.search(text)):
        return Complaint("quota")
    if _NO_SUCH_ADDRESS.search(text):
        return Complaint("address")
    if codes & _REFUSED_CODES or (status in {200, 400, 403, 422, 451} and _REFUSED.search(text)):
        return Complaint("refused")
    if codes & _TOO_LONG_CODES:
        return Complaint("too_long")
    unknown_to_it = bool(codes & _UNKNOWN_CODES or _UNKNOWN_TO_IT.search(text))
    named = _named(body, text, [name for name in (*LEAVABLE, *FORM_FIELDS) if name in sent])
    if unknown_to_it and named in LEAVABLE:
        return Complaint("parameter", named)
    form_sent = any(name in sent for name in FORM_FIELDS)
    if form_sent and (named in FORM_FIELDS or _FORM.search(text)):
        return Complaint("form")
    if status == 413 or _TOO_LONG.search(text):
        return Complaint("too_long")
    return Complaint("unknown")


def named_status(body: object) -> int | None:
    """The HTTP status that an error names though it came with 200."""
    error = body.get("error") if isinstance(body, Mapping) else None
    for holder in (error, body):
        for key in ("code", "status", "status_code", "http_status"):
            value = holder.get(key) if isinstance(holder, Mapping) else None
            if isinstance(value, str) and value.isdigit():
                value = int(value)
            if isinstance(value, int) and 400 <= value <= 599:
                return value
    return None


def error_text(body: object) -> str:
    """The message in an error body, whichever of the usual shapes it has."""
    found: object = body
    for key in ("error", "message", "detail"):
        if isinstance(found, Mapping) and found.get(key):
            found = found[key]
    return excerpt(found if isinstance(found, str) else json.dumps(found, default=str))


def excerpt(text: str, length: int = 200) -> str:
    """A text on one line, cut to a length."""
    line = " ".join(text[: 4 * length].split())
    return line if len(line) <= length else line[: length - 1] + "…"


def _codes(body: object) -> set[str]:
    """All names that an error has for machines, in lower case."""
    found: set[str] = set()
    holders: list[Any] = [body]
    while holders:
        holder = holders.pop()
        if isinstance(holder, Mapping):
            found |= {
                str(holder[key]).casefold() for key in ("code", "type") if isinstance(holder.get(key), str)
            }
            holders += [
                holder.get(key) for key in ("error", "innererror", "inner_error", "message", "detail")
            ]
        elif isinstance(holder, list):
            holders += holder[:10]
    return found


def _named(body: object, text: str, sent: Collection[str]) -> str | None:
    """The field that an error is about: by its ``param`` or ``loc``, else the first that its words name."""
    for value in _places(body):
        if value in sent:
            return value
    places = [(match.start(), name) for name in sent if (match := _mention(name).search(text))]
    return min(places)[1] if places else None


def _places(body: object) -> list[str]:
    found: list[str] = []
    holders: list[Any] = [body]
    while holders:
        holder = holders.pop()
        if isinstance(holder, Mapping):
            for key in ("param", "parameter", "loc", "field"):
                value = holder.get(key)
                found += (
                    [str(part) for part in value]
                    if isinstance(value, list)
                    else [str(value)]
                    if value
                    else []
                )
            holders += [holder.get(key) for key in ("error", "message", "detail")]
        elif isinstance(holder, list):
            holders += holder[:10]
    return found


def _mention(name: str) -> re.Pattern[str]:
    """A field's name in a text; short ones, which are words as well, only in quotation marks."""
    if name in ("n", "stop", "seed"):
        return re.compile(rf"['\"`‘“]{name}['\"`’”]|(?:parameter|field|argument|option)s?:? {name}\b")
    return re.compile(rf"(?<![\w]){name}(?![\w])", re.IGNORECASE)
