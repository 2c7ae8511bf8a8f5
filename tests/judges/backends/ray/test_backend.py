"""Backends on a real Ray cluster of this machine: real workers, killed in the middle."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from judges import BackendError, ConfigError, Failure, Reply, Sampling, Statement, load_backend, load_judge
from judges.backends.executor import RaySettings
from judges.backends.ray import cluster as ray_cluster
from judges.backends.ray.backend import RayBackend
from judges.records import Conversation
from tests.judges.backends.asking import ask
from tests.judges.endpoint import GOOD_FORM, Endpoint, Handler

pytestmark = [pytest.mark.engine, pytest.mark.timeout(400)]

pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")

KEY = "sk-planted-9876543210fedcba"
ONE = {"ray": {"workers": 1}}
TWO = {"ray": {"workers": 2}}

# A backend of another package, whose process dies of one conversation.
DEADLY = """
import os
from judges.backends.scripted import create as scripted

def create(settings):
    backend = scripted(settings)
    replies = backend.replies
    def deadly(conversations, sampling):
        def watched():
            for conversation in conversations:
                if conversation[-1].content == "7":
                    os.kill(os.getpid(), 9)
                yield conversation
        return replies(watched(), sampling)
    backend.replies = deadly
    return backend
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an installed package that brings the backend ``deadly``."""
    folder = tmp_path_factory.mktemp("deadly")
    (folder / "deadly_backend.py").write_text(DEADLY)
    info = folder / "deadly-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: deadly\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[judges.backends]\ndeadly = deadly_backend:create\n")
    return folder


@pytest.fixture(scope="module")
def cluster(package: Path) -> Iterator[Path]:
    """A cluster that all tests here share, with a key and a package in its environment; its folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TEST_KEY", KEY)
        patch.setenv("PYTHONPATH", str(package), prepend=os.pathsep)
        ray_cluster.join(RaySettings(workers=4), 0.0)
        try:
            assert ray_cluster._folder is not None
            yield ray_cluster._folder
        finally:
            if ray_cluster._users:  # the last test here ends it by itself
                ray_cluster.leave()


@pytest.fixture(scope="class")
def slow_pair(cluster: Path) -> Iterator[tuple[Endpoint, RayBackend]]:
    """An endpoint that takes its time, and the two workers that ask it."""
    with Endpoint(slowly) as endpoint, load_backend(judge_settings(endpoint), executor=TWO) as backend:
        assert isinstance(backend, RayBackend)
        yield endpoint, backend


