"""Any OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp, paid APIs.

Requests run on an event loop in a thread of its own; conversations are pulled, and replies handed out, in the
caller's thread. Retries are ours, not the client's, so that every request is counted.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from judges.backends.endpoint_health import LONGEST_WAIT, EndpointHealth
from judges.backends.openai_wire import (
    FormKind,
    NotAReplyError,
    error_text,
    excerpt,
    in_form,
    read_reply,
    request_body,
    retry_after,
)
from judges.backends.protocol import IndexedOutcome
from judges.backends.turnstile import Turnstile
from judges.errors import BackendError, ConfigError, EndpointDownError
from judges.records import (
    BackendIdentity,
    Completion,
    Conversation,
    Failure,
    Outcome,
    Reply,
    Sampling,
    Usage,
)
from judges.settings import Settings, parse

if TYPE_CHECKING:
    import openai

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"
_CONNECT_TIMEOUT = 30.0


class OpenAISettings(Settings):
    """Settings of the backend.

    Attributes:
        model: Model name at the endpoint.
        base_url: The endpoint, up to and including ``/v1``; ``OPENAI_BASE_URL`` or OpenAI's own if left out.
        api_key_env: Environment variable that holds the key; ``OPENAI_API_KEY`` if left out.
        concurrency: Requests under way at once.
        timeout: Seconds a request may take, from sending to the last byte.
        max_attempts: Requests a conversation may take before it counts as failed.
        backoff: Seconds before the second attempt; doubles with each further one, up to 30.
        patience: Seconds for which an endpoint that has answered may fail everything before the run stops.
        form: How replies are held to the verdict form: ``regex`` (vLLM's structured outputs),
            ``json_schema`` (``response_format``), ``none``; ``auto`` finds out.
        token_limit: The field that bounds a reply's length; by default ``max_completion_tokens`` at OpenAI's
            own address and ``max_tokens`` elsewhere.
        extra_body: Further fields of every request, as the endpoint documents them.
    """

    model: str = Field(min_length=1)
    base_url: str | None = None
    api_key_env: str | None = None
    concurrency: int = Field(default=128, ge=1, le=1000)
    timeout: float = Field(default=600.0, gt=0)
    max_attempts: int = Field(default=8, ge=1)
    backoff: float = Field(default=0.5, ge=0)
    patience: float = Field(default=60.0, ge=0)
    form: Literal["auto", "regex", "json_schema", "none"] = "auto"
    token_limit: Literal["max_tokens", "max_completion_tokens"] | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("expected an address such as http://localhost:8000/v1")
        return value


def create(settings: Mapping[str, Any]) -> OpenAIBackend:
    """Makes the backend from its settings; nothing is asked yet.

    Raises:
        ConfigError: If a setting is wrong or the key is missing.
    """
    checked = parse(OpenAISettings, _without_secret(settings), "openai backend")
    url = (checked.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL).rstrip("/")
    variable = checked.api_key_env or DEFAULT_KEY_VARIABLE
    key = os.environ.get(variable, "").strip()
    if not key and (checked.api_key_env or url == DEFAULT_URL):
        raise ConfigError(
            f"openai backend: the environment variable {variable} is not set; it must hold the key of {url}"
        )
    return OpenAIBackend(checked, url, key)


def _without_secret(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuses a key in the settings before anything can print it."""
    if "api_key" in settings or "@" in urlsplit(str(settings.get("base_url"))).netloc:
        raise ConfigError(
            "openai backend: a key belongs neither in api_key nor in base_url; put it in an environment "
            "variable and name that variable in api_key_env"
        )
    return settings


class _Retry(Exception):
    """An attempt failed in a way that a further one may mend."""

    def __init__(self, reason: str, *, wait: float | None = None, busy: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.busy = busy  # alive but overloaded


class _Refused(Exception):
    """The endpoint understood this conversation's request and won't answer it."""


@dataclass(slots=True)
class _Progress:
    """One conversation under way."""

    conversation: Conversation
    completions: list[Completion] = field(default_factory=list)
    usage: Usage | None = None
    attempts: int = 0


class OpenAIBackend:
    """A client of one endpoint.

    Args:
        settings: How to ask.
        url: Where.
        key: Sent to the endpoint and nowhere else; empty if it needs none.
    """

    def __init__(self, settings: OpenAISettings, url: str, key: str) -> None:
        import openai

        self._openai = openai
        self._settings = settings
        self._url = url
        self._key = key
        details = {"base_url": url}
        if settings.form != "auto":
            details["form"] = settings.form
        if settings.extra_body:
            details["extra_body"] = json.dumps(settings.extra_body, sort_keys=True)
        self.identity = BackendIdentity("openai", settings.model, tuple(sorted(details.items())))
        at_openai = urlsplit(url).hostname == urlsplit(DEFAULT_URL).hostname
        self._token_limit = settings.token_limit or ("max_completion_tokens" if at_openai else "max_tokens")
        self._health = EndpointHealth(settings.patience, settings.backoff)
        self._turnstile = Turnstile(settings.concurrency)
        self._form: FormKind | None = None if settings.form == "auto" else settings.form
        self._form_held = False  # a reply in the form has been seen
        self._form_tried = False
        self._trying_form = asyncio.Lock()
        self._one_at_a_time = False  # the endpoint gives one completion to a request
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._quiet_http_logs()

    @property
    def constrains(self) -> bool | None:
        """Whether replies are held to the form; None until that is known."""
        if self._form == "none":
            return False
        return True if self._form_held else None

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """See :meth:`judges.ChatBackend.replies`."""
        source = enumerate(conversations)
        first = next(source, None)
        if first is None:
            return
        loop = self._running_loop()
        outcomes: queue.SimpleQueue[IndexedOutcome | BaseException] = queue.SimpleQueue()
        batch = asyncio.run_coroutine_threadsafe(self._batch(sampling, outcomes.put), loop).result()
        # A few more than are under way, so that the next is at hand the moment one is finished.
        room = self._settings.concurrency + self._settings.concurrency // 4 + 1
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
        await self._client.close()

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
            self._client = self._new_client()
        return self._loop

    def _new_client(self) -> openai.AsyncOpenAI:
        # The client insists on a key; endpoints without keys ignore it. `_attempt` watches over the time that
        # a request may take, from sending to the last byte. Over aiohttp a request takes half the CPU.
        return self._openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self._url,
            max_retries=0,
            timeout=self._openai.Timeout(None, connect=_CONNECT_TIMEOUT),
            http_client=self._openai.DefaultAioHttpClient(),
        )

    async def _batch(self, sampling: Sampling, put: Callable[[Any], None]) -> _Batch:
        if sampling.form is not None and self._form is None:
            self._form = await self._form_of_endpoint()
        return _Batch(self, sampling, put, self._settings.concurrency)

    async def _form_of_endpoint(self) -> FormKind:
        """vLLM says who it is; others are asked for the form that OpenAI's interface defines."""
        with suppress(self._openai.OpenAIError, TimeoutError, asyncio.TimeoutError):
            models = await asyncio.wait_for(self._client.get("/models", cast_to=object), 30)
            entries = models.get("data") if isinstance(models, dict) else None
            if isinstance(entries, list) and any(
                isinstance(entry, dict) and entry.get("owned_by") == "vllm" for entry in entries
            ):
                return "regex"
        return "json_schema"

    async def answer(self, conversation: Conversation, sampling: Sampling) -> Outcome:
        """One conversation, with as many requests as it takes.

        Raises:
            BackendError: If no conversation could be answered.
        """
        loop = asyncio.get_running_loop()
        start = loop.time()
        progress = _Progress(conversation)
        failures = 0
        while len(progress.completions) < sampling.n:
            if pause := self._health.pause_before(loop.time()):
                await asyncio.sleep(pause)
                continue
            try:
                await self._attempt_or_wait_for_the_first(progress, sampling)
            except _Refused as refusal:
                return self._lost(str(refusal), progress, start, counts=not self._health.answered)
            except _Retry as problem:
                failures += 1
                await self._after_failure(problem, failures, loop)
                if failures >= self._settings.max_attempts:
                    reason = f"{problem} (after {progress.attempts} requests)"
                    return self._lost(reason, progress, start, counts=True)
        seconds = loop.time() - start
        return Reply(tuple(progress.completions), progress.usage, progress.attempts, seconds)

    async def _after_failure(self, problem: _Retry, failures: int, loop: asyncio.AbstractEventLoop) -> None:
        if problem.busy:
            self._turnstile.overload()
        if problem.wait is not None:
            if problem.wait > LONGEST_WAIT:
                raise EndpointDownError(
                    f"{self._url} asks to wait {problem.wait:.0f} s ({problem}); run again then, "
                    "what was answered is stored"
                )
            self._health.hold(loop.time(), problem.wait)
        if self._health.failure(loop.time()) and not problem.busy:
            raise self._down(str(problem))
        if failures < self._settings.max_attempts and problem.wait is None:
            await asyncio.sleep(self._health.backoff_after(failures))

    def _lost(self, reason: str, progress: _Progress, start: float, *, counts: bool) -> Failure:
        if counts and self._health.lost():
            raise self._down(reason)
        return Failure(reason, progress.attempts, asyncio.get_running_loop().time() - start)

    def _down(self, reason: str) -> EndpointDownError:
        hint = "run again when it is back; what was answered is stored"
        if not self._health.answered:
            hint = "is the address right and the server up?"
        return EndpointDownError(f"{self._url} answers nothing: {reason}; {hint}")

    async def _attempt_or_wait_for_the_first(self, progress: _Progress, sampling: Sampling) -> None:
        # Whether an unknown endpoint takes the form is tried with one request, not with all at once.
        if sampling.form is not None and self._form == "json_schema" and not self._form_tried:
            async with self._trying_form:
                if not self._form_tried:
                    try:
                        return await self._attempt(progress, sampling)
                    finally:
                        self._form_tried = True
        await self._attempt(progress, sampling)

    async def _attempt(self, progress: _Progress, sampling: Sampling) -> None:
        await self._turnstile.enter()
        try:
            await self._request(progress, sampling)
        finally:
            self._turnstile.leave()

    async def _request(self, progress: _Progress, sampling: Sampling) -> None:
        form: FormKind = self._form or "none"
        missing = sampling.n - len(progress.completions)
        body = request_body(
            self._settings.model,
            progress.conversation,
            sampling,
            form=form,
            n=1 if self._one_at_a_time else missing,
            drawn=len(progress.completions),
            token_limit=self._token_limit,
            extra=self._settings.extra_body,
        )
        progress.attempts += 1
        try:
            # As text, and read by us: the client's own reading takes as long as all the rest of a request.
            text = await asyncio.wait_for(
                self._client.post("/chat/completions", cast_to=str, body=body), self._settings.timeout
            )
            completions, usage = read_reply(text)
        except NotAReplyError as error:
            raise _Retry(f"the endpoint sent {self._safe(str(error))}") from None
        except asyncio.TimeoutError:
            raise _Retry(f"no answer in {self._settings.timeout:g} s") from None
        except self._openai.APIConnectionError as error:
            cause = error.__cause__ or error
            detail = self._safe(str(cause)) or type(cause).__name__
            raise _Retry(f"the connection failed: {detail}") from None
        except self._openai.APIStatusError as error:
            self._judge_status(error, body, sampling, form)
            return
        self._health.success()
        self._turnstile.success()
        self._one_at_a_time = self._one_at_a_time or len(completions) < body.get("n", 1)
        progress.completions += completions[:missing]
        progress.usage = usage if progress.usage is None else progress.usage + (usage or Usage())
        if sampling.form is not None and form == self._form:
            self._see_form(completions, sampling, form)

    def _judge_status(
        self, error: openai.APIStatusError, body: Mapping[str, Any], sampling: Sampling, form: FormKind
    ) -> None:
        """Says what an error status means; returns if the request may be made another way at once."""
        status = error.status_code
        text = self._safe(error_text(error.body or error.message))
        said = f"{status}: {text}"
        if status in {401, 403}:
            variable = self._settings.api_key_env or DEFAULT_KEY_VARIABLE
            had = (
                f"the key in {variable}" if self._key else f"a request without a key ({variable} is not set)"
            )
            raise BackendError(f"{self._url} refused {had} ({said})")
        if status == 404 and not self._health.answered:
            raise BackendError(
                f"{self._url} has no model {self._settings.model!r} or is no endpoint ({said})"
            )
        if status == 429 and getattr(error, "code", None) == "insufficient_quota":
            raise EndpointDownError(
                f"{self._url}: the quota is used up ({said}); what was answered is stored"
            )
        if status in {408, 409, 425, 429} or status >= 500:
            wait = retry_after(error.response.headers)
            raise _Retry(f"the endpoint answered {said}", wait=wait, busy=status == 429)
        if status in {400, 422} and self._ask_differently(body, sampling, form, said):
            return
        raise _Refused(f"the endpoint refused the request ({said})")

    def _ask_differently(
        self, body: Mapping[str, Any], sampling: Sampling, form: FormKind, said: str
    ) -> bool:
        """Drops what the endpoint may not know: several completions at once, then the reply's form."""
        if body.get("n", 1) > 1 and not self._one_at_a_time:
            self._one_at_a_time = True
            return True
        if sampling.form is None or form == "none" or self._form_held:
            return False
        if self._settings.form != "auto":
            raise BackendError(f"{self._url} can't hold replies to form: {self._settings.form} ({said})")
        if self._form == form:
            self._form = "none"
            self._say(f"can't hold replies to the verdict form ({said}); they are read as they come")
        return True

    def _see_form(self, completions: Iterable[Completion], sampling: Sampling, form: FormKind) -> None:
        assert sampling.form is not None
        finished = [c.text for c in completions if c.finish_reason == "stop"]
        if form == "none" or not finished:
            return
        if not all(in_form(text, sampling.form, form) for text in finished):
            self._form = "none"
            self._say("accepts a form for replies but doesn't keep to it; replies are read as they come")
        elif not self._form_held:
            self._form_held = True
            name = {"regex": "vLLM's structured outputs", "json_schema": "a JSON schema"}[form]
            self._say(f"replies are held to the verdict form by {name}")

    def _say(self, what: str) -> None:
        print(f"{self.identity}: {what}", file=sys.stderr)

    def _safe(self, text: str) -> str:
        """A text of the endpoint's on one line, without the key that it may repeat."""
        return excerpt(text.replace(self._key, "***") if self._key else text)

    @staticmethod
    def _quiet_http_logs() -> None:
        # One line a request at level INFO would drown everything else.
        for name in ("httpx", "httpx2"):
            logger = logging.getLogger(name)
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.WARNING)


class _Batch:
    """The conversations of one ``replies`` call, on the event loop."""

    def __init__(
        self, backend: OpenAIBackend, sampling: Sampling, put: Callable[[Any], None], concurrency: int
    ) -> None:
        self._backend = backend
        self._sampling = sampling
        self._put = put
        self._slots = asyncio.Semaphore(concurrency)
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, index: int, conversation: Conversation) -> None:
        """Starts on a conversation."""
        task = asyncio.get_running_loop().create_task(self._serve(index, conversation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, index: int, conversation: Conversation) -> None:
        try:
            async with self._slots:
                outcome = await self._backend.answer(conversation, self._sampling)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  the caller's thread raises it
            self._put(error)
        else:
            self._put((index, outcome))

    async def cancel(self) -> None:
        """Drops what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
