"""What an endpoint can do is decided by evidence: its words, and what it answers when asked anew."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from threading import Lock

import pytest

from judges import (
    BackendError,
    ConfigError,
    EndpointDownError,
    Failure,
    Message,
    Reply,
    Sampling,
    Statement,
    Unjudged,
    answer_all,
    load_backend,
    load_judge,
    load_rubric,
)
from tests.judges.endpoint import GOOD_FORM, Endpoint

FORM = load_rubric().form
GOOD_JSON = json.dumps(dict(line.split(": ") for line in GOOD_FORM.splitlines()))


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def turn(text):
    return (Message("user", str(text)),)


def backend_for(endpoint, **settings):
    quick = {"backoff": 0.01, "timeout": 5}
    return load_backend({"backend": "openai", "model": "m", "base_url": endpoint.url} | quick | settings)


def well(body, handler):
    """Answers in whatever form was asked for."""
    handler.reply(GOOD_JSON if "response_format" in body else GOOD_FORM)


def ask(behave, count=6, sampling=None, **settings):
    """Asks an endpoint that isn't vLLM; returns the outcomes, the endpoint and the backend."""
    sampling = sampling or Sampling(form=FORM)
    with (
        Endpoint(behave, owned_by="someone") as endpoint,
        backend_for(endpoint, **settings) as backend,
    ):
        outcomes = answer_all(backend, [turn(k) for k in range(count)], sampling)
    return outcomes, endpoint, backend


def forms(endpoint):
    return ["response_format" in body for body in endpoint.bodies]


# --- Fields that an endpoint refuses ----------------------------------------------------------------------

REFUSING = {
    "max_tokens": ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_tokens"),
    "temperature": ("`temperature` is deprecated for this model.", None),
    "top_p": ("Unsupported parameter", "top_p"),
    "stop": ("'stop' is not supported with this model", None),
    "seed": ("Extra inputs are not permitted", "seed"),
}


@pytest.mark.parametrize("name", REFUSING)
def test_a_field_that_is_refused_by_name_is_left_out_and_said_once(name, capsys):
    words, param = REFUSING[name]

    def behave(k, body, handler):
        if name in body:
            return handler.error(400, words, param=param)
        well(body, handler)

    sampling = Sampling(temperature=0.5, top_p=0.9, seed=3, stop=("\n\n\n",), form=FORM)
    outcomes, endpoint, backend = ask(behave, sampling=sampling, concurrency=1)
    assert [outcome.attempts for outcome in outcomes] == [2, 1, 1, 1, 1, 1]
    assert backend.constrains is True
    assert backend.left_out == {name} - {"max_tokens"}  # another name bounds the length
    last = endpoint.bodies[-1]
    assert {"temperature", "top_p", "seed", "stop", "max_tokens"} - {name} <= last.keys() | {name}
    assert ("max_completion_tokens" in last) == (name == "max_tokens")
    assert capsys.readouterr().err.count(f"refuses {name}") == 1


def test_several_refusals_in_a_row_are_taken_one_by_one():
    def behave(k, body, handler):
        for name in ("max_tokens", "temperature", "seed"):
            if name in body:
                return handler.error(400, f"Unsupported parameter: '{name}'", param=name)
        well(body, handler)

    outcomes, _, backend = ask(behave, sampling=Sampling(seed=1, form=FORM), concurrency=4)
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    assert backend.left_out == {"temperature", "seed"}


def test_a_reply_without_stop_strings_is_cut_at_them_here():
    def behave(k, body, handler):
        if "stop" in body:
            return handler.error(400, "Unsupported parameter: 'stop'", param="stop")
        handler.reply("first. END second")

    outcomes, *_ = ask(behave, 1, Sampling(stop=("END",)))
    assert outcomes[0].text == "first. "


def test_fields_can_be_left_out_by_the_settings():
    outcomes, endpoint, backend = ask(
        lambda k, b, h: well(b, h), 2, Sampling(n=2, temperature=1, seed=4), omit=["temperature", "seed", "n"]
    )
    assert [len(outcome.completions) for outcome in outcomes] == [2, 2]
    assert not any({"temperature", "seed", "n"} & body.keys() for body in endpoint.bodies)
    assert dict(backend.identity.details)["omit"] == "n,seed,temperature"


def test_a_setting_at_its_default_leaves_the_identity_as_it_was():
    with load_backend("openai:m@http://h:1/v1") as backend:
        assert backend.identity.details == (("base_url", "http://h:1/v1"),)


