"""Several endpoints for one model: real server processes, some of which die."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from judges import (
    ConfigError,
    EndpointDownError,
    Message,
    Reply,
    Sampling,
    Statement,
    answer_all,
    load_backend,
    load_judge,
)
from tests.judges.endpoint import GOOD_FORM, Endpoint

ROOT = Path(__file__).parents[4]
SERVER = """
import sys, time
from tests.judges.endpoint import Endpoint
name, port, delay = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
def behave(k, body, handler):
    time.sleep(delay)
    handler.reply(name)
with Endpoint(behave, port=port) as endpoint:
    print(endpoint.port, flush=True)
    sys.stdin.read()
"""


class ServerProcess:
    """An endpoint in a process of its own, which answers with its name."""

    def __init__(self, name: str, port: int = 0, delay: float = 0.02) -> None:
        command = [sys.executable, "-c", SERVER, name, str(port), str(delay)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/v1"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def servers():
    running = [ServerProcess(name) for name in "ab"]
    yield running
    for server in running:
        server.kill()


def turn(number):
    return (Message("user", str(number)),)


def backend_for(servers, **settings):
    quick = {"backoff": 0.01, "timeout": 10, "concurrency": 8}
    urls = [server.url for server in servers]
    return load_backend({"backend": "openai", "model": "m", "base_url": urls} | quick | settings)


def test_work_is_shared_in_balance(servers):
    with backend_for(servers) as backend:
        outcomes = answer_all(backend, [turn(k) for k in range(200)], Sampling())
    shares = Counter(outcome.text for outcome in outcomes)
    assert shares.total() == 200
    assert min(shares["a"], shares["b"]) > 60


def test_one_is_killed_in_the_middle_and_comes_back(servers, capfd, monkeypatch):
    monkeypatch.setattr("judges.backends.openai.choice._FIRST_REST", 0.2)
    a, _ = servers
    seen: dict[int, Reply] = {}
    with backend_for(servers) as backend:
        conversations = (turn(k) for k in range(100_000))
        outcomes = backend.replies(conversations, Sampling())

        def take(n):
            texts = []
            for _ in range(n):
                index, outcome = next(outcomes)
                assert index not in seen
                assert isinstance(outcome, Reply), outcome
                seen[index] = outcome
                texts.append(outcome.text)
            return texts

        assert set(take(100)) == {"a", "b"}
        a.kill()
        take(50)  # what was under way or waiting to be handed out
        assert set(take(100)) == {"b"}
        servers[0] = ServerProcess("a", port=a.port)
        while "a" not in take(20):
            assert len(seen) < 20_000
        assert {"a", "b"} == set(take(100))
        outcomes.close()
    told = capfd.readouterr().err
    assert told.count(f"@{a.url}: left out for now: the connection failed") == 1
    assert told.count(f"@{a.url}: answers again") == 1


def test_nothing_is_lost_or_judged_twice_when_one_dies(tmp_path):
    """What had not arrived when the endpoint died is asked elsewhere, and the accounts know every request."""
    with Endpoint() as good, Endpoint() as dying:
        dying.behave = lambda k, body, handler: handler.reply(GOOD_FORM) if k < 40 else handler.drop()
        spec = {"backend": "openai", "model": "m", "base_url": [dying.url, good.url], "backoff": 0.01}
        statements = [Statement("q", f"number {k}") for k in range(200)]
        with load_judge(spec | {"concurrency": 8}, cache=tmp_path / "c") as judge:
            judge.assess_all(statements, progress=False)
            accounts = judge.accounts
        assert (accounts.asked, accounts.answered, accounts.judged) == (200, 200, 200)
        assert accounts.requests == len(good.bodies) + len(dying.bodies)
        assert len(good.bodies) == 160
        # The cache goes by the first address: others may join or leave.
        spec["base_url"] = [dying.url]
        with load_judge(spec, cache=tmp_path / "c") as judge:
            judge.assess_all(statements, progress=False)
            assert judge.accounts.cached == 200


def test_a_wait_that_one_asks_for_does_not_hold_up_the_others():
    def told_to_wait(k, body, handler):
        handler.error(429, "later", retry_after="900")

    with Endpoint(told_to_wait) as busy, Endpoint() as good:
        with load_backend(
            {"backend": "openai", "model": "m", "base_url": [busy.url, good.url], "concurrency": 4}
        ) as backend:
            outcomes = answer_all(backend, [turn(k) for k in range(40)], Sampling())
        assert all(isinstance(outcome, Reply) for outcome in outcomes)
        assert len(busy.bodies) <= 4


def test_the_run_stops_when_all_are_dead(servers):
    for server in servers:
        server.kill()
    with backend_for(servers, patience=0.1) as backend:
        both = ", ".join(server.url for server in servers)
        with pytest.raises(EndpointDownError, match=f"{both}: every request fails"):
            answer_all(backend, (turn(k) for k in range(64_000)), Sampling())


def test_addresses_in_the_short_form_and_in_the_identity():
    with load_backend("openai:m@http://h1:1/v1,http://h2:2/v1") as backend:
        assert str(backend.identity) == "openai:m@http://h1:1/v1"
    with load_backend("openai:m@http://h1:1/v1") as alone:
        assert alone.identity == backend.identity


@pytest.mark.parametrize("urls", [[], ["http://h/v1", "http://h/v1/"], ["http://h/v1", "h2"]])
def test_wrong_addresses_are_refused(urls):
    with pytest.raises(ConfigError, match="base_url"):
        load_backend({"backend": "openai", "model": "m", "base_url": urls})


def test_a_password_in_any_address_is_refused_and_not_repeated():
    urls = ["http://h/v1", "http://me:planted@h2/v1"]
    for spec in ({"backend": "openai", "model": "m", "base_url": urls}, f"openai:m@{','.join(urls)}"):
        with pytest.raises(ConfigError, match="nor in base_url") as caught:
            load_backend(spec)
        assert "planted" not in str(caught.value)
