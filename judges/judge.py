"""A judge: rubric + backend + cache -> an assessment of every statement."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from judges.backends.local_model import LOCAL_ENGINES
from judges.backends.protocol import ChatBackend, InBatches, stored_replies
from judges.errors import BackendError, ConfigError
from judges.judge_info import JudgeInfo
from judges.ordering import by_question
from judges.records import (
    Assessment,
    Conversation,
    Failure,
    Judgement,
    Outcome,
    Reply,
    Sampling,
    Statement,
    Unjudged,
    Usage,
    VerdictForm,
)
from judges.rubrics.forms import output_form, reply_tokens
from judges.rubrics.parsing import read_verdicts
from judges.rubrics.prompt import MAX_TEXT, JudgePrompt
from judges.rubrics.rubric import Rubric
from judges.spending.accounts import Accounts, Ledger, Prices, Source
from judges.spending.budget import Budget, Purse
from judges.spending.estimate import Estimate, Estimator
from judges.storage.cache import Asking, ReplyCache

JUDGE_SAMPLING = Sampling(n=1, temperature=0.0, top_p=1.0, max_tokens=256)
"""How a judge replies unless told otherwise (method section 1); the verdict form takes about 45 tokens."""

_MOST_FRUITLESS = 100
"""Replies without verdicts, and none with, after which a judge is given up: what it writes costs money."""

_LOOKAHEAD = 10_000
READ_AHEAD = 1000  # statements that are looked at to bring those of one question together


class Judge:
    """Assesses explanations; a context manager that closes its backend and cache.

    Args:
        rubric: What is asked.
        backend: Who answers; closed with the judge.
        sampling: How it answers; one completion, held to the rubric's form where the backend can do that
            and, on an engine of this machine, the judge isn't given tokens to think.
        cache: Replies of earlier runs; closed with the judge. Without one, replies are remembered for as
            long as the judge lives.
        prices: To put a price on it.
        budget: What it may spend at most, over all its calls.
        form: In which form the verdicts are asked for.
    """

    def __init__(
        self,
        rubric: Rubric,
        backend: ChatBackend,
        sampling: Sampling = JUDGE_SAMPLING,
        cache: ReplyCache | None = None,
        prices: Prices | None = None,
        budget: Budget | None = None,
        form: VerdictForm = "full",
    ) -> None:
        if sampling.n != 1:
            raise ConfigError(f"a judge gives one reply to a statement, not n = {sampling.n}")
        self.rubric = rubric
        self.backend = backend
        self.form = form
        # An engine on this machine would hold the thought to the form, too.
        free = sampling.thinking_tokens > 0 and backend.identity.kind in LOCAL_ENGINES
        self.sampling = replace(sampling, form=None if free else output_form(rubric, form))
        self._prompt = JudgePrompt(rubric, form)
        self._cache = cache or ReplyCache(None)
        self._asking: Asking = self._cache.asking(
            backend.identity, self.sampling, rubric.fingerprint, self.info.asked
        )
        if self.in_batches and self._cache.path is None:
            raise ConfigError(
                "batch: true needs the cache of replies, beside which lies what is under way: leave out "
                "--no-cache"
            )
        self._prices = prices
        self._ledger = Ledger(prices)
        self._proven = False  # by a verdict in the cache
        self._purse = None if budget is None else Purse(budget, prices, self.sampling)

    @property
    def accounts(self) -> Accounts:
        """What was asked, answered and spent since this judge was made."""
        return self._ledger.accounts()

    @property
    def in_batches(self) -> bool:
        """Whether it answers hours later, so that nobody should wait for a few statements at a time."""
        return isinstance(self.backend, InBatches)

    def refuse_batches(self, what: str) -> None:
        """Says so where statements are judged a few at a time.

        Args:
            what: Who asks like that.

        Raises:
            ConfigError: If the judge's backend sends batches.
        """
        if self.in_batches:
            raise ConfigError(
                f"{what} has a few statements judged at a time, and a batch takes up to a day: leave batch "
                "out of the judge's file"
            )

    @property
    def cache_path(self) -> Path | None:
        """Where its replies are kept; None if they end with it."""
        return self._cache.path

    @property
    def info(self) -> JudgeInfo:
        """Who judges, by what."""
        identity, sampling = self.backend.identity, self.sampling
        return JudgeInfo(
            name=str(identity),
            backend=identity.kind,
            model=identity.model,
            rubric=self.rubric.name,
            rubric_version=self.rubric.version,
            rubric_fingerprint=self.rubric.fingerprint,
            units=self.rubric.units,
            max_score=self.rubric.max_score,
            criteria={criterion.key: criterion.name for criterion in self.rubric.criteria},
            sampling={
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "max_tokens": sampling.max_tokens,
                "seed": sampling.seed,
                **({"thinking_tokens": sampling.thinking_tokens} if sampling.thinking_tokens else {}),
            },
            constrained=self.backend.constrains if sampling.form is not None else False,
            scale={verdict: str(points) for verdict, points in self.rubric.scale.items()},
            verdict_form=self.form,
            left_out=tuple(sorted(getattr(self.backend, "left_out", ()))),
            shows=self.rubric.shows,
        )

    def assess(
        self,
        statements: Iterable[Statement],
        on_assessment: Callable[[int, Assessment], None] | None = None,
        read_ahead: int = READ_AHEAD,
    ) -> Iterator[tuple[int, Assessment]]:
        """Assesses statements as a stream: pulled lazily, handed out as they are finished.

        Those of one question are asked about one after the other, as far as statements are read ahead
        (:mod:`judges.ordering`): engines then compute what their prompts share once.

        Identical statements are judged once. A reply is stored as it arrives, so a run that is killed asks
        only for the rest when it is started again. Only a reply with verdicts counts as known: what stayed
        unjudged in an earlier run is asked again.

        Args:
            statements: What to assess; may be endless.
            on_assessment: Called with each index and assessment before it is handed out.
            read_ahead: Most statements that are read before one of them is asked about; 1 for a source that
                waits for its next statement.

        Yields:
            Index of the statement and its assessment; each index once, in the order of completion.

        Raises:
            BackendError: If the backend can't serve, or none of its first 100 replies has verdicts and
                neither has any in the cache; what it answered before is stored.
            BudgetSpentError: If the next request would break the budget; all replies are stored.
            DataError: If the cache can't be read or written, or the rubric shows what a statement hasn't.
        """
        stream = _Assessing(self, statements, read_ahead).run()
        with closing(stream):
            while True:
                clock = time.perf_counter()
                handed = next(stream, None)
                self._ledger.spend(time.perf_counter() - clock)
                if handed is None:
                    return
                self._ledger.hand_out(handed.assessment, handed.source)
                if on_assessment is not None:
                    on_assessment(handed.index, handed.assessment)
                yield handed.index, handed.assessment
                if self._ledger.fruitless >= _MOST_FRUITLESS and not self._has_given_verdicts():
                    raise self._no_verdicts(handed.assessment)

    def assess_all(self, statements: Iterable[Statement], progress: bool = True) -> list[Assessment]:
        """Assesses statements and returns the assessments in their order.

        Args:
            statements: What to assess.
            progress: Whether the user sees how far it is.
        """
        from judges.output.progress import progress as phase

        known = statements if isinstance(statements, list | tuple) else list(statements)
        found: list[Assessment | None] = [None] * len(known)
        with phase(len(known), "judging", shown=progress) as bar:
            for index, assessment in self.assess(known):
                found[index] = assessment
                bar.update()
        return [assessment for assessment in found if assessment is not None]

    def estimate(self, statements: Iterable[Statement]) -> Estimate:
        """What assessing these statements would take; looks them up in the cache and asks nothing.

        Copies are found among the last 10,000 statements; where they lie further apart, less is asked.
        """
        estimator = Estimator(self._prices, self.sampling, reply_tokens(self.rubric, self.form))
        recent: dict[bytes, None] = {}
        for statement in statements:
            found = self._look_up(statement)
            if isinstance(found, _Request):
                if found.key in recent:
                    estimator.know("copies")
                    continue
                recent[found.key] = None
                if len(recent) > _LOOKAHEAD:
                    del recent[next(iter(recent))]
                estimator.ask(found.conversation)
            else:
                estimator.know(found.source)
                if found.source == "cached" and estimator.curious:
                    estimator.learn(self._prompt.conversation(statement), found.assessment.usage)
        return estimator.estimate()

    def check(self, statements: Iterable[Statement]) -> None:
        """Refuses statements that lack what the rubric shows, before anything is asked.

        Raises:
            DataError: Naming the first of them.
        """
        if self.rubric.shows:
            for statement in statements:
                self._prompt.longest(statement)

    def asking_by(self, rubric: Rubric) -> Judge:
        """The same judge by another rubric: backend, cache, accounts and budget are one; don't close it.

        Args:
            rubric: Instead of this judge's.
        """
        other = Judge(rubric, self.backend, self.sampling, self._cache, self._prices, form=self.form)
        other._ledger, other._purse = self._ledger, self._purse
        return other

    def close(self) -> None:
        """Frees the backend and the cache. A second call does nothing."""
        self.backend.close()
        self._cache.close()

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _look_up(self, statement: Statement) -> _Known | _Request:
        if (longest := self._prompt.longest(statement)) > MAX_TEXT:
            detail = f"{longest:,} characters; a judge is shown at most {MAX_TEXT:,}"
            return _Known(Assessment(Unjudged("failed", detail)), "too_long")
        conversation = self._prompt.conversation(statement)
        key = self._asking.key(conversation, statement.repeat)
        reply = self._cache.get(key)
        if reply is not None and isinstance(self._verdicts(reply), Judgement):
            return _Known(self._read(reply, cached=True), "cached")
        return _Request(key, conversation)

    def _has_given_verdicts(self) -> bool:
        """Whether it has in an earlier run: what is left to ask may then be just what it can't judge."""
        self._proven = self._proven or self._cache.has_verdicts(self._asking)
        return self._proven

    def _no_verdicts(self, latest: Assessment) -> BackendError:
        assert isinstance(latest.outcome, Unjudged)
        return BackendError(
            f"judge {self.backend.identity}: none of its first {self._ledger.fruitless} replies has "
            f"verdicts; the latest: {latest.outcome}"
        )

    def _settle(self, key: bytes, outcome: Outcome) -> Assessment:
        """Books an outcome, stores it if it is a reply, and reads it; in the thread that it arrives in."""
        self._ledger.receive(outcome)
        if self._purse is not None:
            self._purse.settle(key, outcome)
        if isinstance(outcome, Failure):
            unjudged = Unjudged("failed", outcome.message)
            usage = outcome.usage or Usage()
            return Assessment(
                unjudged,
                attempts=outcome.attempts,
                usage=usage,
                seconds=outcome.seconds,
                price=self._price(outcome.usage),
            )
        assessment = self._read(outcome, cached=False)
        has_verdict = isinstance(assessment.outcome, Judgement)
        self._cache.put(self._asking, key, outcome, has_verdict=has_verdict)
        return assessment

    def _verdicts(self, reply: Reply) -> Judgement | Unjudged:
        return read_verdicts(self.rubric, reply.completions[0], self.form)

    def _read(self, reply: Reply, *, cached: bool) -> Assessment:
        return Assessment(
            outcome=self._verdicts(reply),
            raw=reply.text,
            attempts=reply.attempts,
            usage=reply.usage,
            seconds=reply.seconds,
            cached=cached,
            price=self._price(reply.usage),
        )

    def _price(self, usage: Usage | None) -> float | None:
        return None if self._prices is None or usage is None else self._prices.of(usage)