def test_what_cannot_be_left_out_is_refused():
    with pytest.raises(ConfigError, match="omit"):
        load_backend({"backend": "openai", "model": "m", "base_url": "http://h/v1", "omit": ["messages"]})


def test_a_wrong_value_is_not_taken_for_an_unknown_field():
    def behave(k, body, handler):
        handler.error(400, "max_tokens is too large: 512, at most 100", param="max_tokens")

    outcomes, _, backend = ask(behave, 2)
    assert all("too large" in outcome.message for outcome in outcomes)
    assert not backend.left_out


def test_a_judge_says_what_was_left_out(tmp_path):
    def behave(k, body, handler):
        if "temperature" in body:
            return handler.error(400, "Unsupported parameter: 'temperature'", param="temperature")
        well(body, handler)

    with Endpoint(behave, owned_by="x") as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url}
        with load_judge(spec, cache=tmp_path / "c") as judge:
            before = judge.info
            judge.assess_all([Statement("q", "e")], progress=False)
            after = judge.info
    assert (before.left_out, after.left_out) == ((), ("temperature",))
    assert before.sampling == after.sampling  # what was asked for: results of before still fit
    assert type(after).from_json(after.to_json()) == after


# --- The form ---------------------------------------------------------------------------------------------

FAULTS = {
    "filter": lambda h: h.error(400, "blocked by our content filter", code="content_filter"),
    "too long": lambda h: h.error(400, "maximum context length is 10", code="context_length_exceeded"),
    "empty": lambda h: h.reply(""),
    "cut": lambda h: h.reply(GOOD_JSON[:20], finish_reason="MAX_TOKENS"),
    "strange": lambda h: h.error(400, "try again some other day"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_first_requests_says_nothing_about_the_form(fault):
    def behave(k, body, handler):
        if int(body["messages"][-1]["content"]) < 2:
            FAULTS[fault](handler)
        else:
            well(body, handler)

    _, endpoint, backend = ask(behave)
    assert backend.constrains is True
    after = [body for body in endpoint.bodies if body["messages"][-1]["content"] not in "01"]
    assert all("response_format" in body for body in after)


@pytest.mark.parametrize("status", [400, 500, 501])
@pytest.mark.parametrize("words", ["grammar could not be compiled", "bad request"])
def test_an_endpoint_without_forms_is_found_out_by_its_answers(status, words):
    def behave(k, body, handler):
        if "response_format" in body:
            return handler.error(status, words)
        handler.reply(GOOD_FORM)

    outcomes, endpoint, backend = ask(behave, 12, concurrency=6)
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    assert backend.constrains is False
    assert sum(forms(endpoint)) == 3  # as many as it takes to be sure


def test_of_two_servers_behind_one_address_one_knows_the_form(capsys):
    def behave(k, body, handler):
        if k % 2 and "response_format" in body:
            return handler.error(400, "response_format is not supported")
        well(body, handler)

    outcomes, endpoint, backend = ask(behave, 20, concurrency=1)
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    assert backend.constrains is False  # not all replies were held to it
    assert sum(forms(endpoint)) > 10  # but it was asked for to the end
    assert capsys.readouterr().err.count("response_format is not supported") == 1


def test_a_blip_of_the_server_does_not_cost_the_form():
    def behave(k, body, handler):
        handler.error(500, "restarting") if k == 0 else well(body, handler)

    outcomes, endpoint, _ = ask(behave, 8)
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    assert forms(endpoint)[2:] == [True] * (len(endpoint.bodies) - 2)


# --- Thoughts, filters, quotas ----------------------------------------------------------------------------


@pytest.mark.parametrize("owned_by", ["vllm", "someone"])
def test_a_reply_held_to_the_form_is_read_from_where_a_parser_put_it(owned_by, capsys):
    def behave(k, body, handler):
        text = GOOD_JSON if "response_format" in body else GOOD_FORM
        handler.message(None, reasoning_content=text)

    with Endpoint(behave, owned_by=owned_by) as endpoint, backend_for(endpoint) as backend:
        outcomes = answer_all(backend, [turn(1), turn(2)], Sampling(form=FORM))
    assert {outcome.text for outcome in outcomes} == {GOOD_FORM if owned_by == "vllm" else GOOD_JSON}
    assert capsys.readouterr().err.count("reasoning parser") == 1


@pytest.mark.parametrize("draft", ["Hm. " + GOOD_FORM, GOOD_FORM + "\nOr not?", '{"Clarity": "GOOD"}'])
def test_a_draft_among_the_thoughts_is_never_read(draft):
    outcomes, *_ = ask(lambda k, b, h: h.message(None, reasoning_content=draft), 1)
    assert isinstance(outcomes[0], Failure)
    assert "reasoning_content" in outcomes[0].message
    assert "reasoning parser" in outcomes[0].message


def test_a_providers_filter_is_a_refusal_however_it_is_said(tmp_path):
    completion = {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}
    gemini = {"choices": [{"message": {"content": ""}, "finish_reason": "SAFETY"}]}
    answers = [
        lambda h: h.error(400, "The prompt triggered our content management policy", code="content_filter"),
        lambda h: h.send(400, "application/json", json.dumps(completion).encode()),
        lambda h: h.error(403, "your input was flagged by moderation"),
        lambda h: h.json({"error": {"message": "blocked", "code": "content_filter"}}),
        lambda h: h.message("", "PROHIBITED_CONTENT"),
        lambda h: h.send(400, "application/json", json.dumps(gemini).encode()),
    ]

    def behave(k, body, handler):
        text = body["messages"][-1]["content"]
        for number, answer in enumerate(answers):
            if f"filtered {number}" in text:
                return answer(handler)
        well(body, handler)

    with Endpoint(behave, owned_by="x") as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url}
        statements = [Statement("q", f"filtered {number}") for number in range(6)] + [Statement("q", "fine")]
        with load_judge(spec, cache=tmp_path / "c") as judge:
            found = judge.assess_all(statements, progress=False)
        assert len(endpoint.bodies) == 7
    assert [getattr(a.outcome, "reason", None) for a in found] == ["refused"] * 6 + [None]


@pytest.mark.parametrize(
    "answer",
    [
        lambda h: h.error(402, "Insufficient credits"),
        lambda h: h.error(429, "You have used it up", code="insufficient_quota"),
        lambda h: h.error(400, "Your credit balance is too low"),
        lambda h: h.json({"error": {"message": "Payment required", "code": 402}}),
    ],
)
def test_an_account_that_runs_dry_ends_the_run_at_once_and_loses_nothing(answer, tmp_path):
    dry = True

    def behave(k, body, handler):
        answer(handler) if dry and k >= 3 else well(body, handler)

    statements = [Statement("q", f"number {k}") for k in range(10)]
    with Endpoint(behave, owned_by="x") as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "concurrency": 1}
        with (
            load_judge(spec, cache=tmp_path / "c") as judge,
            pytest.raises(EndpointDownError, match="credit or quota is used up"),
        ):
            judge.assess_all(statements, progress=False)
        assert len(endpoint.bodies) == 4
        dry = False
        with load_judge(spec, cache=tmp_path / "c") as judge:
            judge.assess_all(statements, progress=False)
            assert (judge.accounts.cached, judge.accounts.asked) == (3, 7)


