import threading
import time
from itertools import count

import pytest

from judges import (
    BackendError,
    ConfigError,
    EndpointDownError,
    Failure,
    Message,
    OutputForm,
    Reply,
    Sampling,
    Usage,
    answer_all,
    load_backend,
    load_rubric,
)
from tests.judges.endpoint import GOOD_FORM, Endpoint, good, in_turn

FORM = load_rubric().form


def turn(text):
    return (Message("user", str(text)),)


def backend_for(endpoint, **settings):
    quick = {"backoff": 0.01, "timeout": 5}
    return load_backend({"backend": "openai", "model": "m", "base_url": endpoint.url} | quick | settings)


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_replies_keep_their_place_and_tell_their_tokens():
    def echo(k, body, handler):
        handler.reply(body["messages"][-1]["content"].upper(), tokens=(1 + k, 7))

    with Endpoint(echo) as endpoint, backend_for(endpoint, concurrency=8) as backend:
        outcomes = answer_all(backend, [turn(f"text {k}") for k in range(40)], Sampling(max_tokens=5))
    assert [outcome.text for outcome in outcomes] == [f"TEXT {k}" for k in range(40)]
    assert sum(outcome.usage.prompt_tokens for outcome in outcomes) == sum(range(1, 41))
    assert all(outcome.attempts == 1 for outcome in outcomes)
    assert str(backend.identity) == f"openai:m@{endpoint.url}"


# --- Faults -----------------------------------------------------------------------------------------------

FAULTS = {
    "429": (lambda h: h.error(429, "slow down"), "429: slow down"),
    "500": (lambda h: h.error(500, "oh no"), "500: oh no"),
    "503 in HTML": (lambda h: h.send(503, "text/html", b"<h1>Busy</h1>"), "503: <h1>Busy</h1>"),
    "hang": (lambda h: h.hang(), "no answer in 1 s"),
    "cut": (lambda h: h.cut(), "the connection failed"),
    "drop": (lambda h: h.drop(), "the connection failed"),
    "empty": (lambda h: h.send(200, "application/json", b""), "an empty body"),
    "malformed": (lambda h: h.send(200, "application/json", b'{"choices": ['), "no JSON"),
    "deep": (lambda h: h.send(200, "application/json", b"[" * 200_000), "no JSON"),
    "HTML": (lambda h: h.send(200, "text/html", b"<html>welcome</html>"), "no JSON: <html>welcome"),
    "no choices": (lambda h: h.json({"choices": []}), "no choices"),
    "choice without message": (lambda h: h.json({"choices": [{}]}), "a choice without a message"),
    "error in a 200": (lambda h: h.json({"error": {"message": "upstream died"}}), "upstream died"),
    "bad encoding": (lambda h: h.send(200, "application/json", b"\xff\xfe\xfa"), "no JSON"),
}


def patience_with(fault):
    """Seconds: a hang has to be waited for, anything else comes at once, though perhaps on a busy machine."""
    return 1 if fault == "hang" else 30


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_mended_by_asking_again(fault):
    with Endpoint(in_turn(FAULTS[fault][0], good)) as endpoint:
        with backend_for(endpoint, timeout=patience_with(fault)) as backend:
            (outcome,) = answer_all(backend, [turn("x")], Sampling())
        assert isinstance(outcome, Reply)
        assert (outcome.text, outcome.attempts) == (GOOD_FORM, 2)
        assert len(endpoint.bodies) == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_lasting_fault_is_a_failure_with_its_reason(fault):
    answer, reason = FAULTS[fault]
    with Endpoint(in_turn(answer)) as endpoint:
        with backend_for(endpoint, timeout=patience_with(fault), max_attempts=2) as backend:
            (outcome,) = answer_all(backend, [turn("x")], Sampling())
        assert isinstance(outcome, Failure)
        assert reason in outcome.message
        assert outcome.attempts == 2 == len(endpoint.bodies)