def judge_settings(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    settings = {"backend": "openai", "model": "m", "base_url": endpoint.url, "concurrency": 8}
    return settings | {"api_key_env": "RAY_TEST_KEY", "backoff": 0.01} | more


def slowly(_: int, __: dict[str, Any], handler: Handler) -> None:
    time.sleep(0.05)
    handler.reply(GOOD_FORM)


def statements(count: int) -> list[Statement]:
    return [Statement("What is 1 + 1?", f"It is so, number {number}.") for number in range(count)]


def processes(backend: RayBackend) -> list[int]:
    return [member.introduction.pid for member in backend._crew if member.introduction is not None]


def test_judging_is_the_same_as_without_ray(cluster: Path, tmp_path: Path) -> None:
    with Endpoint() as endpoint:
        with load_judge(judge_settings(endpoint), cache=tmp_path / "here") as judge:
            here = judge.assess_all(statements(60), progress=False)
        with load_judge(judge_settings(endpoint), cache=tmp_path / "there", executor=TWO) as judge:
            there = judge.assess_all(statements(60), progress=False)
            accounts = judge.accounts
            assert judge.info.constrained
        assert endpoint.keys == {f"Bearer {KEY}"}
        asked = len(endpoint.bodies)
        with load_judge(judge_settings(endpoint), cache=tmp_path / "here", executor=TWO) as judge:
            judge.assess_all(statements(60), progress=False)
            assert judge.accounts.cached == 60  # of the run without Ray
        assert len(endpoint.bodies) == asked
    assert [found.outcome for found in there] == [found.outcome for found in here]
    assert (accounts.asked, accounts.answered, accounts.requests, accounts.retried) == (60, 60, 60, 0)


def test_a_worker_killed_in_the_middle_loses_nothing(
    cluster: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    killed: list[int] = []
    crew: list[RayBackend] = []

    def complete() -> bool:
        there = processes(crew[0])
        return len(there) == 2 and killed[0] not in there

    def once_replaced(_: int, __: dict[str, Any], handler: Handler) -> None:
        """After the kill, replies wait for the other worker: else the rest may be done before it is there."""
        time.sleep(0.05)
        until = time.monotonic() + 120
        while killed and not complete() and time.monotonic() < until:
            time.sleep(0.05)
        handler.reply(GOOD_FORM)

    with Endpoint(once_replaced) as endpoint:
        with load_judge(judge_settings(endpoint), cache=tmp_path / "cache", executor=TWO) as judge:
            assert isinstance(judge.backend, RayBackend)
            crew.append(judge.backend)
            found = []
            for index, assessment in judge.assess(statements(400)):
                found.append(index)
                assert assessment.raw == GOOD_FORM
                if len(found) == 50:
                    killed = processes(judge.backend)[:1]
                    os.kill(killed[0], signal.SIGKILL)
            accounts = judge.accounts
            assert complete()
        asked = endpoint.asked
    assert sorted(found) == list(range(400))
    assert len(asked) == 400
    twice = sum(count - 1 for count in asked.values())
    assert max(asked.values()) == 2
    assert 0 < twice <= 20  # what was under way there, and nothing else
    # What was handed to the worker and hadn't reached the endpoint counts as asked, too.
    assert twice <= accounts.retried <= 25
    assert accounts.answered == accounts.judged == accounts.asked == 400
    assert accounts.requests == accounts.asked + accounts.retried
    said, told = capfd.readouterr()
    assert said == ""
    assert f"process {killed[0]}) was lost: " in told
    assert "its process died" in told
    assert "is started again" in told
    assert len(without_waiting(told)) <= 3


def test_a_worker_that_dies_again_and_again_ends_the_run_with_one_line(cluster: Path, tmp_path: Path) -> None:
    replies = tmp_path / "replies.yaml"
    replies.write_text("replies: [{reply: late, delay: 30}]\n")
    backend = load_backend(
        {"backend": "scripted", "replies": str(replies)}, executor={"ray": {"workers": 1, "restarts": 1}}
    )
    assert isinstance(backend, RayBackend)
    seen: set[int] = set()

    def questions() -> Iterator[Conversation]:
        yield from (ask(str(number)) for number in range(3))

    def kill_all() -> None:
        while len(seen) < 2:
            for process in set(processes(backend)) - seen:
                time.sleep(0.5)
                os.kill(process, signal.SIGKILL)
                seen.add(process)
            time.sleep(0.1)

    import threading

    thread = threading.Thread(target=kill_all)
    thread.start()
    with pytest.raises(BackendError, match="was lost 2 times in a row, and no other is left") as caught:
        list(backend.replies(questions(), Sampling()))
    thread.join()
    assert "\n" not in str(caught.value)
    backend.close()


def test_a_conversation_that_kills_its_workers_is_given_up(
    cluster: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(package)
    (tmp_path / "replies.yaml").write_text("replies: [{reply: fine}]\n")
    settings = {"backend": "deadly", "replies": str(tmp_path / "replies.yaml")}
    with load_backend(settings, executor=TWO) as backend:
        found = dict(backend.replies([ask(str(number)) for number in range(100)], Sampling()))
    assert sorted(found) == list(range(100))
    ((number, failure),) = [(key, each) for key, each in found.items() if isinstance(each, Failure)]
    assert (number, failure.attempts) == (7, 4)
    said = "4 workers were lost with it, the last one with nothing else under way: "
    assert failure.message.startswith(said)


def test_what_a_worker_complains_of_is_one_line(cluster: Path) -> None:
    def refuse(_: int, __: dict[str, Any], handler: Handler) -> None:
        handler.error(401, f"wrong key {KEY}")

    with Endpoint(refuse) as endpoint:
        said = []
        for executor in (None, ONE):
            with (
                load_backend(judge_settings(endpoint), executor=executor) as backend,
                pytest.raises(BackendError) as caught,
            ):
                list(backend.replies([ask("hello")], Sampling()))
            said.append(str(caught.value))
    assert said[0] == said[1]
    assert KEY not in said[1]
    assert "\n" not in said[1]


def test_a_worker_that_finds_another_model_is_refused(
    cluster: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies = tmp_path / "replies.yaml"
    replies.write_text("replies: [{reply: one}]\n")
    backend = load_backend({"backend": "scripted", "replies": str(replies)}, executor=ONE)
    replies.write_text("replies: [{reply: another}]\n")
    with backend, pytest.raises(ConfigError, match=r"finds another scripted:.* than this machine: sha256"):
        list(backend.replies([ask("hello")], Sampling()))


class TestTwoWorkers:
    """What two workers can do without a new start in between."""

    def test_a_batch_left_early_doesnt_spoil_the_next(self, slow_pair: tuple[Endpoint, RayBackend]) -> None:
        endpoint, backend = slow_pair
        stream = backend.replies((ask(f"a{number}") for number in range(1000)), Sampling())
        assert isinstance(next(iter(stream))[1], Reply)
        stream.close()  # type: ignore[attr-defined]
        found = dict(backend.replies([ask(f"b{number}") for number in range(40)], Sampling()))
        assert sorted(found) == list(range(40))
        assert not any(isinstance(outcome, Failure) for outcome in found.values())
        assert len([text for text in endpoint.asked if text.startswith("a")]) < 100

    def test_a_key_is_nowhere_but_in_the_environment(
        self, cluster: Path, slow_pair: tuple[Endpoint, RayBackend]
    ) -> None:
        endpoint, backend = slow_pair
        stream = iter(backend.replies([ask(f"c{number}") for number in range(200)], Sampling()))
        next(stream)
        assert endpoint.keys == {f"Bearer {KEY}"}
        ours = psutil.Process().children(recursive=True)
        assert len(ours) > 5
        for process in ours:
            assert KEY not in " ".join(process.cmdline())
        files = [path for path in cluster.rglob("*") if path.is_file()]
        assert len(files) > 5
        assert [str(path) for path in files if KEY.encode() in path.read_bytes()] == []
        stream.close()  # type: ignore[attr-defined]


def without_waiting(told: str) -> list[str]:
    """What was told, except that a busy machine took its time to start a worker."""
    return [line for line in told.splitlines() if not line.startswith("ray: waiting for room")]


def test_the_machine_is_refused_more_gpus_than_it_has(cluster: Path, tmp_path: Path) -> None:
    (tmp_path / "replies.yaml").write_text("replies: [{reply: hello}]\n")
    settings = {"backend": "scripted", "replies": str(tmp_path / "replies.yaml")}
    executor = {"ray": {"workers": 2, "gpus_per_worker": 100}}
    with (
        load_backend(settings, executor=executor) as backend,
        pytest.raises(ConfigError, match=r"2 worker\(s\) of 100 GPU\(s\) need 200, this machine has"),
    ):
        list(backend.replies([ask("hello")], Sampling()))


def test_one_process_can_start_a_cluster_after_another(
    cluster: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """After the one that the tests above shared; the last test here."""
    import ray

    ray_cluster.leave()
    assert not ray.is_initialized()
    assert not cluster.exists()
    (tmp_path / "replies.yaml").write_text("replies: [{reply: hello}]\n")
    settings = {"backend": "scripted", "replies": str(tmp_path / "replies.yaml")}
    with load_backend(settings, executor=ONE) as backend:
        ((_, outcome),) = backend.replies([ask("x")], Sampling())
        assert isinstance(outcome, Reply)
        assert outcome.text == "hello"
        assert ray.is_initialized()
    assert not ray.is_initialized()
    said, told = capfd.readouterr()
    assert (said, without_waiting(told)) == ("", [])
