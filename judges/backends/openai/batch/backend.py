"""The ``openai`` backend with ``batch: true``: a pilot the normal way, then the rest as batches.

Nothing is paid for twice: requests are on disk before they are sent, the intention to make a batch is on disk
before it is made, and what comes back is on disk before it is read. Each line's ``custom_id`` is the key of
its reply in the judge's cache, so that a process that is started later knows what is under way already.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

from judges.backends.openai.backend import OpenAIBackend
from judges.backends.openai.batch.folder import BatchFolder, Draft, pending_in
from judges.backends.openai.batch.lines import outcome_of, request_line
from judges.backends.openai.batch.service import ENDED, BatchService
from judges.backends.protocol import IndexedOutcome, Store, stored_replies
from judges.errors import BackendError, ConfigError, EndpointDownError
from judges.output.notices import tell
from judges.records import BackendIdentity, Conversation, Failure, Outcome, Reply, Sampling
from judges.storage.files import held

PILOT = 100
"""Requests that are made the normal way first: they find out the form, and whether the judge can judge."""


class OpenAIBatchBackend:
    """Answers conversations by batches.

    Args:
        plain: Makes single requests; closed with this.
        poll: Seconds between two looks at a batch.
        patience: Seconds for which the provider may fail to answer.
        pilot: Requests that are made the normal way first.
    """

    def __init__(self, plain: OpenAIBackend, *, poll: float, patience: float, pilot: int = PILOT) -> None:
        self._plain = plain
        self._pilot_size = pilot
        self._poll = poll
        self._service = BatchService(plain.endpoint, patience)
        self._piloted = 0
        self.identity: BackendIdentity = plain.identity

    @property
    def constrains(self) -> bool | None:
        """Whether replies are held to the form; None until that is known."""
        return self._plain.constrains

    @property
    def left_out(self) -> frozenset[str]:
        """What isn't sent."""
        return self._plain.left_out

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """Refuses: only a judge keeps what finds replies again in a later process.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("batch: true is for judges, who keep their replies; leave it out in other roles")

    def replies_in_batches(
        self,
        conversations: Iterable[Conversation],
        sampling: Sampling,
        store: Store,
        keys: Callable[[int], bytes],
        home: Path,
    ) -> Iterator[IndexedOutcome]:
        """See :meth:`judges.backends.protocol.InBatches.replies_in_batches`."""
        pending = pending_in(home)
        wanted: dict[BatchFolder, dict[str, int]] = {}

        def unsent() -> Iterator[tuple[int, Conversation]]:
            for index, conversation in enumerate(conversations):
                key = keys(index).hex()
                if key in pending:
                    wanted.setdefault(pending[key], {})[key] = index
                else:
                    yield index, conversation

        source = unsent()
        yield from self._pilot(source, sampling, store)
        wanted |= self._written(source, sampling, keys, home)
        if wanted:
            yield from self._awaited(wanted, sampling, store)

    def close(self) -> None:
        """Closes the connections; batches go on at the provider. A second call does nothing."""
        self._plain.close()

    def __enter__(self) -> OpenAIBatchBackend:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _pilot(
        self, source: Iterator[tuple[int, Conversation]], sampling: Sampling, store: Store
    ) -> Iterator[IndexedOutcome]:
        """The first requests, the normal way; the caller may give up on what they say."""
        places: list[int] = []
        replied = False

        def some() -> Iterator[Conversation]:
            for index, conversation in islice(source, max(0, self._pilot_size - self._piloted)):
                places.append(index)
                self._piloted += 1
                yield conversation

        def keep(number: int, outcome: Outcome) -> None:
            store(places[number], outcome)

        failure = ""
        with closing(stored_replies(self._plain, some(), sampling, keep)) as outcomes:
            for number, outcome in outcomes:
                replied = replied or isinstance(outcome, Reply)
                failure = failure or (outcome.message if isinstance(outcome, Failure) else "")
                yield places[number], outcome
        if places and not replied:
            raise BackendError(
                f"none of the first {len(places)} requests got a reply, so no batch was sent; the first: "
                f"{failure}"
            )

    def _written(
        self,
        source: Iterator[tuple[int, Conversation]],
        sampling: Sampling,
        keys: Callable[[int], bytes],
        home: Path,
    ) -> dict[BatchFolder, dict[str, int]]:
        """The rest as batches on disk, all of them before one is sent."""
        drafts: list[Draft] = []
        try:
            for index, conversation in source:
                line, body = request_line(self._plain.endpoint, keys(index).hex(), conversation, sampling)
                if not drafts or not drafts[-1].has_room(body):
                    drafts.append(Draft(home))
                drafts[-1].add(line, body, index)
        except BaseException:
            for draft in drafts:
                draft.drop()
            raise
        if drafts:
            requests = sum(len(draft.keys) for draft in drafts)
            tell(
                f"{requests:,} requests in {len(drafts)} {'batch' if len(drafts) == 1 else 'batches'}: {home}"
            )
        return {draft.finish(): dict(draft.keys) for draft in drafts}

    def _awaited(
        self, wanted: dict[BatchFolder, dict[str, int]], sampling: Sampling, store: Store
    ) -> Iterator[IndexedOutcome]:
        """What batches bring, as each of them ends."""
        arrived: queue.SimpleQueue[BatchFolder | BaseException] = queue.SimpleQueue()
        with ExitStack() as locks:
            # In one order in all processes, so that none waits for another in a ring.
            for folder in sorted(wanted):
                if folder.exists:
                    locks.enter_context(held(folder.path))
            under_way = [folder for folder in wanted if folder.exists]
            carrying = self._plain.start(self._carry_all(under_way, arrived))
            try:
                for folder, indices in wanted.items():
                    if folder not in under_way:
                        yield from self._lost(indices, store, _ELSEWHERE)
                for _ in under_way:
                    ended = arrived.get()
                    if isinstance(ended, BaseException):
                        raise ended
                    yield from self._read(ended, wanted[ended], sampling, store)
            except KeyboardInterrupt:
                tell(
                    "batches go on at the provider, and are paid for: start the same command again, and it "
                    "takes their replies"
                )
                raise
            finally:
                carrying.cancel()

    async def _carry_all(
        self, folders: list[BatchFolder], arrived: queue.SimpleQueue[BatchFolder | BaseException]
    ) -> None:
        async def carry(folder: BatchFolder) -> None:
            try:
                await self._carry(folder)
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001  the caller's thread raises it
                arrived.put(error)
            else:
                arrived.put(folder)

        await asyncio.gather(*(carry(folder) for folder in folders))

    async def _carry(self, folder: BatchFolder) -> None:
        """Brings a batch from wherever it is to where its results are on disk."""
        if folder.has_results:
            return
        state = folder.state
        if state.batch is None:
            batch = await self._made(folder)
        else:
            batch = state.batch
            tell(f"batch {batch}: sent before; its replies are taken, and nothing of it is asked again")
        try:
            await self._fetched(folder, batch)
        except EndpointDownError:
            raise
        except BackendError as error:
            raise BackendError(
                f"{error}; its requests are asked again once {folder.path} is removed"
            ) from None

    async def _fetched(self, folder: BatchFolder, batch: str) -> None:
        """Waits for the end of a batch, and puts on disk what it brought."""
        said = ""
        while True:
            standing = await self._service.look(batch)
            if standing.status != said:
                said = standing.status
                count = f", {standing.done:,} of {standing.lines:,}" if standing.lines else ""
                why = f": {standing.reason}" if standing.reason else ""
                tell(f"batch {batch}: {said}{count}{why}")
            if standing.status in ENDED:
                break
            await asyncio.sleep(self._poll)
        folder.update(ended=standing.status + (f": {standing.reason}" if standing.reason else ""))
        files = [file for file in (standing.output, standing.errors) if file is not None]
        folder.keep_results(*[await self._service.content(file) for file in files])

    async def _made(self, folder: BatchFolder) -> str:
        """Has the batch made, once: where an answer was lost, the provider's list tells whether it was."""
        state = folder.state
        file = state.file
        if file is None:
            file = await self._service.upload(folder.requests, state.name)
            state = folder.update(file=file)
        batch = await self._service.find(state.name) if state.asked else None
        for pause in (0.0, 1.0, 4.0, 16.0, None):
            if batch is not None:
                break
            if pause is None:
                raise BackendError(
                    f"{self._plain.endpoint.url}: the batch {state.name} can't be made; run again, its "
                    "requests are on disk"
                )
            await asyncio.sleep(pause)
            folder.update(asked=True)
            try:
                batch = await self._service.make(file, state.name)
            except BackendError:
                folder.remove()  # refused: there is no batch, and the requests are as quickly written again
                raise
            if batch is None:
                batch = await self._service.find(state.name)
        assert batch is not None
        folder.update(batch=batch)
        tell(
            f"batch {batch}: {state.lines:,} requests sent; it may take up to 24 hours, and goes on without "
            "this process: started again, the same command takes its replies"
        )
        return batch

    def _read(
        self, folder: BatchFolder, indices: dict[str, int], sampling: Sampling, store: Store
    ) -> Iterator[IndexedOutcome]:
        """Hands on what a batch brought; a line without a result has failed."""
        lines = folder.lines()
        left = dict(indices)
        for key, row in folder.results():
            index = left.pop(key, None)
            if index is None or key not in lines:
                continue
            outcome = outcome_of(self._plain.endpoint, row, lines[key], sampling)
            store(index, outcome)
            folder.take(key)
            yield index, outcome
        for key in left:
            folder.take(key)
        if left:
            ended = folder.state.ended
            yield from self._lost(left, store, f"its batch has ended ({ended}) without a reply to it")
        if not folder.waiting():
            folder.remove()

    @staticmethod
    def _lost(indices: dict[str, int], store: Store, reason: str) -> Iterator[IndexedOutcome]:
        for index in indices.values():
            failure = Failure(f"{reason}; run again, and it is asked again")
            store(index, failure)
            yield index, failure


_ELSEWHERE = "another process has taken the replies of its batch"