def test_json_with_another_content_type_is_read():
    body = b'{"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}'
    with (
        Endpoint(lambda k, b, h: h.send(200, "text/plain", body)) as endpoint,
        backend_for(endpoint) as backend,
    ):
        (outcome,) = answer_all(backend, [turn("x")], Sampling())
    assert outcome.text == "hello"
    assert outcome.usage is None


def test_retry_after_holds_back_everybody():
    def first_is_told_to_wait(k, body, handler):
        if k == 0:
            handler.error(429, "wait", retry_after="1")
        else:
            handler.reply("ok")

    with Endpoint(first_is_told_to_wait) as endpoint, backend_for(endpoint, concurrency=1) as backend:
        outcomes = answer_all(backend, [turn(k) for k in range(3)], Sampling())
    assert [outcome.attempts for outcome in outcomes] == [2, 1, 1]
    assert endpoint.times[1] - endpoint.times[0] >= 1


def test_a_very_long_wait_stops_the_run():
    with (
        Endpoint(lambda k, b, h: h.error(429, "tomorrow", retry_after="86400")) as endpoint,
        backend_for(endpoint) as backend,
        pytest.raises(EndpointDownError, match="wait 86400 s"),
    ):
        answer_all(backend, [turn("x")], Sampling())


@pytest.mark.parametrize(
    ("status", "complaint"),
    [(401, "refused the key in MY_KEY"), (403, "refused the key in MY_KEY"), (404, "has no model 'm'")],
)
def test_what_no_retry_can_mend_stops_at_once_and_never_shows_the_key(monkeypatch, status, complaint):
    monkeypatch.setenv("MY_KEY", "sk-secret-planted")
    with Endpoint(lambda k, b, h: h.error(status, "bad key sk-secret-planted")) as endpoint:
        with backend_for(endpoint, api_key_env="MY_KEY") as backend:
            with pytest.raises(BackendError, match=complaint) as caught:
                answer_all(backend, [turn(k) for k in range(5)], Sampling())
            assert "planted" not in str(caught.value) + repr(backend.identity)
        assert endpoint.keys == {"Bearer sk-secret-planted"}


def test_one_refused_conversation_does_not_stop_the_others():
    def too_long(k, body, handler):
        if body["messages"][-1]["content"] == "long":
            handler.error(400, "maximum context length is 10 tokens")
        else:
            handler.reply("ok")

    with Endpoint(too_long) as endpoint, backend_for(endpoint) as backend:
        outcomes = answer_all(backend, [turn("a"), turn("long"), turn("b")], Sampling())
    assert [type(outcome) for outcome in outcomes] == [Reply, Failure, Reply]
    assert "maximum context length" in outcomes[1].message
    assert outcomes[1].attempts == 1


def test_a_rate_limit_slows_the_run_down_and_loses_nothing():
    """An endpoint that takes 3 requests at once and refuses the rest, as a tight rate limit does."""
    places = threading.Semaphore(3)

    def limited(k, body, handler):
        if not places.acquire(blocking=False):
            return handler.error(429, "rate limit", retry_after="0.05")
        try:
            time.sleep(0.02)
        finally:
            places.release()
        handler.reply("ok")

    with Endpoint(limited) as endpoint, backend_for(endpoint, concurrency=64, max_attempts=30) as backend:
        outcomes = answer_all(backend, [turn(k) for k in range(150)], Sampling())
        assert all(isinstance(outcome, Reply) for outcome in outcomes)
        assert sum(outcome.attempts for outcome in outcomes) == len(endpoint.bodies)


# --- An endpoint that is down -----------------------------------------------------------------------------


def test_an_endpoint_that_fails_everything_stops_the_run_early():
    with Endpoint(lambda k, b, h: h.error(500, "broken")) as endpoint:
        with (
            backend_for(endpoint, patience=0.1, concurrency=4) as backend,
            pytest.raises(EndpointDownError, match=r"every request fails.*500: broken"),
        ):
            answer_all(backend, (turn(k) for k in range(64_000)), Sampling())
        assert len(endpoint.bodies) < 500


