"""What an endpoint's answer is taken for: each spelling that is known, and a name for any other."""

from __future__ import annotations

import json

import pytest

from judges import Usage
from judges.backends.openai.reading import (
    ErrorAnswerError,
    NotAReplyError,
    UnusableReplyError,
    read_answer,
    read_only_part_of,
    words_in,
)


def body(content="fine", finish="stop", usage=None, choice=None, **message):
    made = {
        "choices": [{"message": {"content": content, **message}, "finish_reason": finish, **(choice or {})}]
    }
    return json.dumps(made if usage is None else made | {"usage": usage})


def only(text):
    (completion,) = read_answer(text).completions
    return completion.text, completion.finish_reason


@pytest.mark.parametrize(
    ("spelling", "end"),
    [
        *((name, "stop") for name in ("stop", "STOP", "end_turn", "stop_sequence", "COMPLETE", "eos_token")),
        *((name, "length") for name in ("length", "max_tokens", "MAX_TOKENS", "FINISH_REASON_MAX_TOKENS")),
        *((name, "length") for name in ("model_length", "max_output_tokens", "ERROR_LIMIT")),
        *((name, "length") for name in ("model_context_window_exceeded", "Max-Tokens")),
        *(
            (name, "refused")
            for name in ("content_filter", "content-filter", "SAFETY", "sensitive", "refusal")
        ),
        *((name, "refused") for name in ("PROHIBITED_CONTENT", "RECITATION", "BLOCKLIST", "SPII")),
        *((name, "refused") for name in ("guardrail_intervened", "ERROR_TOXIC", "refusal")),
    ],
)
def test_every_known_spelling_of_a_replys_end(spelling, end):
    assert only(body("text", spelling)) == ("text", end)


@pytest.mark.parametrize("spelling", ["error", "network_error", "insufficient_system_resource", "abort"])
def test_an_end_that_is_an_error_is_one_whatever_text_came_with_it(spelling):
    with pytest.raises(ErrorAnswerError, match=spelling):
        read_answer(body("A whole answer", spelling))


@pytest.mark.parametrize("spelling", ["tool_calls", "OTHER", "moon_phase", "", 7, None])
def test_an_unknown_end_is_never_a_stop_but_unusable_by_its_name(spelling):
    named = "no finish reason" if spelling is None else "unknown finish reason"
    with pytest.raises(UnusableReplyError, match=named) as caught:
        read_answer(body("text", spelling))
    if isinstance(spelling, str):
        assert repr(spelling) in str(caught.value)


@pytest.mark.parametrize(
    ("native", "end"),
    [("MAX_TOKENS", "length"), ("SAFETY", "refused"), ("completed", "stop"), ("xyz", "stop")],
)
def test_what_a_gateway_says_that_the_provider_said_counts_where_it_is_worse(native, end):
    assert only(body("t", "stop", choice={"native_finish_reason": native}))[1] == end


def test_a_gateways_stop_does_not_hide_the_providers_error():
    with pytest.raises(ErrorAnswerError, match="network_error"):
        read_answer(body("", "stop", choice={"native_finish_reason": "network_error"}))


@pytest.mark.parametrize("content", ["", "half an ans", "A whole answer."])
def test_an_error_inside_a_choice_is_an_error_whatever_text_stands_beside_it(content):
    with pytest.raises(ErrorAnswerError, match="provider is gone"):
        read_answer(body(content, choice={"error": {"code": 503, "message": "provider is gone"}}))


def test_parts_of_text_are_joined_and_thoughts_left_out():
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "perhaps A"}]},
        {"type": "text", "text": "It is "},
        {"type": "output_text", "text": "B."},
    ]
    answer = read_answer(body(parts))
    assert answer.completions[0].text == "It is B."
    assert answer.thoughts == ("perhaps A",)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ([{"type": "image_url", "image_url": {"url": "x"}}], "'image_url'"),
        ([{"type": "text"}], "'text'"),
        ([{"hello": 1}], "hello"),
        ([3], "3"),
        (17, "17"),
    ],
)
def test_an_unknown_part_makes_a_reply_unusable_by_its_name(content, named):
    with pytest.raises(UnusableReplyError, match=named):
        read_answer(body(content))


