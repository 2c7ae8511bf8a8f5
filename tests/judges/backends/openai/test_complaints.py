"""What errors of many providers are about, in the words that they use."""

from __future__ import annotations

import pytest

from judges.backends.openai.complaints import Complaint, named_status, understood

SENT = {"model", "messages", "temperature", "max_tokens", "seed", "stop", "top_p", "response_format"}


def error(message, **fields):
    return {"error": {"message": message, **fields}}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, error("Unsupported parameter: 'max_tokens'", param="max_tokens"), ("parameter", "max_tokens")),
        (
            400,
            error("Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'."),
            ("parameter", "max_tokens"),
        ),
        (400, error("`temperature` may not be set: deprecated"), ("parameter", "temperature")),
        (
            400,
            error("Unsupported value", param="temperature", code="unsupported_value"),
            ("parameter", "temperature"),
        ),
        (400, error("Argument 'stop' not allowed here"), ("parameter", "stop")),
        (400, error("unknown field: top_p"), ("parameter", "top_p")),
        (
            422,
            {"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs"}]},
            ("parameter", "seed"),
        ),
        (400, error("response_format of type json_schema is not available"), ("form", None)),
        (400, error("This model cannot do guided decoding"), ("form", None)),
        (400, error("Invalid schema for response_format 'reply'"), ("form", None)),
        (400, error("blocked", code="content_filter"), ("refused", None)),
        (400, error("x", innererror={"code": "ResponsibleAIPolicyViolation"}), ("refused", None)),
        (403, error("Input was flagged by moderation: violence"), ("refused", None)),
        (400, error("This model's maximum context length is 4096 tokens"), ("too_long", None)),
        (400, error("the prompt is too long: 9000 tokens > 8192 maximum"), ("too_long", None)),
        (400, error("the request exceeds the available context size", code="x"), ("too_long", None)),
        (413, error("Payload"), ("too_long", None)),
        (402, error("Add more"), ("quota", None)),
        (429, error("You exceeded it", code="insufficient_quota"), ("quota", None)),
        (400, error("Your credit balance is too low to use this API"), ("quota", None)),
        (200, error("Insufficient credits"), ("quota", None)),
        (429, error("Rate limit reached, quota resets in a minute"), ("unknown", None)),
        (200, {"error": "Unexpected endpoint or method. (POST /chat/completions)"}, ("address", None)),
        # A value that is wrong is no field that is unknown.
        (400, error("max_tokens must be at most 4096", param="max_tokens"), ("unknown", None)),
        (400, error("temperature must be above 0", param="temperature"), ("unknown", None)),
        (400, error("n must be 1"), ("unknown", None)),
        (400, error("Bad request"), ("unknown", None)),
        (400, "Bad Request", ("unknown", None)),
        (400, None, ("unknown", None)),
    ],
)
def test_what_an_error_is_about(status, body, expected):
    assert understood(status, body, SENT) == Complaint(*expected)


def test_a_field_that_was_not_sent_is_not_blamed():
    body = error("Unsupported parameter: 'seed'", param="seed")
    assert understood(400, body, SENT - {"seed"}).kind == "unknown"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 502}}, 502),
        ({"error": {"code": "429"}}, 429),
        ({"error": {"code": "content_filter"}, "status": 400}, 400),
        ({"error": {"code": 20012}}, None),
        ({"error": "text"}, None),
    ],
)
def test_the_status_that_an_error_names(body, status):
    assert named_status(body) == status