def test_an_endpoint_that_refuses_everything_stops_the_run_early():
    with Endpoint(lambda k, b, h: h.error(400, "unknown field temperature")) as endpoint:
        with (
            backend_for(endpoint, concurrency=4) as backend,
            pytest.raises(EndpointDownError, match="unknown field temperature"),
        ):
            answer_all(backend, (turn(k) for k in range(64_000)), Sampling())
        assert len(endpoint.bodies) < 50


def test_an_endpoint_whose_model_is_gone_stops_the_run_early():
    def unloaded(k, body, handler):
        if k < 30:
            handler.reply("ok")
        else:
            handler.error(404, "model m not found")

    with Endpoint(unloaded) as endpoint:
        with (
            backend_for(endpoint, concurrency=4) as backend,
            pytest.raises(EndpointDownError, match=r"model m not found.*what was answered is stored"),
        ):
            answer_all(backend, (turn(k) for k in range(64_000)), Sampling())
        assert len(endpoint.bodies) < 70


def test_many_that_are_too_long_are_their_own_fault():
    def short_only(k, body, handler):
        if body["messages"][-1]["content"].isdigit():
            handler.error(400, "maximum context length is 10 tokens")
        else:
            handler.reply("yes")

    with Endpoint(short_only) as endpoint, backend_for(endpoint, concurrency=4) as backend:
        outcomes = answer_all(backend, [turn(k) for k in range(100)], Sampling())
        assert all("maximum context length" in outcome.message for outcome in outcomes)
        # Now and then the endpoint is asked something short, and these requests are counted too.
        assert sum(outcome.attempts for outcome in outcomes) == len(endpoint.bodies) == 105


def test_nobody_at_the_address_is_said_soon():
    with Endpoint() as endpoint:
        gone = endpoint
    with (
        backend_for(gone, patience=0.1) as backend,
        pytest.raises(EndpointDownError, match="is the address right and the server up"),
    ):
        answer_all(backend, [turn(k) for k in range(10)], Sampling())


def test_an_endpoint_that_comes_back_is_waited_for():
    first = Endpoint()
    with first, backend_for(first, concurrency=2, max_attempts=30, backoff=0.05) as backend:
        outcomes = backend.replies((turn(k) for k in range(10)), Sampling())
        arrived = [next(outcomes) for _ in range(3)]
        first.behave = lambda k, b, h: h.drop()
        following = threading.Thread(target=lambda: arrived.extend(outcomes))
        following.start()
        while len(first.bodies) < 8:
            time.sleep(0.01)
        first.behave = lambda k, b, h: h.reply("back")
        following.join()
    assert sorted(index for index, _ in arrived) == list(range(10))
    assert all(isinstance(outcome, Reply) for _, outcome in arrived)


# --- The stream -------------------------------------------------------------------------------------------


def test_conversations_are_pulled_as_they_are_needed_and_closing_ends_the_rest():
    pulled = count()

    def endless():
        while True:
            yield turn(next(pulled))

    with Endpoint() as endpoint, backend_for(endpoint, concurrency=4) as backend:
        outcomes = backend.replies(endless(), Sampling())
        for _ in range(50):
            next(outcomes)
        outcomes.close()
        assert next(pulled) <= 50 + 4 + 4
        again = answer_all(backend, [turn("after")], Sampling())
    assert isinstance(again[0], Reply)


def test_closing_does_not_wait_for_a_server_that_hangs():
    with Endpoint(lambda k, b, h: h.reply("ok") if k == 0 else h.hang()) as endpoint:
        backend = backend_for(endpoint, timeout=600, concurrency=4)
        outcomes = backend.replies((turn(k) for k in range(9)), Sampling())
        next(outcomes)
        outcomes.close()
        backend.close()
        backend.close()
    assert endpoint.stopping.is_set()


