"""One OpenAI-compatible endpoint: requests to it, and what its answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from judges.backends.openai.choice import Standing
from judges.backends.openai.http import HttpAnswer, HttpClient, NoAnswerError
from judges.backends.openai.settings import DEFAULT_URL, OpenAISettings
from judges.backends.openai.turnstile import Turnstile
from judges.backends.openai.wire import (
    FormKind,
    NotAReplyError,
    error_code,
    error_text,
    excerpt,
    in_form,
    read_reply,
    request_body,
    retry_after,
)
from judges.errors import BackendError, EndpointDownError
from judges.notices import tell
from judges.records import Completion, Conversation, Sampling, Usage

_PATIENCE_FOR_MODELS = 30.0  # seconds in which an endpoint says which models it has


class Retry(Exception):
    """An attempt failed in a way that a further one may mend."""

    def __init__(self, reason: str, *, wait: float | None = None, busy: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.busy = busy  # alive but overloaded


class Refused(Exception):
    """The endpoint understood this conversation's request and won't answer it."""


@dataclass(slots=True)
class Progress:
    """One conversation under way."""

    conversation: Conversation
    completions: list[Completion] = field(default_factory=list)
    usage: Usage | None = None
    attempts: int = 0


class Endpoint:
    """A client of one address. Made in any thread; everything else runs on the event loop.

    Args:
        settings: How to ask.
        url: Where.
        key: Sent to the endpoint and nowhere else; empty if it needs none.

    Attributes:
        standing: How it does, for the choice between several.
    """

    def __init__(self, settings: OpenAISettings, url: str, key: str) -> None:
        self._settings = settings
        self.url = url
        self._key = key
        self._http = HttpClient(url, key, settings.timeout)
        self.standing = Standing()
        at_openai = urlsplit(url).hostname == urlsplit(DEFAULT_URL).hostname
        self._token_limit = settings.token_limit or ("max_completion_tokens" if at_openai else "max_tokens")
        self._turnstile = Turnstile(settings.concurrency)
        self._form: FormKind | None = None if settings.form == "auto" else settings.form
        self._form_held = False  # a reply in the form has been seen
        self._form_tried = False
        self._trying_form = asyncio.Lock()
        self._one_at_a_time = False  # the endpoint gives one completion to a request

    @property
    def constrains(self) -> bool | None:
        """Whether replies are held to the form; None until that is known."""
        if self._form == "none":
            return False
        return True if self._form_held else None

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def find_form(self) -> None:
        """Finds out how it is held to a form, once."""
        if self._form is None:
            self._form = await self._form_of_endpoint()

    def overload(self) -> None:
        """It said that it gets too many requests."""
        self._turnstile.overload()

    async def _form_of_endpoint(self) -> FormKind:
        """vLLM says who it is; others are asked for the form that OpenAI's interface defines."""
        try:
            answer = await self._http.get("/models", _PATIENCE_FOR_MODELS)
        except NoAnswerError:
            return "json_schema"
        models = answer.json
        entries = models.get("data") if isinstance(models, dict) else None
        if isinstance(entries, list) and any(
            isinstance(entry, dict) and entry.get("owned_by") == "vllm" for entry in entries
        ):
            return "regex"
        return "json_schema"

    async def attempt(self, progress: Progress, sampling: Sampling) -> bool:
        """Makes one request; returns whether a reply arrived (else it is to be made another way).

        Raises:
            Retry: If a further attempt may help, here or elsewhere.
            Refused: If this conversation isn't answered.
            BackendError: If nothing is answered here.
        """
        self.standing.under_way += 1
        try:
            return await self._attempt_or_wait_for_the_first(progress, sampling)
        finally:
            self.standing.under_way -= 1

    async def _attempt_or_wait_for_the_first(self, progress: Progress, sampling: Sampling) -> bool:
        # Whether an unknown endpoint takes the form is tried with one request, not with all at once.
        if sampling.form is not None and self._form == "json_schema" and not self._form_tried:
            async with self._trying_form:
                if not self._form_tried:
                    try:
                        return await self._attempt(progress, sampling)
                    finally:
                        self._form_tried = True
        return await self._attempt(progress, sampling)

    async def _attempt(self, progress: Progress, sampling: Sampling) -> bool:
        await self._turnstile.enter()
        try:
            return await self._request(progress, sampling)
        finally:
            self._turnstile.leave()

    async def _request(self, progress: Progress, sampling: Sampling) -> bool:
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
            answer = await self._http.post("/chat/completions", body)
        except NoAnswerError as error:
            raise Retry(self._safe(str(error))) from None
        if answer.status >= 300:
            self._judge_status(answer, body, sampling, form)
            return False
        try:
            completions, usage = read_reply(self._masked(answer.text))
        except NotAReplyError as error:
            raise Retry(f"the endpoint sent {self._safe(str(error))}") from None
        if self.standing.success():
            self.say("answers again")
        self._turnstile.success()
        self._one_at_a_time = self._one_at_a_time or len(completions) < body.get("n", 1)
        progress.completions += completions[:missing]
        progress.usage = usage if progress.usage is None else progress.usage + (usage or Usage())
        if sampling.form is not None and form == self._form:
            self._see_form(completions, sampling, form)
        return True

    def _judge_status(
        self, answer: HttpAnswer, body: Mapping[str, Any], sampling: Sampling, form: FormKind
    ) -> None:
        """Says what an error status means; returns if the request may be made another way at once."""
        status = answer.status
        text = self._safe(error_text(answer.json))
        said = f"{status}: {text}" if text else str(status)
        if status in {401, 403}:
            place = self._settings.key_place
            had = f"the key in {place}" if self._key else f"a request without a key ({place} is not set)"
            raise BackendError(f"{self.url} refused {had} ({said})")
        if status == 404 and not self.standing.answered:
            raise BackendError(f"{self.url} has no model {self._settings.model!r} or is no endpoint ({said})")
        if status == 429 and error_code(answer.json) == "insufficient_quota":
            raise EndpointDownError(f"{self.url}: the quota is used up ({said}); what was answered is stored")
        if status in {408, 409, 425, 429} or status >= 500:
            wait = retry_after(answer.headers)
            raise Retry(f"the endpoint answered {said}", wait=wait, busy=status == 429)
        if status in {400, 422} and self._ask_differently(body, sampling, form, said):
            return
        raise Refused(f"the endpoint refused the request ({said})")

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
            raise BackendError(f"{self.url} can't hold replies to form: {self._settings.form} ({said})")
        if self._form == form:
            self._form = "none"
            self.say(f"can't hold replies to the verdict form ({said}); they are read as they come")
        return True

    def _see_form(self, completions: Iterable[Completion], sampling: Sampling, form: FormKind) -> None:
        assert sampling.form is not None
        finished = [c.text for c in completions if c.finish_reason == "stop"]
        if form == "none" or not finished:
            return
        if not all(in_form(text, sampling.form, form) for text in finished):
            self._form = "none"
            self.say("accepts a form for replies but doesn't keep to it; replies are read as they come")
        elif not self._form_held:
            self._form_held = True
            name = {"regex": "vLLM's structured outputs", "json_schema": "a JSON schema"}[form]
            self.say(f"replies are held to the verdict form by {name}")

    def say(self, what: str) -> None:
        """Tells the user, in one line."""
        tell(f"openai:{self._settings.model}@{self.url}: {what}")

    def _safe(self, text: str) -> str:
        """A text of the endpoint's on one line, without the key that it may repeat."""
        return excerpt(self._masked(text))

    def _masked(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text
