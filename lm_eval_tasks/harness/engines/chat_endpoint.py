"""The evaluated model at a chat endpoint: the harness's interface over the client that judges use.

The harness's own client takes for an answer what an endpoint fails to say: an error becomes an empty reply, a
list of parts its Python spelling. Here one reading of answers (:mod:`judges.backends.openai.reading`) serves
judge and evaluated model, with the same patience, the same care about what an endpoint takes, and the same
errors. A reply is stored as it arrives, so that a run which breaks off, or in which some replies failed, asks
only for the rest.
"""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.api_models import JsonChatStr
from pydantic import ConfigDict, Field, model_validator

from judges.backends.openai.backend import OpenAIBackend
from judges.backends.openai.settings import DEFAULT_URL, Leavable, checked_settings
from judges.errors import ConfigError
from judges.output.progress import progress
from judges.records import Conversation, Failure, Message, Outcome, Reply, Sampling
from judges.settings import Settings, parse
from judges.storage.cache import ReplyCache
from lm_eval_tasks.harness.engines.kinds import LENGTHS, engine_of
from lm_eval_tasks.harness.engines.seeds import sample_seed
from lm_eval_tasks.records import FailedReply

_OF_CLIENT = (
    *(
        "base_url",
        "api_key_env",
        "api_key_file",
        "timeout",
        "backoff",
        "patience",
        "token_limit",
        "extra_body",
    ),
    *("headers", "query", "omit", "check_prompt_tokens", "concurrency", "max_attempts"),
)