def test_an_unknown_reply_fails_by_its_name_without_being_paid_for_again(tmp_path):
    with Endpoint(lambda k, b, h: h.message("text", "moon_phase"), owned_by="x") as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url}
        with load_judge(spec, cache=tmp_path / "c") as judge:
            (found,) = judge.assess_all([Statement("q", "e")], progress=False)
        assert len(endpoint.bodies) == 1
    assert isinstance(found.outcome, Unjudged)
    assert found.outcome.reason == "failed"
    assert "'moon_phase'" in found.outcome.detail


# --- Tokens -----------------------------------------------------------------------------------------------


def judged(behave, tmp_path, count=6, **more):
    with Endpoint(behave, owned_by="x") as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "concurrency": 1} | more
        with load_judge(spec, cache=tmp_path / "c") as judge:
            found = judge.assess_all([Statement("q", f"number {k}") for k in range(count)], progress=False)
            return found, judge.accounts


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}])
def test_tokens_that_are_not_told_are_unknown_and_so_is_the_price(usage, tmp_path):
    prices = {"prompt": 1, "completion": 1}
    found, accounts = judged(lambda k, b, h: h.message(GOOD_JSON, usage=usage), tmp_path, prices=prices)
    assert {(a.usage, a.price) for a in found} == {(None, None)}
    row = accounts.to_json()
    assert [row[name] for name in ("prompt_tokens", "completion_tokens", "price")] == [None] * 3
    assert "tokens unknown" in str(accounts)
    assert "price unknown" in str(accounts)