@dataclass(frozen=True, slots=True)
class _Known:
    assessment: Assessment
    source: Source


@dataclass(frozen=True, slots=True)
class _Request:
    key: bytes
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class _Handed:
    index: int
    assessment: Assessment
    source: Source | None = None  # None: asked


class _Assessing:
    """One call of ``Judge.assess``."""

    def __init__(self, judge: Judge, statements: Iterable[Statement], read_ahead: int) -> None:
        self._judge = judge
        self._statements = by_question(statements, read_ahead)
        self._ready: deque[_Handed] = deque()
        self._waiting: dict[bytes, list[int]] = {}  # key in flight -> statements that wait for its reply
        self._in_flight: dict[int, bytes] = {}  # number of the request -> its key
        self._arrived: dict[int, Assessment] = {}  # number of the request -> stored, to be handed out
        # Asked in this call and left without verdicts: later copies aren't asked again.
        self._unjudged: dict[bytes, Assessment] = {}
        # What the budget has no room for while others are under way: they may come out cheaper than feared.
        self._postponed: _Request | None = None

    def run(self) -> Generator[_Handed, None, None]:
        """All assessments in order of completion."""
        for index, statement in self._statements:
            request = self._request(index, statement)
            while request is not None:
                yield from self._asked(request)
                request, self._postponed = self._postponed, None
            yield from self._drained()

    def _request(self, index: int, statement: Statement) -> _Request | None:
        """The request that a statement needs; None if it is known by now or waits for the same request."""
        found = self._judge._look_up(statement)
        if isinstance(found, _Known):
            self._ready.append(_Handed(index, found.assessment, found.source))
        elif found.key in self._waiting:
            self._waiting[found.key].append(index)
        elif found.key in self._unjudged:
            self._ready.append(_Handed(index, self._unjudged[found.key], "copies"))
        else:
            self._waiting[found.key] = [index]
            return found
        return None

    def _asked(self, first: _Request) -> Iterator[_Handed]:
        """Puts requests to the backend until nothing is left, or too much waits to be handed out."""
        purse = self._judge._purse
        if purse is not None and not purse.affords(first.conversation):
            yield from self._drained()
            raise purse.refuse(first.conversation)
        with closing(self._outcomes(self._conversations(first))) as outcomes:
            for number, _ in outcomes:
                yield from self._settled(number)
                yield from self._drained()
        for number in sorted(self._in_flight):
            self._store(number, Failure("the backend gave no answer"))
            yield from self._settled(number)

    def _outcomes(self, conversations: Iterator[Conversation]) -> Generator[tuple[int, Outcome], None, None]:
        backend, sampling = self._judge.backend, self._judge.sampling
        path = self._judge.cache_path
        if isinstance(backend, InBatches) and path is not None:
            home = path.with_name(f"{path.name}.batches")
            yield from backend.replies_in_batches(
                conversations, sampling, self._store, self._in_flight.__getitem__, home
            )
        else:
            yield from stored_replies(backend, conversations, sampling, self._store)

    def _store(self, number: int, outcome: Outcome) -> None:
        """Takes in what arrived, whatever the caller is doing; perhaps in a thread of the backend's."""
        if number not in self._in_flight or number in self._arrived:
            raise BackendError(f"backend {self._judge.backend.identity}: answered request {number} unasked")
        self._arrived[number] = self._judge._settle(self._in_flight[number], outcome)

    def _conversations(self, first: _Request) -> Iterator[Conversation]:
        number = 0
        request: _Request | None = first
        purse = self._judge._purse
        while True:
            if request is not None:
                if purse is not None:
                    if not purse.affords(request.conversation):
                        self._postponed = request
                        return
                    purse.reserve(request.key, request.conversation)
                self._in_flight[number] = request.key
                self._judge._ledger.ask()
                yield request.conversation
                number += 1
            # This function goes on only when the backend has an outcome. So that a million cached statements
            # in a row don't pile up here, the backend's call ends, and another one takes the rest.
            # A batch takes all there is: its end may be a day away.
            if len(self._ready) >= _LOOKAHEAD and not self._judge.in_batches:
                return
            following = next(self._statements, None)
            if following is None:
                return
            request = self._request(*following)

    def _settled(self, number: int) -> Iterator[_Handed]:
        key, assessment = self._in_flight.pop(number), self._arrived.pop(number)
        copy = replace(assessment, cached=True)
        if isinstance(assessment.outcome, Unjudged):
            self._unjudged[key] = copy
        first, *others = self._waiting.pop(key)
        yield _Handed(first, assessment)
        for index in others:
            yield _Handed(index, copy, "copies")

    def _drained(self) -> Iterator[_Handed]:
        while self._ready:
            yield self._ready.popleft()