def test_null_is_no_content():
    with pytest.raises(UnusableReplyError, match=r"without content \(null\)"):
        read_answer(body(None))
    assert only(body(None, "length", reasoning_content="hm")) == ("", "length")
    assert only(body(None, refusal="I won't.")) == ("I won't.", "refused")
    assert only(body("")) == ("", "stop")


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_in_a_field_of_their_own_are_kept_apart(field):
    answer = read_answer(body(None, **{field: "Clarity: GOOD"}))
    assert (answer.completions[0].text, answer.thoughts) == ("", ("Clarity: GOOD",))


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 9},
        {"prompt_tokens": 9, "completion_tokens": 0},
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": True, "completion_tokens": True},
        {"prompt_tokens": -1, "completion_tokens": 5},
        {"prompt_tokens": 9},
        {},
        [],
        "none",
    ],
)
def test_tokens_that_are_not_told_are_unknown(usage):
    assert read_answer(body(usage=usage)).usage is None


def test_tokens_that_are_told():
    told = {"prompt_tokens": 90, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 64}}
    assert read_answer(body(usage=told)).usage == Usage(90, 4, 64)
    # What was cached, left out of the prompt's tokens and told beside them.
    told = {"prompt_tokens": 6, "completion_tokens": 4, "cache_read_input_tokens": 84}
    assert read_answer(body(usage=told)).usage == Usage(90, 4, 0)


@pytest.mark.parametrize("before", ["\ufeff", "\n" * 30, "\ufeff\r\n\r\n", "   "])
def test_what_stands_before_the_body_does_no_harm(before):
    assert only(before + body()) == ("fine", "stop")


def test_a_stream_that_nobody_asked_for_is_put_together():
    def chunk(**piece):
        return "data: " + json.dumps({"choices": [{"index": 0, **piece}]}) + "\n\n"

    text = (
        ": keep-alive\n\n"
        + chunk(delta={"role": "assistant", "content": ""})
        + chunk(delta={"content": "It is "})
        + chunk(delta={"content": "B."})
        + chunk(delta={}, finish_reason="max_tokens")
        + 'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}\n\ndata: [DONE]\n\n'
    )
    answer = read_answer(text)
    assert (answer.completions[0].text, answer.completions[0].finish_reason) == ("It is B.", "length")
    assert answer.usage == Usage(5, 2)
    with pytest.raises(NotAReplyError, match="broke off"):
        read_answer(chunk(delta={"content": "It is "}))
    with pytest.raises(ErrorAnswerError, match="overloaded"):
        read_answer('data: {"error": {"message": "overloaded"}}\n\n')


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_of_a_stream_ends_at_no_other_line_break(end):
    delta = {"index": 0, "delta": {"content": "It is\u2028\x85B."}, "finish_reason": "stop"}
    event = json.dumps({"choices": [delta]}, ensure_ascii=False)
    answer = read_answer(f"data: {event}{end}{end}data: [DONE]{end}{end}")
    assert answer.completions[0].text == "It is\u2028\x85B."


@pytest.mark.parametrize(
    "error",
    [
        {"error": "Unexpected endpoint"},
        {"error": {"message": "gone", "code": 502}},
        {"object": "error", "message": "gone", "code": 50000},
        {"detail": "gone"},
    ],
)
def test_an_error_with_status_200_is_an_error(error):
    with pytest.raises(ErrorAnswerError):
        read_answer(json.dumps(error))


def test_choices_are_read_by_their_indices():
    choices = [{"index": i, "message": {"content": str(i)}, "finish_reason": "stop"} for i in (2, 0, 1)]
    answer = read_answer(json.dumps({"choices": choices}))
    assert [completion.text for completion in answer.completions] == ["0", "1", "2"]


def test_a_prompt_of_which_a_part_was_read():
    english = words_in("Which of these is the largest planet? " * 100)
    assert read_only_part_of(english, Usage(english // 10, 5))
    assert not read_only_part_of(english, Usage(english, 5))
    assert not read_only_part_of(english, Usage(english * 9 // 10, 5))  # a tokenizer whose tokens span words
    assert not read_only_part_of(english, None)
    chinese = words_in("\u54ea\u4e00\u4e2a\u662f\u6700\u5927\u7684\u884c\u661f" * 100)
    assert read_only_part_of(chinese, Usage(20, 5))
    assert not read_only_part_of(chinese, Usage(300, 5))