@pytest.mark.parametrize("budget", [{"tokens": 8000}, {"cost": 0.008}])
def test_a_budget_ends_the_run_though_the_endpoint_counts_no_tokens(budget, tmp_path):
    zero = {"prompt_tokens": 0, "completion_tokens": 0}
    prices = {"prompt": 1, "completion": 1}
    with Endpoint(lambda k, b, h: h.message(GOOD_JSON, usage=zero), owned_by="x") as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "concurrency": 1}
        spec |= {"budget": budget, "prices": prices}
        with (
            load_judge(spec, cache=tmp_path / "c") as judge,
            pytest.raises(
                Exception, match=r"may break the budget.*at most.*doesn't tell what \d of them took"
            ),
        ):
            judge.assess_all([Statement("q", f"number {k}") for k in range(50)], progress=False)
        assert 0 < len(endpoint.bodies) < 10


def test_a_prompt_that_was_cut_gives_no_verdict_and_is_said_aloud(tmp_path, capsys):
    def behave(k, body, handler):
        handler.reply(GOOD_JSON, tokens=(40 if k % 2 else 300, 10))

    found, accounts = judged(behave, tmp_path)
    assert [a.outcome.reason if isinstance(a.outcome, Unjudged) else None for a in found] == [
        None,
        "failed",
    ] * 3
    assert "read only 40 tokens of a prompt of" in found[1].outcome.detail
    assert capsys.readouterr().err.count("raise its context length") == 1
    assert accounts.usage.prompt_tokens == 3 * 40 + 3 * 300  # what was read was read, and is paid for
    found, _ = judged(behave, tmp_path / "..", check_prompt_tokens=False)
    assert not any(isinstance(a.outcome, Unjudged) for a in found)


def test_a_number_that_no_context_is_as_short_as_counts_no_prompt(tmp_path, capsys):
    """A server that reports what it hadn't cached, or a constant, has read the prompt all the same."""
    found, _ = judged(lambda k, body, handler: handler.reply(GOOD_JSON, tokens=(1 + k % 15, 10)), tmp_path)
    assert not any(isinstance(a.outcome, Unjudged) for a in found)
    assert "context length" not in capsys.readouterr().err


# --- Addresses, headers, keys, certificates ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/completions", "/v1/chat/completions"),
        ("/api/openai/v1?tenant=a%20b", "/api/openai/v1/chat/completions?tenant=a%20b"),
    ],
)
def test_an_address_may_be_given_up_to_v1_or_whole(given, asked):
    with Endpoint() as endpoint:
        url = f"http://127.0.0.1:{endpoint.port}{given}"
        with load_backend(f"openai:m@{url}") as backend:
            answer_all(backend, [turn("x")], Sampling())
        (path,) = endpoint.paths
    assert path.replace("+", "%20") == asked


def only_under(prefix, answer_elsewhere):
    def behave(k, body, handler):
        if handler.path.startswith(f"{prefix}/chat/completions"):
            well(body, handler)
        else:
            answer_elsewhere(handler)

    return behave


ELSEWHERE = {
    "plain 404": lambda h: h.send(404, "text/plain", b"404 page not found"),
    "200 with an error": lambda h: h.json({"error": f"Unexpected endpoint or method. (POST {h.path})"}),
    "405": lambda h: h.error(405, "Method Not Allowed"),
}


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
@pytest.mark.parametrize(("given", "right"), [("", "/v1"), ("/api", "/api/v1"), ("/v1", "")])
@pytest.mark.parametrize("form", [None, FORM])
def test_v1_that_was_forgotten_or_is_too_much_is_mended_and_said(elsewhere, given, right, form, capsys):
    with Endpoint(only_under(right, ELSEWHERE[elsewhere]), owned_by=None) as endpoint:
        base = f"http://127.0.0.1:{endpoint.port}"
        with load_backend({"backend": "openai", "model": "m", "base_url": base + given}) as backend:
            outcomes = answer_all(backend, [turn(k) for k in range(8)], Sampling(form=form))
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    assert capsys.readouterr().err.count(f"{base}{right} is asked instead") == 1


def test_an_address_with_nothing_at_it_says_what_one_looks_like():
    with Endpoint(lambda k, b, h: ELSEWHERE["plain 404"](h), owned_by=None) as endpoint:
        base = f"http://127.0.0.1:{endpoint.port}"
        with (
            load_backend({"backend": "openai", "model": "m", "base_url": base}) as backend,
            pytest.raises(
                BackendError, match=r"tried .*/v1 as well; an address goes up to and including /v1"
            ),
        ):
            answer_all(backend, [turn(k) for k in range(8)], Sampling())


