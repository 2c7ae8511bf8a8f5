"""Any backend, spread over the workers of a Ray cluster.

Each worker is an actor that holds a backend of its own; this process hands out conversations and takes the
replies, so that the cache, the accounts, budgets and artifacts stay with it and are the same as without Ray.
What was under way at a worker that is lost is asked again at another.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from judges.backends.executor import RaySettings
from judges.backends.protocol import IndexedOutcome, Store
from judges.backends.ray import cluster as ray_cluster
from judges.backends.ray.supply import Supply
from judges.backends.ray.worker import RESERVE, Delivery, Introduction, RayWorker
from judges.backends.registry import create_backend
from judges.errors import AnchorError, BackendError, ConfigError
from judges.output import notices
from judges.records import BackendIdentity, Conversation, Failure, Outcome, Sampling

# Seconds for which the first worker waits for the others, so that they share a small batch.
GRACE = 5.0
# Seconds without a sign of life after which a worker counts as lost.
UNHEARD = 300.0
# Seconds that a worker's backend may take to end.
CLOSE_SECONDS = 20.0
# Seconds without any worker after which the user is told what is being waited for.
PATIENCE = 15.0


def create(kind: str, settings: Mapping[str, Any], ray: RaySettings) -> RayBackend:
    """Makes the backend; cluster and workers start when it is first asked.

    Args:
        kind: Name of the backend that each worker holds.
        settings: Its settings; checked here, before anything starts.
        ray: How it is spread.

    Raises:
        ConfigError: If a setting is wrong.
        MissingExtraError: If Ray, or a library of the backend, isn't installed.
    """
    ray_cluster.check_ray()
    with create_backend(kind, settings) as here:  # engines load nothing until they are asked
        identity, constrains = here.identity, here.constrains
    return RayBackend(kind, settings, ray, identity, constrains)


@dataclass(eq=False)
class _Member:
    """A worker as it is seen from here.

    Attributes:
        number: Counted from 0.
        actor: Ray's handle; None while it waits to be started again.
        call: The call under way.
        since: When that began.
        introduction: None until it has come up.
        held: Conversations under way there.
        apart: Whether it gets nothing more until what it holds is answered.
        wanted: How many more it has room for.
        losses: How often in a row it was lost without an answer in between.
        start_at: When it may be started again.
    """

    number: int
    actor: Any = None
    call: Any = None
    since: float = 0.0
    introduction: Introduction | None = None
    held: dict[int, Conversation] = field(default_factory=dict)
    apart: bool = False
    wanted: int = RESERVE
    losses: int = 0
    start_at: float = 0.0

    def __str__(self) -> str:
        there = self.introduction
        return f"ray worker {self.number}" + (f" ({there.node}, process {there.pid})" if there else "")


@dataclass(frozen=True)
class _Batch:
    """One call of ``replies``."""

    number: int
    sampling: Sampling
    supply: Supply
    store: Store


class RayBackend:
    """A :class:`judges.ChatBackend`; see there."""

    def __init__(
        self,
        kind: str,
        settings: Mapping[str, Any],
        ray: RaySettings,
        identity: BackendIdentity,
        constrains: bool | None,
    ) -> None:
        self._kind = kind
        self._settings = dict(settings)
        self._how = ray
        self._identity = identity
        self._constrains = constrains
        self._ray: Any = None
        self._crew: list[_Member] = []
        self._needs: dict[str, float] = {}
        self._batch = 0
        self._answering = False
        self._answered = False  # anything, by any worker
        self._nobody_since: float | None = None
        self._told: dict[str, float] = {}  # line -> when

    @property
    def identity(self) -> BackendIdentity:
        """That of the workers' backends: replies are as good from one place as from another."""
        return self._identity

    @property
    def constrains(self) -> bool | None:
        """Whether replies are held to the form, at all workers; None until that is known."""
        return self._constrains

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """Answers the conversations as they are finished, anywhere."""
        return self.replies_stored(conversations, sampling, lambda index, outcome: None)

    def replies_stored(
        self, conversations: Iterable[Conversation], sampling: Sampling, store: Store
    ) -> Iterator[IndexedOutcome]:
        """As ``replies``; all that a worker delivers is stored before the first of it is handed out.

        Raises:
            BackendError: If no worker can start, or none is left.
            ConfigError: If a worker finds another model than this process does.
        """
        if self._answering:
            raise BackendError(
                f"{self._identity} is still answering another batch; close that iterator first"
            )
        self._answering = True
        try:
            supply = Supply(conversations)
            supply.fill()
            if not supply.exhausted:
                yield from self._answers(supply, sampling, store)
        except AnchorError:
            self.close()
            raise
        finally:
            self._answering = False

    def close(self) -> None:
        """Ends the workers and their engines, and a cluster that was started for them."""
        if self._ray is None:
            return
        ray, self._ray = self._ray, None
        actors = [member.actor for member in self._crew if member.actor is not None]
        self._crew = []
        try:
            if stops := [actor.stop.remote() for actor in actors]:
                ray.wait(stops, num_returns=len(stops), timeout=CLOSE_SECONDS)
            for actor in actors:
                ray.kill(actor)
        finally:
            ray_cluster.leave()

    def __enter__(self) -> RayBackend:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _answers(self, supply: Supply, sampling: Sampling, store: Store) -> Iterator[IndexedOutcome]:
        self._start_workers()
        self._batch += 1
        batch = _Batch(self._batch, sampling, supply, store)
        for member in self._crew:
            member.wanted = RESERVE
            member.held = {}
            member.apart = False
        try:
            while True:
                for member in self._crew:
                    self._give_work(member, batch)
                if supply.empty and not any(member.held for member in self._crew):
                    return
                for member in self._with_news():
                    outcomes = self._received(member, batch)
                    # Before the caller has the floor, so that the worker doesn't wait for it.
                    self._give_work(member, batch)
                    yield from outcomes
        finally:  # the caller may have left early
            for member in self._crew:
                if member.held and member.actor is not None:
                    member.actor.drop.remote()

    def _start_workers(self) -> None:
        """Starts the workers, once; waits for a first one, and for a moment for the others."""
        if self._ray is not None:
            return
        gpus = self._gpus_of_a_worker()
        self._ray = ray_cluster.join(self._how, self._how.gpus_per_worker or 0.0)
        resources = self._ray.cluster_resources()
        if self._how.gpus_per_worker is None and resources.get("GPU", 0.0) < gpus:
            gpus = 0.0
        self._needs = {"CPU": self._how.cpus_per_worker, "GPU": gpus}
        count = self._how.workers
        if count is None and gpus:
            count = int(resources["GPU"] // gpus)
        elif count is None:
            count = sum(node["Alive"] for node in self._ray.nodes())
        self._crew = [_Member(number) for number in range(count)]
        for member in self._crew:
            self._start(member)
        calls = [member.call for member in self._crew]
        self._nobody_since = time.monotonic()
        if self._ray.wait(calls, num_returns=1, timeout=GRACE)[0]:
            self._ray.wait(calls, num_returns=len(calls), timeout=GRACE)

    def _gpus_of_a_worker(self) -> float:
        if self._how.gpus_per_worker is not None:
            return self._how.gpus_per_worker
        if self._kind not in ("vllm", "transformers"):
            return 0.0
        engine_args = self._settings.get("engine_args") or {}
        return float(
            self._settings.get("tensor_parallel_size") or engine_args.get("tensor_parallel_size") or 1
        )

    def _start(self, member: _Member) -> None:
        actor = self._ray.remote(RayWorker).options(
            num_cpus=self._needs["CPU"], num_gpus=self._needs["GPU"], scheduling_strategy="SPREAD"
        )
        member.actor = actor.remote(self._kind, self._settings, os.getcwd())
        member.introduction = None
        member.call, member.since = member.actor.introduce.remote(), time.monotonic()

    def _give_work(self, member: _Member, batch: _Batch) -> None:
        """Sends a worker what it has room for, and asks for what it has answered; never waits."""
        if member.call is not None:
            return
        if member.actor is None:
            if time.monotonic() >= member.start_at:
                self._start(member)
            return
        if member.held:
            given = [] if member.apart else batch.supply.take(member.number, member.wanted)
        else:
            given = batch.supply.take_apart()
            member.apart = bool(given)
            given = given or batch.supply.take(member.number, member.wanted)
        if not given and not member.held:
            return
        member.held.update(given)
        more = not member.apart and not batch.supply.exhausted
        member.call = member.actor.exchange.remote(batch.number, batch.sampling, given, more)
        member.since = time.monotonic()

    def _with_news(self) -> list[_Member]:
        """Waits until workers have answered; gives those, and those that have been silent for too long."""
        calls = {member.call: member for member in self._crew if member.call is not None}
        now = time.monotonic()
        if calls:
            ready, _ = self._ray.wait(list(calls), num_returns=1, timeout=1.0)
            if ready:
                return [calls[call] for call in ready]
        else:
            time.sleep(max(0.0, min(member.start_at for member in self._crew) - now))
        self._check_anybody(now)
        return [
            member
            for member in calls.values()
            if member.introduction is not None and now - member.since > UNHEARD
        ]

    def _check_anybody(self, now: float) -> None:
        """Complains if the cluster has room for no worker at all."""
        if any(member.introduction is not None for member in self._crew):
            self._nobody_since = None
            return
        if self._nobody_since is None:
            self._nobody_since = now
        waited = now - self._nobody_since
        have = self._ray.cluster_resources()
        needs = ", ".join(f"{number:g} {kind}" for kind, number in self._needs.items() if number)
        there = ", ".join(f"{have.get(kind, 0):g} {kind}" for kind in self._needs)
        if waited > self._how.start_timeout:
            raise BackendError(
                f"executor ray: no worker could start within {self._how.start_timeout:g} s: "
                f"each needs {needs}, the cluster has {there} in all"
            )
        if waited > PATIENCE:
            self._tell(f"ray: waiting for room for a first worker ({needs}; the cluster has {there} in all)")

    def _received(self, member: _Member, batch: _Batch) -> list[IndexedOutcome]:
        """What a worker's call brought, stored; if the worker is lost, what is given up with it."""
        from ray.exceptions import RayError

        call, member.call = member.call, None
        try:
            found = self._ray.get(call, timeout=0)
        except RayError as error:
            return self._lost(member, _reason(error), batch)
        if isinstance(found, Introduction):
            self._welcome(member, found)
            return []
        assert isinstance(found, Delivery)
        for line in found.notices:
            self._tell(line)
        if found.constrains is not None:
            self._constrains = found.constrains and self._constrains is not False
        if found.batch != batch.number:  # the last words of a batch that the caller left early
            return []
        outcomes = []
        for number, outcome in found.outcomes:
            member.held.pop(number, None)
            known = _with_attempts(outcome, batch.supply.answered(number))
            batch.store(number, known)
            outcomes.append((number, known))
        member.wanted = found.wanted
        if outcomes:
            self._answered = True
            member.losses = 0
        if found.problem is not None:
            if found.problem.kind == "settings" or not self._answered:
                raise found.problem.error()
            outcomes += self._lost(member, found.problem.message, batch)
        return outcomes

    def _welcome(self, member: _Member, found: Introduction) -> None:
        """A worker has come up."""
        if found.problem is not None:
            raise replace(found.problem, message=f"{found.problem.message} (at {found.node})").error()
        if found.identity != self._identity:
            raise ConfigError(
                f"executor ray: {found.node} finds another {self._identity} than this machine: "
                f"{_difference(found.identity, self._identity)}; the same files must lie at the same place"
            )
        member.introduction = found

    def _lost(self, member: _Member, reason: str, batch: _Batch) -> list[IndexedOutcome]:
        """Gives back what was under way at a lost worker, and starts it again or does without it."""
        with suppress(Exception):
            self._ray.kill(member.actor)
        held, member.held = member.held, {}
        given_up = batch.supply.lost(held.items())
        member.losses += 1
        who = str(member)
        member.actor, member.introduction, member.wanted = None, None, RESERVE
        if member.losses > self._how.restarts:
            self._crew.remove(member)
            member.start_at = math.inf
            if not self._crew:
                raise BackendError(
                    f"{who} was lost {member.losses} times in a row, and no other is left: {reason}; run "
                    "again, what was answered is stored"
                )
            what_now = "goes on without it"
        else:
            # At once after good work; else each time later, so that others come before it.
            pause = 0.0 if member.losses == 1 else min(60.0, 2.0 ** (member.losses - 1))
            member.start_at = time.monotonic() + pause
            what_now = "is started again"
        notices.tell(
            f"{who} was lost: {reason}; {what_now}, {len(held) - len(given_up)} conversations are asked again"
        )
        outcomes: list[IndexedOutcome] = []
        for number, losses in given_up.items():
            message = (
                f"{losses} workers were lost with it, the last one with nothing else under way: {reason}"
            )
            failure = Failure(message, attempts=losses)
            batch.store(number, failure)
            outcomes.append((number, failure))
        return outcomes

    def _tell(self, line: str) -> None:
        """Tells the user what all workers may have to tell at the same time."""
        now = time.monotonic()
        if now - self._told.get(line, -math.inf) > PATIENCE:
            self._told[line] = now
            notices.tell(line)


def _with_attempts(outcome: Outcome, lost: int) -> Outcome:
    """Each worker that was lost with a conversation had asked for it once."""
    return replace(outcome, attempts=outcome.attempts + lost) if lost else outcome


def _reason(error: Exception) -> str:
    """What Ray says of a lost worker, on one line."""
    from ray.exceptions import GetTimeoutError

    if isinstance(error, GetTimeoutError):
        return f"no sign of life for {UNHEARD:.0f} s"
    text = re.sub(r"\x1b\[[\d;]*m", "", str(error))
    if "its node" in text:
        return "its node is gone"
    if "Worker exit type: SYSTEM_ERROR" in text:
        return "its process died: killed, crashed or out of memory"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__


def _difference(found: BackendIdentity | None, expected: BackendIdentity) -> str:
    there, here = dict(found.details if found else ()), dict(expected.details)
    names = sorted(name for name in {**there, **here} if there.get(name) != here.get(name))
    return ", ".join(f"{name} {there.get(name)} there, {here.get(name)} here" for name in names) or str(found)
