"""The HTTP of the openai backend: the environment's proxies, redirects and encodings."""

from __future__ import annotations

import pytest

from judges import Failure, Message, Reply, Sampling, answer_all, load_backend
from tests.judges.endpoint import Endpoint

KEY = "sk-planted"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


def ask(url, text="hello", **settings):
    quick = {"backoff": 0.01, "max_attempts": 1}
    with load_backend({"backend": "openai", "model": "m", "base_url": url} | quick | settings) as backend:
        (outcome,) = answer_all(backend, [(Message("user", text),)], Sampling())
    return outcome


def test_the_environments_proxy_is_used(monkeypatch):
    with Endpoint() as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert isinstance(ask("http://judge.invalid/v1"), Reply)
        assert dict(proxy.paths) == {"http://judge.invalid/v1/chat/completions": 1}


def test_what_no_proxy_names_is_asked_directly(monkeypatch):
    with Endpoint() as proxy, Endpoint() as endpoint:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert isinstance(ask(endpoint.url), Reply)
        assert (len(proxy.bodies), len(endpoint.bodies)) == (0, 1)


def test_a_redirect_to_another_server_does_not_take_the_key_along():
    with Endpoint() as other, Endpoint() as endpoint:
        target = f"{other.url}/chat/completions"
        endpoint.behave = lambda k, b, h: h.send(307, "text/plain", b"", location=target)
        assert isinstance(ask(endpoint.url), Reply)
        assert endpoint.keys == {f"Bearer {KEY}"}
        assert other.keys == {None}


def test_a_server_that_sends_its_clients_in_a_circle_is_a_failure():
    with Endpoint() as endpoint:
        target = f"{endpoint.url}/chat/completions"
        endpoint.behave = lambda k, b, h: h.send(307, "text/plain", b"", location=target)
        outcome = ask(endpoint.url)
    assert isinstance(outcome, Failure)
    assert "the connection failed" in outcome.message


def test_no_key_sends_none(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with Endpoint() as endpoint:
        ask(endpoint.url)
        assert endpoint.keys == {None}


@pytest.mark.parametrize("text", ["l\u00f6sung \U0001f600", "\u8a3c\u660e", "a lone \ud800 surrogate"])
def test_any_text_arrives_as_it_was_sent(text):
    with Endpoint(lambda k, body, h: h.reply(body["messages"][-1]["content"])) as endpoint:
        assert ask(endpoint.url, text).text == text