def test_a_batch_left_open_does_not_hold_up_the_backends_end():
    with Endpoint() as endpoint, backend_for(endpoint) as backend:
        outcomes = backend.replies((turn(k) for k in range(9)), Sampling())
        next(outcomes)
        backend.close()
        outcomes.close()
        assert answer_all(backend, [turn("after")], Sampling())[0].text == GOOD_FORM


def test_an_error_of_the_caller_reaches_the_caller():
    def broken():
        yield turn("a")
        raise KeyError("mine")

    with Endpoint() as endpoint, backend_for(endpoint) as backend, pytest.raises(KeyError, match="mine"):
        answer_all(backend, broken(), Sampling())


# --- Several completions, seeds, finish reasons -----------------------------------------------------------


def test_n_completions_come_in_one_request_where_the_endpoint_can():
    def several(k, body, handler):
        handler.reply(*[f"{k}.{i}" for i in range(body.get("n", 1))])

    with Endpoint(several) as endpoint, backend_for(endpoint) as backend:
        (outcome,) = answer_all(backend, [turn("x")], Sampling(n=4, temperature=1))
    assert [c.text for c in outcome.completions] == ["0.0", "0.1", "0.2", "0.3"]
    assert outcome.attempts == 1


@pytest.mark.parametrize("refuses", [False, True])
def test_n_completions_are_asked_one_by_one_where_it_cannot(refuses):
    def only_one(k, body, handler):
        if refuses and body.get("n", 1) > 1:
            handler.error(400, "n must be 1")
        else:
            handler.reply(f"seed {body['seed']}")

    with Endpoint(only_one) as endpoint, backend_for(endpoint, concurrency=1) as backend:
        outcomes = answer_all(backend, [turn("x"), turn("y")], Sampling(n=3, temperature=1, seed=1))
    assert [len({c.text for c in outcome.completions}) for outcome in outcomes] == [3, 3]
    assert [outcome.attempts for outcome in outcomes] == [3 + refuses, 3]
    assert outcomes[0].usage == Usage(300, 30)


def test_the_seed_depends_on_the_conversation_not_on_the_batch():
    def seed(k, body, handler):
        handler.reply(str(body["seed"]))

    with Endpoint(seed) as endpoint, backend_for(endpoint) as backend:
        together = answer_all(backend, [turn("a"), turn("b")], Sampling(temperature=1, seed=7))
        alone = answer_all(backend, [turn("b")], Sampling(temperature=1, seed=7))
    assert together[1].text == alone[0].text != together[0].text


def test_why_a_reply_ended_is_kept():
    answers = {
        "cut": {"message": {"content": "half"}, "finish_reason": "length"},
        "filtered": {"message": {"content": None}, "finish_reason": "content_filter"},
        "refused": {"message": {"content": None, "refusal": "I can't"}, "finish_reason": "stop"},
        "thought": {"message": {"content": None, "reasoning": "..."}, "finish_reason": "length"},
        "good": {"message": {"content": "fine"}, "finish_reason": "stop"},
    }

    def behave(k, body, handler):
        handler.json({"choices": [answers[body["messages"][-1]["content"]]]})

    with Endpoint(behave) as endpoint, backend_for(endpoint) as backend:
        outcomes = answer_all(backend, map(turn, answers), Sampling())
    assert [(o.text, o.completions[0].finish_reason) for o in outcomes] == [
        ("half", "length"),
        ("", "refused"),
        ("I can't", "refused"),
        ("<think>\n...", "length"),  # it never got further
        ("fine", "stop"),
    ]


# --- The reply's form -------------------------------------------------------------------------------------


