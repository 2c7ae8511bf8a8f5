import pytest

from judges import Message, Sampling, load_rubric
from judges.backends.openai.wire import in_form, request_body, retry_after

CONVERSATION = (Message("system", "s"), Message("user", "u"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "2", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        (
            {"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"},
            30,
        ),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0),
    ],
)
def test_retry_after_in_seconds_or_as_a_date_by_the_servers_own_clock(headers, seconds):
    assert retry_after(headers) == seconds


def body(sampling, **changes):
    plain = {"form": "none", "n": 1, "drawn": 0, "token_limit": "max_tokens", "extra": {}}
    return request_body("m", CONVERSATION, sampling, **(plain | changes))


def test_only_what_is_set_is_sent():
    assert body(Sampling(max_tokens=5)) == {
        "model": "m",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "temperature": 0.0,
        "max_tokens": 5,
    }
    full = body(
        Sampling(temperature=0.6, top_p=0.9, seed=1, stop=("x",)),
        n=4,
        extra={"top_k": 3},
        token_limit="limit",
    )
    assert (full["n"], full["top_p"], full["stop"], full["top_k"], full["limit"]) == (4, 0.9, ["x"], 3, 512)
    assert 0 <= full["seed"] < 2**31


def test_completions_asked_for_later_have_another_seed():
    seeded = Sampling(temperature=1, seed=1)
    assert body(seeded, drawn=0)["seed"] == body(seeded, drawn=0)["seed"] != body(seeded, drawn=1)["seed"]


def test_a_reply_in_the_form_is_recognised():
    form = load_rubric().form
    good = (
        "Factual Accuracy: GOOD\nLogical Coherence: GOOD\nClarity: GOOD\nRelevance: GOOD\n"
        "Depth of Argumentation: NEEDS IMPROVEMENT"
    )
    assert in_form(good, form, "regex")
    assert not in_form(good + "\n", form, "regex")
    assert in_form('{"Clarity": "GOOD"}', form, "json_schema")
    assert not in_form(good, form, "json_schema")
    assert in_form("anything", form, "none")
