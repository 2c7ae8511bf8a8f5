"""The worker's side of the talk, without Ray: exchanges as the process that hands out the work makes them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from judges import Failure, Reply, Sampling
from judges.backends.ray.worker import RESERVE, Delivery, RayWorker, problem_of
from judges.errors import BackendError, ConfigError, DataError, EndpointDownError, MissingExtraError
from judges.output import notices
from tests.judges.backends.asking import ask
from tests.judges.endpoint import Endpoint

HERE = os.getcwd()


@pytest.fixture(autouse=True)
def notices_to_stderr() -> Iterator[None]:
    """A worker has notices told to itself."""
    listener = notices._listener
    yield
    notices.listen(listener)


def scripted(folder: Path, text: str) -> RayWorker:
    path = folder / "replies.yaml"
    path.write_text(f"replies:\n{text}\n")
    return RayWorker("scripted", {"replies": str(path)}, HERE)


def all_answers(worker: RayWorker, count: int, batch: int = 1) -> tuple[list[tuple[int, str]], int]:
    """Hands out questions as they are wanted; the answers, and the most that were ever out at once."""
    waiting = [(number, ask(str(number))) for number in range(count)]
    found: list[tuple[int, str]] = []
    out, most, wanted = 0, 0, RESERVE
    while len(found) < count:
        given, waiting = waiting[:wanted], waiting[wanted:]
        out += len(given)
        most = max(most, out)
        delivery = worker.exchange(batch, Sampling(), given, bool(waiting))
        assert delivery.problem is None
        found += [(number, str(getattr(outcome, "text", outcome))) for number, outcome in delivery.outcomes]
        out -= len(delivery.outcomes)
        wanted = delivery.wanted
    return found, most


def test_every_conversation_is_answered_once(tmp_path: Path) -> None:
    worker = scripted(tmp_path, "  - reply: hello")
    found, _ = all_answers(worker, 200)
    assert sorted(found) == [(number, "hello") for number in range(200)]
    again, _ = all_answers(worker, 30, batch=2)
    assert len(again) == 30


def test_it_asks_for_as_much_as_its_backend_takes() -> None:
    def slow(k: int, body: object, handler: object) -> None:
        time.sleep(0.05)
        handler.reply("yes")  # type: ignore[attr-defined]

    with Endpoint(slow) as endpoint:
        settings = {"model": "m", "base_url": endpoint.url, "concurrency": 8}
        worker = RayWorker("openai", settings, HERE)
        _, most = all_answers(worker, 150)
        worker.stop()
    # 8 at the endpoint, a quarter ahead in the client, and as much again here.
    assert 8 <= most <= 24


def test_a_failed_conversation_is_an_outcome_and_a_dead_backend_a_problem(tmp_path: Path) -> None:
    worker = scripted(
        tmp_path, "  - {match: '^3$', failure: lost}\n  - {match: '^7$', down: gone}\n  - reply: hi"
    )
    given = [(number, ask(str(number))) for number in range(10)]
    found: list[Delivery] = []
    while not found or found[-1].problem is None:
        found.append(worker.exchange(1, Sampling(), given if not found else [], True))
    outcomes = dict(outcome for delivery in found for outcome in delivery.outcomes)
    assert sorted(outcomes) == list(range(7))
    assert isinstance(outcomes[3], Failure)
    assert isinstance(outcomes[6], Reply)
    assert found[-1].problem is not None
    assert found[-1].problem.kind == "endpoint"
    assert "gone" in found[-1].problem.message


def test_what_was_dropped_makes_room_for_the_next_batch(tmp_path: Path) -> None:
    worker = scripted(tmp_path, "  - {match: slow, reply: late, delay: 0.2}\n  - reply: soon")
    worker.exchange(1, Sampling(), [(number, ask("slow")) for number in range(50)], True)
    worker.drop()
    found, _ = all_answers(worker, 5, batch=2)
    assert sorted(found) == [(number, "soon") for number in range(5)]


def test_it_tells_who_it_is_or_what_is_wrong(tmp_path: Path) -> None:
    good = scripted(tmp_path, "  - reply: hello").introduce()
    assert good.problem is None
    assert good.pid == os.getpid()
    bad = RayWorker("scripted", {"replies": str(tmp_path / "none.yaml")}, HERE).introduce()
    assert bad.identity is None
    assert bad.problem is not None
    assert bad.problem.kind == "settings"


def test_relative_paths_are_meant_from_the_folder_of_who_hands_out_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    (tmp_path / "replies.yaml").write_text("replies: [{reply: hello}]\n")
    worker = RayWorker("scripted", {"replies": "replies.yaml"}, str(tmp_path))
    assert worker.introduce().problem is None


def test_notices_come_with_the_delivery(capsys: pytest.CaptureFixture[str]) -> None:
    with Endpoint(lambda k, body, handler: handler.reply("no form"), owned_by=None) as endpoint:
        worker = RayWorker("openai", {"model": "m", "base_url": endpoint.url}, HERE)
        notices.tell("first")
        delivery = worker.exchange(1, Sampling(), [(0, ask("hi"))], False)
        worker.stop()
    assert delivery.notices[0] == "first"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (BackendError("wrong model"), BackendError),
        (EndpointDownError("down"), EndpointDownError),
        (ConfigError("no such key"), ConfigError),
        (DataError("no file"), ConfigError),
        (MissingExtraError("vLLM", "vllm"), ConfigError),
        (KeyError("x"), BackendError),
    ],
)
def test_an_error_survives_the_way(error: Exception, raised: type[Exception]) -> None:
    back = problem_of(error).error()
    assert type(back) is raised
    assert str(error).strip("'") in str(back)