def test_vllm_is_recognised_and_held_to_the_regex(capsys):
    with Endpoint() as endpoint, backend_for(endpoint) as backend:
        assert backend.constrains is None
        answer_all(backend, [turn(k) for k in range(5)], Sampling(form=FORM))
        assert backend.constrains is True
        answer_all(backend, [turn(k) for k in range(5)], Sampling(form=FORM))
    assert all(body["structured_outputs"] == {"regex": FORM.regex} for body in endpoint.bodies)
    assert endpoint.paths["/v1/models"] == 1
    assert capsys.readouterr().err.count("held to the verdict form by vLLM's structured outputs") == 1


@pytest.mark.parametrize("owned_by", ["ollama", None])
def test_other_endpoints_are_held_to_the_json_schema(owned_by):
    form = OutputForm(regex="a|b", json_schema='{"type": "object"}')
    with (
        Endpoint(lambda k, b, h: h.reply('{"x": 1}'), owned_by=owned_by) as endpoint,
        backend_for(endpoint) as backend,
    ):
        answer_all(backend, [turn("x")], Sampling(form=form))
        assert backend.constrains is True
    sent = endpoint.bodies[0]["response_format"]
    assert sent["type"] == "json_schema"
    assert sent["json_schema"]["schema"] == {"type": "object"}


def test_an_endpoint_that_refuses_the_form_is_asked_without_it_from_then_on(capsys):
    def plain_only(k, body, handler):
        if "response_format" in body:
            handler.error(400, "response_format is not supported")
        else:
            handler.reply("anything")

    with Endpoint(plain_only, owned_by=None) as endpoint, backend_for(endpoint, concurrency=50) as backend:
        outcomes = answer_all(backend, [turn(k) for k in range(60)], Sampling(form=FORM))
        assert backend.constrains is False
    assert sorted(outcome.attempts for outcome in outcomes) == [1] * 57 + [2] * 3  # tried three times
    assert capsys.readouterr().err.count("response_format is not supported") == 1


def test_an_endpoint_that_ignores_the_form_is_found_out(capsys):
    with Endpoint(lambda k, b, h: h.reply("I like it")) as endpoint, backend_for(endpoint) as backend:
        answer_all(backend, [turn(k) for k in range(4)], Sampling(form=FORM))
        assert backend.constrains is False
    assert capsys.readouterr().err.count("doesn't keep to it") == 1


def test_a_form_that_was_demanded_and_is_refused_is_an_error():
    with Endpoint(lambda k, b, h: h.error(400, "no guided decoding")) as endpoint:
        with (
            backend_for(endpoint, form="regex") as backend,
            pytest.raises(BackendError, match=r"can.t hold replies to form: regex.*no guided decoding"),
        ):
            answer_all(backend, [turn("x")], Sampling(form=FORM))
        assert endpoint.paths["/v1/models"] == 0


# --- Settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"model": "m", "base_url": "localhost:8000"}, "expected an address such as"),
        ({"model": "m", "base_url": "http://me:secret@host/v1"}, "nor in base_url"),
        ({"base_url": "http://localhost/v1"}, "'model' is missing"),
        ({"model": "m", "concurency": 3}, "did you mean 'concurrency'"),
        ({"model": "m", "api_key": "sk-planted"}, "name that variable in api_key_env"),
        ({"model": "m", "api_key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
        ({"model": "m"}, "OPENAI_API_KEY is not set"),
    ],
)
def test_wrong_settings_are_said_in_one_line(settings, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_backend({"backend": "openai"} | settings)
    assert "\n" not in str(caught.value)
    assert "planted" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_settings_that_change_the_answers_are_part_of_the_identity():
    base = {"backend": "openai", "model": "m", "base_url": "http://localhost:1/v1"}
    variants = [{}, {"extra_body": {"top_k": 5}}, {"form": "none"}, {"base_url": "http://localhost:2/v1"}]
    identities = {load_backend(base | variant).identity for variant in variants}
    assert len(identities) == len(variants)
    assert load_backend(base | {"concurrency": 3}).identity in identities
