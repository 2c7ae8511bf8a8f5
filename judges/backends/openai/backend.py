"""Any OpenAI-compatible endpoint, or several: vLLM, Ollama, llama.cpp, paid APIs.

Requests run on an event loop in a thread of its own, and replies are stored there as they arrive;
conversations are pulled, and replies handed out, in the caller's thread. With several endpoints each request
goes to the one with the fewest under way; a failed one is made again elsewhere.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from judges.backends.openai.choice import choose
from judges.backends.openai.endpoint import Endpoint, Progress, Refused, Retry
from judges.backends.openai.health import LONGEST_WAIT, EndpointHealth
from judges.backends.openai.settings import OpenAISettings, checked_settings
from judges.backends.protocol import ChatBackend, IndexedOutcome, Store
from judges.errors import EndpointDownError
from judges.records import BackendIdentity, Conversation, Failure, Message, Outcome, Reply, Sampling

_SHORT_QUESTION: Conversation = (Message("user", "Are you there? Answer with one word."),)


def create(settings: Mapping[str, Any]) -> ChatBackend:
    """Makes the backend from its settings; nothing is asked yet.

    Raises:
        ConfigError: If a setting is wrong or the key is missing.
    """
    checked, key = checked_settings(settings)
    plain = OpenAIBackend(checked, key)
    if not checked.batch:
        return plain
    from judges.backends.openai.batch.backend import OpenAIBatchBackend

    return OpenAIBatchBackend(plain, poll=checked.batch_poll, patience=checked.patience)


class OpenAIBackend:
    """A client of one endpoint, or of several that serve the same model.

    Args:
        settings: Whom to ask, and how.
        key: Sent to the endpoints and nowhere else; empty if they need none.
    """

    def __init__(self, settings: OpenAISettings, key: str) -> None:
        self._settings = settings
        self._endpoints = [Endpoint(settings, url, key) for url in settings.urls]
        details = {"base_url": settings.urls[0]}
        if settings.form != "auto":
            details["form"] = settings.form
        if settings.extra_body:
            details["extra_body"] = json.dumps(settings.extra_body, sort_keys=True)
        for name, values in (("headers", settings.headers), ("query", settings.query)):
            if plain := {key: value for key, value in values.items() if not value.startswith("env:")}:
                details[name] = json.dumps(plain, sort_keys=True)
        if settings.omit:
            details["omit"] = ",".join(sorted(settings.omit))
        self.identity = BackendIdentity("openai", settings.model, tuple(sorted(details.items())))
        self._health = EndpointHealth(settings.patience, settings.backoff)
        self._checking = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def endpoint(self) -> Endpoint:
        """The first endpoint."""
        return self._endpoints[0]

    def start(self, work: Coroutine[Any, Any, Any]) -> concurrent.futures.Future[Any]:
        """Does something on the event loop that the connections belong to."""
        return asyncio.run_coroutine_threadsafe(work, self._running_loop())

    @property
    def constrains(self) -> bool | None:
        """Whether replies are held to the form, everywhere; None until that is known."""
        found = {endpoint.constrains for endpoint in self._endpoints}
        if False in found:
            return False
        return True if True in found else None

    @property
    def left_out(self) -> frozenset[str]:
        """What isn't sent to some endpoint, by the settings or because it refuses it."""
        return frozenset().union(*(endpoint.left_out for endpoint in self._endpoints))

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """See :meth:`judges.ChatBackend.replies`."""
        return self.replies_stored(conversations, sampling, lambda index, outcome: None)

    def replies_stored(
        self,
        conversations: Iterable[Conversation],
        sampling: Sampling,
        store: Store,
        seeds: Callable[[int], int | None] | None = None,
    ) -> Iterator[IndexedOutcome]:
        """See :meth:`judges.backends.protocol.BackgroundBackend.replies_stored`.

        Args:
            conversations: What to answer.
            sampling: One setting for all of them.
            store: Called with each outcome before it is handed out.
            seeds: Index of a conversation -> its seed in the place of ``sampling.seed``, for a caller that
                asks for several samples of one conversation one by one.
        """
        source = enumerate(conversations)
        first = next(source, None)
        if first is None:
            return
        loop = self._running_loop()
        outcomes: queue.SimpleQueue[IndexedOutcome | BaseException] = queue.SimpleQueue()
        batch = asyncio.run_coroutine_threadsafe(
            self._batch(sampling, store, seeds, outcomes.put), loop
        ).result()
        # As many again as are under way, so that the next is at hand while the caller is busy for a moment.
        room = 2 * self._concurrency
        pulled, handed_out = 1, 0
        exhausted = False
        try:
            loop.call_soon_threadsafe(batch.submit, *first)
            while True:
                while not exhausted and pulled - handed_out < room:
                    following = next(source, None)
                    if following is None:
                        exhausted = True
                    else:
                        loop.call_soon_threadsafe(batch.submit, *following)
                        pulled += 1
                if handed_out == pulled:
                    return
                outcome = outcomes.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                handed_out += 1
                yield outcome
        finally:
            if self._loop is loop:
                asyncio.run_coroutine_threadsafe(batch.cancel(), loop).result()

    def close(self) -> None:
        """Ends what is under way and closes the connections. A second call does nothing."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None
        with suppress(concurrent.futures.TimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), loop).result(timeout=5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=5)
        if not thread.is_alive():
            loop.close()

    async def _end(self) -> None:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await asyncio.gather(*(endpoint.close() for endpoint in self._endpoints))

    def __enter__(self) -> OpenAIBackend:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._loop.run_forever, name=f"judge {self._settings.model}", daemon=True
            )
            self._thread.start()
        return self._loop

    async def _batch(
        self,
        sampling: Sampling,
        store: Store,
        seeds: Callable[[int], int | None] | None,
        put: Callable[[Any], None],
    ) -> _Batch:
        if sampling.form is not None:
            await asyncio.gather(*(endpoint.find_form() for endpoint in self._endpoints))
        return _Batch(self, sampling, store, seeds, put, self._concurrency)

    @property
    def _concurrency(self) -> int:
        return self._settings.concurrency * len(self._endpoints)

    async def answer(self, conversation: Conversation, sampling: Sampling) -> Outcome:
        """One conversation, with as many requests as it takes.

        Raises:
            BackendError: If no conversation could be answered.
        """
        loop = asyncio.get_running_loop()
        start = loop.time()
        progress = Progress(conversation)
        failures = 0
        failed_at = None
        while len(progress.completions) < sampling.n:
            if pause := self._health.pause_before(loop.time()):
                await asyncio.sleep(pause)
                continue
            index = choose([endpoint.standing for endpoint in self._endpoints], loop.time(), failed_at)
            endpoint = self._endpoints[index]
            try:
                if await endpoint.attempt(progress, sampling):
                    self._health.success()
            except Refused as refusal:
                progress.attempts += await self._check(endpoint, sampling, refusal)
                return self._failure(str(refusal), progress, start)
            except Retry as problem:
                failures += 1
                failed_at = index
                await self._after_failure(endpoint, problem, failures)
                if failures >= self._settings.max_attempts:
                    reason = f"{problem} (after {progress.attempts} requests)"
                    if self._health.lost():
                        raise self._down(reason) from None
                    return self._failure(reason, progress, start)
        seconds = loop.time() - start
        return Reply(tuple(progress.completions), progress.usage, progress.attempts, seconds)

    async def _after_failure(self, endpoint: Endpoint, problem: Retry, failures: int) -> None:
        now = asyncio.get_running_loop().time()
        if problem.busy:
            endpoint.overload()
        elif endpoint.standing.failure(now) and len(self._endpoints) > 1:
            endpoint.say(f"left out for now: {problem}")
        if problem.wait is not None:
            self._wait_for(endpoint, problem, now)
        if self._health.failure(now) and not problem.busy:
            raise self._down(str(problem))
        # Elsewhere it is tried again at once; back-off begins when all have had a try.
        round_ended = failures % len(self._endpoints) == 0
        if round_ended and failures < self._settings.max_attempts and problem.wait is None:
            await asyncio.sleep(self._health.backoff_after(failures // len(self._endpoints)))

    def _wait_for(self, endpoint: Endpoint, problem: Retry, now: float) -> None:
        """Leaves an endpoint alone for as long as it asks; if they all do, everybody waits for the first."""
        endpoint.standing.free_at = max(endpoint.standing.free_at, now + (problem.wait or 0.0))
        wait = min(other.standing.free_at for other in self._endpoints) - now
        if wait > LONGEST_WAIT:
            raise EndpointDownError(
                f"{self._addresses} asks to wait {wait:.0f} s ({problem}); run again then, "
                "what was answered is stored"
            )
        if wait > 0:
            self._health.hold(now, wait)

    @property
    def _addresses(self) -> str:
        return ", ".join(endpoint.url for endpoint in self._endpoints)

    async def _check(self, endpoint: Endpoint, sampling: Sampling, refusal: Refused) -> int:
        """Finds out, when many are refused in a row, whether it is they (too long, say) or the endpoint.

        Returns:
            Requests that this took.

        Raises:
            EndpointDownError: If the endpoint refuses a short question as well.
        """
        async with self._checking:
            if not self._health.lost():
                return 0
            progress = Progress(_SHORT_QUESTION)
            try:
                while not await endpoint.attempt(progress, sampling):
                    continue
            except (Refused, Retry):
                raise self._down(str(refusal), understood=True) from None
            self._health.success()
            return progress.attempts

    @staticmethod
    def _failure(reason: str, progress: Progress, start: float) -> Failure:
        seconds = asyncio.get_running_loop().time() - start
        return Failure(reason, progress.attempts, seconds, progress.usage)

    def _down(self, reason: str, *, understood: bool = False) -> EndpointDownError:
        hint = "run again when it is back; what was answered is stored"
        if understood and not self._health.answered:
            hint = "it answers, but never with a reply that can be used"
        elif not self._health.answered:
            hint = "is the address right and the server up?"
        return EndpointDownError(f"{self._addresses}: every request fails, the last one so: {reason}; {hint}")


class _Batch:
    """The conversations of one ``replies`` call, on the event loop."""

    def __init__(
        self,
        backend: OpenAIBackend,
        sampling: Sampling,
        store: Store,
        seeds: Callable[[int], int | None] | None,
        put: Callable[[Any], None],
        concurrency: int,
    ) -> None:
        self._backend = backend
        self._sampling = sampling
        self._store = store
        self._seeds = seeds
        self._put = put
        self._slots = asyncio.Semaphore(concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed = False

    def submit(self, index: int, conversation: Conversation) -> None:
        """Starts on a conversation."""
        task = asyncio.get_running_loop().create_task(self._serve(index, conversation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, index: int, conversation: Conversation) -> None:
        try:
            async with self._slots:
                if self._failed:
                    return
                sampling = self._sampling
                if self._seeds is not None:
                    sampling = replace(sampling, seed=self._seeds(index))
                outcome = await self._backend.answer(conversation, sampling)
            # No await since the reply arrived: nothing comes between it and its place on disk.
            self._store(index, outcome)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  the caller's thread raises it
            self._failed = True  # from now on nothing more is asked
            self._put(error)
        else:
            self._put((index, outcome))

    async def cancel(self) -> None:
        """Drops what is under way."""
        # More than once: asyncio.wait_for (Python 3.11) and HTTP clients may lose a cancellation that comes
        # together with a result or an error, and the task would go on with its next attempt.
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=0.5)