def test_headers_and_parameters_come_from_the_environment_and_are_shown_nowhere(monkeypatch, capsys):
    monkeypatch.setenv("GATEWAY", "planted-secret")

    def behave(k, body, handler):
        handler.error(400, "bad planted-secret")

    with Endpoint(behave) as endpoint:
        with backend_for(
            endpoint,
            headers={"Ocp-Apim-Subscription-Key": "env:GATEWAY", "X-Team": "red"},
            query={"api-version": "2024-10-21", "sig": "env:GATEWAY"},
        ) as backend:
            (outcome,) = answer_all(backend, [turn("x")], Sampling())
            shown = repr(backend.identity) + outcome.message + capsys.readouterr().err
        headers = endpoint.headers[0]
        (path,) = endpoint.paths
    assert (headers["ocp-apim-subscription-key"], headers["x-team"]) == ("planted-secret", "red")
    assert "authorization" not in headers
    assert path == "/v1/chat/completions?api-version=2024-10-21&sig=planted-secret"
    assert "planted" not in shown
    assert "2024-10-21" in dict(backend.identity.details)["query"]


@pytest.mark.parametrize(
    "settings",
    [
        {"headers": {"api-key": "sk-planted"}},
        {"headers": {"Authorization": "Bearer sk-planted"}},
        {"headers": {"X-Api-Key": "sk-planted"}},
        {"query": {"key": "sk-planted"}},
        {"query": {"access_token": "sk-planted"}},
        {"base_url": "http://h/v1?api_key=sk-planted"},
    ],
)
def test_a_key_in_the_settings_is_refused_and_not_repeated(settings):
    with pytest.raises(ConfigError, match="env:NAME") as caught:
        load_backend({"backend": "openai", "model": "m", "base_url": "http://h/v1"} | settings)
    assert "planted" not in str(caught.value)


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(ConfigError, match="NOBODY_SET_THIS"):
        load_backend(
            {
                "backend": "openai",
                "model": "m",
                "base_url": "http://h/v1",
                "headers": {"a": "env:NOBODY_SET_THIS"},
            }
        )


def test_azure_gets_its_key_in_its_own_header_and_its_version_behind_the_path(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    with Endpoint() as endpoint:
        base = f"http://127.0.0.1:{endpoint.port}/openai/deployments/g?api-version=2024-10-21"
        with load_backend(f"openai:m@{base}") as backend:
            answer_all(backend, [turn("x")], Sampling())
        (path,) = endpoint.paths
    assert path == "/openai/deployments/g/chat/completions?api-version=2024-10-21"
    assert endpoint.headers[0]["api-key"] == "sk-planted"
    assert "authorization" not in endpoint.headers[0]


def test_a_redirect_takes_no_header_of_the_users_to_another_server(monkeypatch):
    monkeypatch.setenv("GATEWAY", "planted-secret")
    with Endpoint() as other, Endpoint() as endpoint:
        target = f"{other.url}/chat/completions"
        endpoint.behave = lambda k, b, h: h.send(307, "text/plain", b"", location=target)
        with backend_for(endpoint, headers={"api-key": "env:GATEWAY"}) as backend:
            (outcome,) = answer_all(backend, [turn("x")], Sampling())
        assert isinstance(outcome, Failure)
        assert not other.bodies


def test_a_private_authority_is_trusted_by_ssl_cert_file(tmp_path, monkeypatch):
    make_certificates(tmp_path)
    with Endpoint(certificate=(tmp_path / "server.pem", tmp_path / "server.key")) as endpoint:
        url = endpoint.url.replace("http:", "https:")
        spec = {"backend": "openai", "model": "m", "base_url": url, "max_attempts": 1}
        with load_backend(spec) as backend:
            (stranger,) = answer_all(backend, [turn("x")], Sampling())
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        with load_backend(spec) as backend:
            (trusted,) = answer_all(backend, [turn("x")], Sampling())
    assert isinstance(stranger, Failure)
    assert "certificate" in stranger.message.lower()
    assert isinstance(trusted, Reply)


def make_certificates(folder: Path) -> None:
    """A certificate authority of our own, and a server's certificate by it."""
    names = "subjectAltName=IP:127.0.0.1"
    (folder / "names").write_text(names)

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ["-newkey", "rsa:2048", "-nodes"]
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ours", "-days", "2")
    openssl("req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signing)


def test_capabilities_are_found_out_once_by_many_at_once():
    """Sixty requests at once, an endpoint that refuses three things: each is refused to few, not to all."""
    refused, lock = [], Lock()

    def behave(k, body, handler):
        for name in ("max_tokens", "temperature"):
            if name in body:
                with lock:
                    refused.append(name)
                return handler.error(400, f"Unsupported parameter: '{name}'", param=name)
        well(body, handler)

    outcomes, *_ = ask(behave, 60, concurrency=60)
    assert all(isinstance(outcome, Reply) for outcome in outcomes)
    assert refused == ["max_tokens", "temperature"]
