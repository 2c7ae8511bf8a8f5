"""One OpenAI-compatible endpoint: requests to it, and what its answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from judges.backends.openai.address import azure, other_address
from judges.backends.openai.choice import Standing
from judges.backends.openai.complaints import (
    Complaint,
    error_text,
    excerpt,
    named_status,
    understood,
)
from judges.backends.openai.dialect import Dialect
from judges.backends.openai.http import HttpAnswer, HttpClient, NoAnswerError
from judges.backends.openai.reading import (
    Answer,
    ErrorAnswerError,
    NotAReplyError,
    UnusableReplyError,
    filtered,
    read_answer,
    read_only_part_of,
    words_in,
)
from judges.backends.openai.settings import DEFAULT_URL, OpenAISettings, resolved
from judges.backends.openai.turnstile import Turnstile
from judges.backends.openai.wire import (
    FormKind,
    exactly_in_form,
    in_form,
    request_body,
    retry_after,
)
from judges.errors import BackendError, EndpointDownError
from judges.output.notices import tell
from judges.records import Completion, Conversation, Sampling, Usage

_PATIENCE_FOR_MODELS = 30.0  # seconds in which an endpoint says which models it has
_MOST_CHANGES = 12  # ways in which one conversation's request is put


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
    """One conversation under way.

    Attributes:
        conversation: What to answer.
        completions: Those that have arrived.
        usage: Tokens of all replies so far; None if there is none, or one didn't tell.
        attempts: Requests made.
        without: What is left out of this conversation's requests, to see whether the endpoint refuses that.
        refusal: The first refusal of a request, in words.
        changes: In how many other ways the request has been put.
    """

    conversation: Conversation
    completions: list[Completion] = field(default_factory=list)
    usage: Usage | None = None
    attempts: int = 0
    without: list[str] = field(default_factory=list)
    refusal: str = ""
    changes: int = 0
    _answers: int = 0

    def book(self, usage: Usage | None) -> None:
        """A reply arrived that took so many tokens."""
        if self._answers == 0:
            self.usage = usage
        else:
            self.usage = None if self.usage is None or usage is None else self.usage + usage
        self._answers += 1


class Endpoint:
    """A client of one address. Made in any thread; everything else runs on the event loop.

    Args:
        settings: How to ask.
        url: Where, with the query if there is one.
        key: Sent to the endpoint and nowhere else; empty if it needs none.

    Attributes:
        standing: How it does, for the choice between several.
    """

    def __init__(self, settings: OpenAISettings, url: str, key: str) -> None:
        self._settings = settings
        self.url = url
        self._key = key
        self._secrets = tuple(filter(None, (key, *settings.secrets)))
        parts = urlsplit(url)
        self._base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
        query = {**dict(parse_qsl(parts.query)), **{k: resolved(v) for k, v in settings.query.items()}}
        headers = {name: resolved(value) for name, value in settings.headers.items()}
        if key and not {name.casefold() for name in headers} & {"authorization", "api-key"}:
            headers |= {"api-key": key} if azure(url) else {"authorization": f"Bearer {key}"}
        self.http = HttpClient(headers, query, settings.timeout)
        self.standing = Standing()
        at_openai = parts.hostname == urlsplit(DEFAULT_URL).hostname
        self._dialect = Dialect(
            form=None if settings.form == "auto" else settings.form,
            token_limit=settings.token_limit or ("max_completion_tokens" if at_openai else "max_tokens"),
            left_out=set(settings.omit),
            single="n" in settings.omit,
        )
        self._moved_from: str | None = None  # the address as given, if another one is asked
        self._turnstile = Turnstile(settings.concurrency)
        self._trying_form = asyncio.Lock()
        self._told: set[str] = set()

    @property
    def constrains(self) -> bool | None:
        """Whether replies are held to the form; None until that is known."""
        return self._dialect.constrains

    @property
    def form(self) -> FormKind:
        """How replies are held to the form, as far as that is known."""
        return self._dialect.form or "none"

    @property
    def base(self) -> str:
        """The address that is asked, which may be another than was given."""
        return self._base

    @property
    def left_out(self) -> frozenset[str]:
        """Fields of requests that are not sent, by the settings or because it refused them."""
        return frozenset(self._dialect.missing)

    async def close(self) -> None:
        """Closes the connections."""
        await self.http.close()

    async def find_form(self) -> None:
        """Finds out how it is held to a form, once."""
        if self._dialect.form is None:
            self._dialect.form = await self._form_of_endpoint()

    def overload(self) -> None:
        """It said that it gets too many requests."""
        self._turnstile.overload()

    async def _form_of_endpoint(self) -> FormKind:
        """vLLM says who it is; others are asked for the form that OpenAI's interface defines."""
        entries = await self._models(self._base)
        other = other_address(self._base)
        if entries is None and other is not None:
            entries = await self._models(other)
            if entries is not None:
                self._move(other)
        owners = [entry.get("owned_by") for entry in entries or () if isinstance(entry, dict)]
        return "regex" if "vllm" in owners else "json_schema"

    async def _models(self, base: str) -> list[Any] | None:
        """The models that an address lists; None if it doesn't."""
        try:
            answer = await self.http.get(f"{base}/models", _PATIENCE_FOR_MODELS)
        except NoAnswerError:
            return None
        models = answer.json
        entries = models.get("data") if answer.status < 300 and isinstance(models, dict) else None
        return entries if isinstance(entries, list) else None

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
        if sampling.form is not None and self._dialect.undecided and "form" not in progress.without:
            async with self._trying_form:
                if self._dialect.undecided:
                    try:
                        while not await self._attempt(progress, sampling):
                            continue
                        return True
                    finally:
                        self._dialect.tried += 1
        return await self._attempt(progress, sampling)

    async def _attempt(self, progress: Progress, sampling: Sampling) -> bool:
        await self._turnstile.enter()
        try:
            return await self._request(progress, sampling)
        finally:
            self._turnstile.leave()

    async def _request(self, progress: Progress, sampling: Sampling) -> bool:
        dialect, base = self._dialect, self._base
        form: FormKind = "none" if "form" in progress.without else self.form
        missing = sampling.n - len(progress.completions)
        n = 1 if dialect.single or "n" in progress.without else missing
        body = self.body(progress.conversation, sampling, form, n=n, drawn=len(progress.completions))
        progress.attempts += 1
        try:
            answer = await self.http.post(f"{base}/chat/completions", body)
        except NoAnswerError as error:
            raise Retry(self.safe(str(error))) from None
        try:
            if answer.status >= 300:
                self._judge(answer, answer.json, body, progress, sampling, base)
                return False
            try:
                read = read_answer(self.masked(answer.text))
            except ErrorAnswerError as error:
                self._judge(answer, error.body, body, progress, sampling, base)
                return False
        except _Filtered as filter_:
            self._arrived(progress)
            progress.book(Usage())  # no reply was written
            self.say_once("filter", f"its content filter refuses some texts ({filter_})")
            progress.completions += [Completion("", "refused")] * missing
            return True
        except NotAReplyError as error:
            raise Retry(f"the endpoint sent {self.safe(str(error))}") from None
        except UnusableReplyError as error:
            progress.book(error.usage)
            raise Refused(f"the endpoint sent {self.safe(str(error))}") from None
        self._arrived(progress)
        progress.book(read.usage)
        self.check_prompt(read.usage, words_of(progress.conversation))
        completions = self.completions(read, sampling, form)
        dialect.single = dialect.single or len(completions) < body.get("n", 1)
        progress.completions += completions[:missing]
        if sampling.form is not None:
            self._see_form(completions, sampling, form, progress)
        return True

    def body(
        self, conversation: Conversation, sampling: Sampling, form: FormKind, *, n: int, drawn: int
    ) -> dict[str, Any]:
        """A request for ``n`` completions, put as this endpoint was found to take it."""
        return request_body(
            self._settings.model,
            conversation,
            sampling,
            form=form,
            n=n,
            drawn=drawn,
            token_limit=self._dialect.token_limit,
            extra=self._settings.extra_body,
            omit=self._dialect.left_out,
        )

    def _arrived(self, progress: Progress) -> None:
        """A reply arrived: what that says of the endpoint, and of what was left out to get it."""
        if self.standing.success():
            self.say("answers again")
        self._turnstile.success()
        if self._moved_from is not None:
            self.say_once("moved", f"there is nothing at this address; {self._base} is asked instead")
        if progress.without and progress.without[-1] == "n":
            self._dialect.single = True

    def completions(self, read: Answer, sampling: Sampling, form: FormKind) -> list[Completion]:
        """The completions; a text that only a form can explain is taken from where thoughts stand.

        Raises:
            Refused: If a reply has thoughts and no content.
        """
        found = []
        for completion, thought in zip(read.completions, read.thoughts, strict=True):
            if not completion.text.strip() and thought.strip() and completion.finish_reason == "stop":
                text = thought.strip()
                if sampling.form is None or not exactly_in_form(text, sampling.form, form):
                    raise Refused(_ONLY_THOUGHT)
                self.say_once(
                    "thought",
                    "puts the reply, held to the form, into reasoning_content; it is read from there (to "
                    "mend that, start the server without its reasoning parser or turn thinking off)",
                )
                completion = Completion(text, "stop")
            elif not completion.text.strip() and thought.strip() and sampling.form is None:
                completion = Completion(
                    f"<think>\n{thought}", completion.finish_reason
                )  # it never got further
            if "stop" in self._dialect.left_out:
                completion = _stopped(completion, sampling.stop)
            found.append(completion)
        return found

    def check_prompt(self, usage: Usage | None, words: int) -> None:
        """Refuses a reply to a prompt of which the endpoint read only a part.

        Raises:
            Refused: If that is so.
        """
        if self._settings.check_prompt_tokens and usage is not None and read_only_part_of(words, usage):
            reason = (
                f"the endpoint read only {usage.prompt_tokens} tokens of a prompt of {words} words: raise "
                "its context length (Ollama: OLLAMA_CONTEXT_LENGTH=8192)"
            )
            self.say_once("context", f"{reason}; such replies don't count")
            raise Refused(reason)

    def _judge(
        self,
        answer: HttpAnswer,
        error: Any,
        body: Mapping[str, Any],
        progress: Progress,
        sampling: Sampling,
        base: str,
    ) -> None:
        """Says what an error means; returns if the request may be made another way at once."""
        status = answer.status if answer.status >= 300 else named_status(error) or answer.status
        text = self.safe(error_text(error))
        shown = str(status) if status == answer.status else f"{answer.status}, an error {status}"
        said = f"{shown}: {text}" if text else shown
        complaint = understood(status, error, body)
        if complaint.kind == "quota":
            raise EndpointDownError(
                f"{self.url}: the credit or quota is used up ({said}); what was answered is stored: run "
                "again when there is more"
            )
        if complaint.kind == "refused" or filtered(error):
            raise _Filtered(text if complaint.kind == "refused" else said)
        if status in {401, 403}:
            place = self._settings.key_place
            had = f"the key in {place}" if self._key else f"a request without a key ({place} is not set)"
            raise BackendError(f"{self.url} refused {had} ({said})")
        nothing_there = status in {404, 405} or complaint.kind == "address"
        if nothing_there and (base != self._base or not self.standing.answered):
            self._look_elsewhere(base, text, said)
            return
        if status in {500, 501} and self._try_without_form(body, progress, said):
            return
        if status in {408, 409, 425, 429} or status >= 500 or status < 300:
            wait = retry_after(answer.headers)
            raise Retry(f"the endpoint answered {said}", wait=wait, busy=status == 429)
        if complaint.kind == "too_long":
            raise Refused(f"too long for the endpoint's context ({said})")
        if status in {400, 422} and self._ask_differently(complaint, body, progress, sampling, said):
            return
        raise Refused(f"the endpoint refused the request ({progress.refusal or said})")

    def _look_elsewhere(self, base: str, text: str, said: str) -> None:
        """Asks with ``/v1`` where it was forgotten, or without one that is too much."""
        other = other_address(base)
        named = "model" in text.casefold()  # the page is there, the model isn't
        if base != self._base:
            return  # another request has found that out
        if self._moved_from is None and other is not None and not named:
            self._move(other)
            return
        tried = "" if self._moved_from is None else f"; tried {self._base} as well"
        self._base = self._moved_from or self._base
        raise BackendError(
            f"{self.url} has no model {self._settings.model!r} or is no endpoint ({said}){tried}; an address "
            "goes up to and including /v1, like http://localhost:8000/v1"
        )

    def _move(self, base: str) -> None:
        self._moved_from, self._base = self._base, base

    def _ask_differently(
        self,
        complaint: Complaint,
        body: Mapping[str, Any],
        progress: Progress,
        sampling: Sampling,
        said: str,
    ) -> bool:
        """Leaves out what the endpoint names, or else what it may mean: several completions, then the form.

        What it names is left out from now on. Where it names nothing, this conversation's next attempts tell:
        only if one without it is answered, that counts against it.
        """
        progress.changes += 1
        if progress.changes > _MOST_CHANGES:
            return False
        name = complaint.parameter
        if name is not None and name not in self._settings.extra_body:
            if name in self._dialect.left_out or (name == "n" and self._dialect.single):
                return True  # another request has found that out
            instead = self._dialect.leave_out(name)
            what = f"{instead} is sent instead" if instead else _CONSEQUENCES[name]
            self.say_once(f"without {name}", f"refuses {name} ({said}); {what}")
            return True
        if complaint.kind == "form":
            return self._try_without_form(body, progress, said, named=True)
        progress.refusal = progress.refusal or said
        if body.get("n", 1) > 1:
            progress.without.append("n")
            return True
        return self._try_without_form(body, progress, said)

    def _try_without_form(
        self, body: Mapping[str, Any], progress: Progress, said: str, *, named: bool = False
    ) -> bool:
        """Leaves the form out of this conversation's requests, if it may be what the endpoint refuses."""
        sent = "response_format" in body or "structured_outputs" in body
        if not sent or "form" in progress.without or (self._dialect.kept and not named):
            return False
        if self._settings.form != "auto":
            if named:
                raise BackendError(f"{self.url} can't hold replies to form: {self._settings.form} ({said})")
            return False
        progress.refusal = progress.refusal or said
        progress.without.append("form")
        return True

    def _see_form(
        self, completions: list[Completion], sampling: Sampling, form: FormKind, progress: Progress
    ) -> None:
        """Notes whether the form was kept to. Empty and unfinished replies tell nothing."""
        assert sampling.form is not None
        dialect = self._dialect
        if "form" in progress.without:
            self._miss(f"can't hold replies to the verdict form ({progress.refusal})")
            return
        finished = [c.text for c in completions if c.finish_reason == "stop" and c.text.strip()]
        if form == "none" or not finished:
            return
        if not all(in_form(text, sampling.form, form) for text in finished):
            self._miss("accepts a form for replies but doesn't keep to it")
        elif dialect.keep():
            name = {"regex": "vLLM's structured outputs", "json_schema": "a JSON schema"}[form]
            self.say(f"replies are held to the verdict form by {name}")

    def _miss(self, what: str) -> None:
        self._dialect.miss()
        read = "such replies are read as they come" if self._dialect.kept else "replies are read as they come"
        self.say_once("form", f"{what}; {read}")

    def say(self, what: str) -> None:
        """Tells the user, in one line."""
        tell(f"openai:{self._settings.model}@{self.url}: {what}")

    def say_once(self, subject: str, what: str) -> None:
        """Tells the user, unless the same subject has been told."""
        if subject not in self._told:
            self._told.add(subject)
            self.say(what)

    def safe(self, text: str) -> str:
        """A text of the endpoint's on one line, without the keys that it may repeat."""
        return excerpt(self.masked(text))

    def masked(self, text: str) -> str:
        """A text of the endpoint's without the keys that it may repeat."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _Filtered(Exception):
    """The provider's content filter refused this conversation; the message is the provider's."""


_ONLY_THOUGHT = (
    "the reply has no content, its text stands in reasoning_content: start the server without its reasoning "
    "parser, or turn thinking off (vLLM: extra_body: {chat_template_kwargs: {enable_thinking: false}})"
)
_CONSEQUENCES = {
    "max_tokens": "nothing bounds the length of a reply",
    "max_completion_tokens": "nothing bounds the length of a reply",
    "temperature": "it is left out, so the endpoint's own holds",
    "top_p": "it is left out, so the endpoint's own holds",
    "stop": "it is left out, and replies are cut here",
    "seed": "it is left out, so replies can't be drawn again",
    "n": "one completion a request is asked for",
}


def words_of(conversation: Conversation) -> int:
    """Words of a prompt."""
    return sum(words_in(message.content) for message in conversation)


def _stopped(completion: Completion, stops: tuple[str, ...]) -> Completion:
    """A completion that ends where the first of the stop strings begins."""
    places = [place for stop in stops if (place := completion.text.find(stop)) >= 0]
    return Completion(completion.text[: min(places)], "stop") if places else completion