class EndpointArguments(Settings):
    """What ``--model-args`` may hold for a chat endpoint: the harness's names, and those of a judge file.

    Attributes:
        model: The model's name at the endpoint.
        pretrained: The same.
        base_url: Its address, up to ``/v1`` or with ``/chat/completions``; or several that serve the model.
        num_concurrent: Requests under way at once (``concurrency`` in a judge file).
        max_retries: Requests that a reply may take (``max_attempts``).
        max_gen_toks: Tokens a reply may have, where the task doesn't say.
        timeout: Seconds a request may take.
        eos_string: Ends a reply, beside the task's own stop strings.
        think_end_token: What stands before it in a reply is left out.
        header: Further headers (``headers``).
        auth_token: Refused unless ``env:NAME``: a key doesn't belong on a command line.
        ca_cert_path: File of certificates to trust.
        verify_certificate: Only true: name the certificate in ``ca_cert_path``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str | None = None
    pretrained: str | None = None
    base_url: str | list[str] | None = None
    num_concurrent: int = Field(default=1, ge=1, le=1000)
    concurrency: int | None = Field(default=None, ge=1, le=1000)
    max_retries: int | None = Field(default=None, ge=1)
    max_attempts: int | None = Field(default=None, ge=1)
    max_gen_toks: int = Field(default=256, ge=1)
    timeout: float | None = Field(default=None, gt=0)
    eos_string: str | None = None
    think_end_token: str | None = None
    header: dict[str, str] | None = None
    headers: dict[str, str] | None = None
    auth_token: str | None = None
    ca_cert_path: Path | None = None
    verify_certificate: bool = True
    api_key_env: str | None = None
    api_key_file: Path | None = None
    backoff: float | None = None
    patience: float | None = None
    token_limit: str | None = None
    extra_body: dict[str, Any] | None = None
    query: dict[str, str] | None = None
    omit: list[Leavable] | Leavable | None = None
    check_prompt_tokens: bool | None = None

    @model_validator(mode="after")
    def _complete(self) -> EndpointArguments:
        if not (self.model or self.pretrained):
            raise ValueError("model=NAME is missing: the model's name at the endpoint")
        if not self.verify_certificate:
            raise ValueError(
                "verify_certificate=False isn't supported: name the certificate of the server or of its "
                "authority in ca_cert_path=FILE (or SSL_CERT_FILE)"
            )
        if self.auth_token and not self.auth_token.startswith("env:"):
            raise ValueError(
                "auth_token: a key doesn't belong on a command line; put it in OPENAI_API_KEY, or into "
                "another environment variable that api_key_env=NAME names"
            )
        return self


def client_settings(model: str, arguments: Mapping[str, Any]) -> tuple[EndpointArguments, dict[str, Any]]:
    """The model's arguments, and what they mean as settings of the client.

    Args:
        model: Kind of model, as the harness names it.
        arguments: Of ``--model-args``.

    Raises:
        ConfigError: If they are misspelt, wrong or hold a key.
    """
    known = {k: v for k, v in arguments.items() if k not in engine_of(model).idle_arguments}
    for name in ("model", "pretrained"):  # a name such as 7 or 1.5
        if name in known:
            known[name] = str(known[name])
    given = parse(EndpointArguments, known, "--model-args")
    headers = {**(given.header or {}), **(given.headers or {})}
    if given.auth_token:
        headers["Authorization"] = given.auth_token
    settings = {name: value for name in _OF_CLIENT if (value := getattr(given, name)) is not None}
    settings |= {
        "model": given.model or given.pretrained,
        "concurrency": given.concurrency or given.num_concurrent,
        "form": "none",
    }
    if headers:
        settings["headers"] = headers
    if isinstance(given.omit, str):
        settings["omit"] = [given.omit]
    if given.max_attempts is None and given.max_retries is not None:
        settings["max_attempts"] = given.max_retries
    if given.base_url is None and model == "openai-chat-completions":
        settings["base_url"] = DEFAULT_URL
    elif given.base_url is None and not os.environ.get("OPENAI_BASE_URL"):
        raise ConfigError("--model-args: base_url is missing: the endpoint, like http://localhost:8000/v1")
    checked_settings(settings)
    return given, settings


class ChatEndpoint(LM):  # type: ignore[misc]
    """A model at one OpenAI-compatible address, or at several.

    Args:
        kind: As the user named it.
        replies: File of the replies that have arrived; None to keep none.
        run_seed: Of which every sample gets a seed of its own; None to send none but what a request says.
        **arguments: Of ``--model-args``.
    """

    def __init__(
        self,
        kind: str = "local-chat-completions",
        replies: str | None = None,
        run_seed: int | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__()
        self._given, self._settings = client_settings(kind, arguments)
        if self._given.ca_cert_path is not None:
            os.environ["SSL_CERT_FILE"] = str(self._given.ca_cert_path)
        self._store = ReplyCache(None if replies is None else Path(replies))
        self._seed = run_seed
        self.left_out: frozenset[str] = frozenset()
        """What the endpoint refused to be told, so that its own setting holds; known once it was asked."""
        self.on_reply: Callable[[Instance, Any], None] = lambda request, text: None
        """Is told of each reply once it is on disk."""

    @property
    def tokenizer_name(self) -> str:
        """None that we know of: the endpoint renders prompts."""
        return ""

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> JsonChatStr:
        """The turns themselves, as the harness's own chat models hand them on."""
        return JsonChatStr(json.dumps(chat_history, ensure_ascii=False))

    def loglikelihood(self, requests: Any) -> Any:
        """Not at a chat endpoint."""
        raise ConfigError("a chat endpoint gives no likelihoods of given texts")

    loglikelihood_rolling = loglikelihood

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """A text for each request; a :class:`FailedReply` where none arrived.

        Raises:
            BackendError: If the endpoint can't be asked at all, or not any more; what arrived is stored.
        """
        groups: dict[str, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            groups[json.dumps(request.args[1], sort_keys=True, default=str)].append(number)
        found: dict[int, str] = {}
        with progress(len(requests), "generating", shown=not disable_tqdm) as bar:
            for numbers in groups.values():
                generation = requests[numbers[0]].args[1]
                conversations = [_conversation(requests[number].args[0]) for number in numbers]
                for place, text in self._texts(conversations, generation):
                    found[numbers[place]] = text
                    self.on_reply(requests[numbers[place]], text)
                    bar.update()
        return [found[number] for number in range(len(requests))]

    def _texts(
        self, conversations: Sequence[Conversation], generation: Mapping[str, Any]
    ) -> Iterator[tuple[int, str]]:
        """The texts to conversations that are asked in one way: place and text, in the order of arrival."""
        sampling, settings = self._asked(generation)
        with OpenAIBackend(*checked_settings(settings)) as backend:
            asking = self._store.asking(backend.identity, sampling, "")
            samples: Counter[Conversation] = Counter()
            missing: list[tuple[int, int, bytes]] = []  # place, number of the sample, key
            for place, conversation in enumerate(conversations):
                sample = samples[conversation]
                key = asking.key(conversation, sample)
                samples[conversation] += 1
                known = self._store.get(key)
                if known is not None:
                    yield place, self._text(known)
                else:
                    missing.append((place, sample, key))

            def store(index: int, outcome: Outcome) -> None:
                if isinstance(outcome, Reply) and not isinstance(self._text(outcome), FailedReply):
                    self._store.put(asking, missing[index][2], outcome, has_verdict=True)

            def seed_of(index: int) -> int | None:
                # The client mixes in the conversation.
                return None if sampling.seed is None else sample_seed(sampling.seed, "", missing[index][1])

            asked = (conversations[place] for place, _, _ in missing)
            for index, outcome in backend.replies_stored(asked, sampling, store, seed_of):
                yield missing[index][0], self._text(outcome)
            self.left_out |= backend.left_out

    def _asked(self, generation: Mapping[str, Any]) -> tuple[Sampling, dict[str, Any]]:
        """How replies are drawn: our settings for what they know, fields of the request for the rest."""
        given = dict(generation)
        lengths = [given.pop(name, None) for name in LENGTHS]
        most = next((length for length in lengths if length is not None), self._given.max_gen_toks)
        greedy = given.pop("do_sample", True) is False
        temperature = given.pop("temperature", 0.0)
        top_p = given.pop("top_p", None)
        stops = [stop for name in ("until", "stop") for stop in _list(given.pop(name, None))]
        stops += _list(self._given.eos_string)
        omit = [*self._settings.get("omit", ()), *(["temperature"] if temperature is None else [])]
        extra = {**self._settings.get("extra_body", {}), **given.pop("extra_body", {})}
        extra |= {name: value for name, value in given.items() if value is not None}
        heat = 0.0 if greedy else float(temperature or 0.0)
        # A seed that a request brings is sent as it is, in the place of the sample's own.
        drawn = not greedy and (temperature is None or heat > 0) and "seed" not in extra
        settings = {**self._settings, **({"extra_body": extra} if extra else {})}
        if omit:
            settings["omit"] = sorted(set(omit))
        sampling = Sampling(
            temperature=heat,
            top_p=1.0 if top_p is None or greedy else float(top_p),
            max_tokens=int(most),
            stop=tuple(dict.fromkeys(stop for stop in stops if stop)),
            seed=self._seed if drawn else None,
        )
        return sampling, settings

    def _text(self, outcome: Outcome) -> str:
        if isinstance(outcome, Failure):
            return FailedReply(outcome.message)
        completion = outcome.completions[0]
        if completion.finish_reason == "refused" and not completion.text.strip():
            return FailedReply("the provider's content filter withheld the reply")
        end = self._given.think_end_token
        return completion.text.split(end)[-1].lstrip() if end else completion.text


def _conversation(context: Any) -> Conversation:
    """The turns of a prompt; a plain text is one turn of the user's."""
    if isinstance(context, JsonChatStr):
        turns = json.loads(context.prompt)
        return tuple(Message(turn["role"], turn["content"]) for turn in turns)
    return (Message("user", str(context)),)


def _list(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
