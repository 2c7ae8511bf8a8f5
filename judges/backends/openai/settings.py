"""Settings of the ``openai`` backend: how endpoints are asked, and with which key."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from pydantic import Field, field_validator, model_validator

from judges.errors import ConfigError
from judges.settings import Settings, parse

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"


Leavable: TypeAlias = Literal[
    "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "seed", "n"
]
"""Fields of a request that can be left out."""

_CHAT = re.compile(r"/chat(/completions)?/?\Z|/completions/?\Z")
_FROM_ENVIRONMENT = "env:"
_SECRET = re.compile(
    r"(?:\A|[-_])(?:api)?[-_]?(?:key|token|secret|password|passwd|auth|authorization|credentials?|cookie|sig|signature)"
    r"\Z|authorization|apikey|bearer",
    re.IGNORECASE,
)


class OpenAISettings(Settings):
    """Settings of the backend.

    Attributes:
        model: Model name at the endpoint.
        base_url: The endpoint, up to and including ``/v1``; ``OPENAI_BASE_URL`` or OpenAI's own if left out.
            Several that serve one model share the work; the first stands for all in names and cache keys.
        api_key_env: Environment variable that holds the key; ``OPENAI_API_KEY`` if left out.
        api_key_file: File that holds the key and that nobody else may read; instead of ``api_key_env``.
        concurrency: Requests under way at once, at each endpoint.
        timeout: Seconds a request may take, from sending to the last byte.
        max_attempts: Requests a conversation may take before it counts as failed.
        backoff: Seconds before the second attempt; doubles with each further one, up to 30.
        patience: Seconds for which an endpoint that has answered may fail everything before the run stops.
        form: How replies are held to the verdict form: ``regex`` (vLLM's structured outputs),
            ``json_schema`` (``response_format``), ``none``; ``auto`` finds out.
        token_limit: The field that bounds a reply's length; by default ``max_completion_tokens`` at OpenAI's
            own address and ``max_tokens`` elsewhere.
        extra_body: Further fields of every request, as the endpoint documents them.
        headers: Further headers of every request. A value ``env:NAME`` is read from the environment; one that
            looks like a key must be.
        query: Parameters behind every request's path (Azure's ``api-version``); values as of ``headers``.
        omit: Fields that are never sent, because the endpoint refuses them: of ``max_tokens``,
            ``max_completion_tokens``, ``temperature``, ``top_p``, ``stop``, ``seed`` and ``n``.
        check_prompt_tokens: Whether a reply fails when the endpoint says that it read far less than was sent.
        batch: Whether a judge's requests are sent as batches (files and batches of OpenAI's interface).
        batch_poll: Seconds between two looks at a batch.
    """

    model: str = Field(min_length=1)
    base_url: str | list[str] | None = None
    api_key_env: str | None = None
    api_key_file: Path | None = None
    concurrency: int = Field(default=128, ge=1, le=1000)
    timeout: float = Field(default=600.0, gt=0)
    max_attempts: int = Field(default=8, ge=1)
    backoff: float = Field(default=0.5, ge=0)
    patience: float = Field(default=60.0, ge=0)
    form: Literal["auto", "regex", "json_schema", "none"] = "auto"
    token_limit: Literal["max_tokens", "max_completion_tokens"] | None = None
    extra_body: dict[str, Any] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    query: dict[str, str] = Field(default_factory=dict)
    omit: tuple[Leavable, ...] = ()
    check_prompt_tokens: bool = True
    batch: bool = False
    batch_poll: float = Field(default=30.0, gt=0, le=3600)

    @field_validator("base_url")
    @classmethod
    def _plain_addresses(cls, value: str | list[str] | None) -> str | list[str] | None:
        addresses = [value] if isinstance(value, str) else value
        if addresses is None:
            return None
        for address in addresses:
            parts = urlsplit(address)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError("expected an address such as http://localhost:8000/v1")
            if parts.fragment:
                raise ValueError("expected an address such as http://localhost:8000/v1, without '#'")
        if not addresses or len({_plain(address) for address in addresses}) < len(addresses):
            raise ValueError("expected one address or several different ones")
        return value

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses to ask, as one names them; the environment's or OpenAI's if none is given.

        Without a final slash and without ``/chat/completions``, with the query that they were given.
        """
        given = self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL
        return tuple(_plain(url) for url in ([given] if isinstance(given, str) else given))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What stands in the environment for headers and query: never to be shown."""
        values = (*self.headers.values(), *self.query.values())
        return tuple(filter(None, (resolved(value) for value in values if _refers(value))))

    @model_validator(mode="after")
    def _one_key(self) -> OpenAISettings:
        if self.api_key_env and self.api_key_file:
            raise ValueError("give either api_key_env or api_key_file")
        return self

    @model_validator(mode="after")
    def _batches_at_one_address(self) -> OpenAISettings:
        if self.batch and len(self.urls) > 1:
            raise ValueError("batch: true takes one base_url: a batch lies at one provider")
        if self.batch and "/deployments/" in self.urls[0]:
            raise ValueError("batch: true takes an address up to and including /v1, not a deployment's")
        return self

    @field_validator("headers", "query")
    @classmethod
    def _readable(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not re.fullmatch(r"[!-9;-~]+", name):
                raise ValueError(f"{name!r} is no name of a header or parameter")
            if _refers(text) and not resolved(text):
                raise ValueError(
                    f"the environment variable {text.removeprefix(_FROM_ENVIRONMENT)} is not set"
                )
            if not re.fullmatch(r"[ -~]*", resolved(text)):
                raise ValueError(f"what {name!r} holds can't be sent: it has line breaks or odd characters")
        return value

    @property
    def key_place(self) -> str:
        """Where the key is looked for, for messages."""
        return str(self.api_key_file or self.api_key_env or DEFAULT_KEY_VARIABLE)


def checked_settings(settings: Mapping[str, Any]) -> tuple[OpenAISettings, str]:
    """Checks the settings and finds the key; it is empty if none is needed.

    Raises:
        ConfigError: If a setting is wrong, or the key is missing, can be read by others or is no key.
    """
    checked = parse(OpenAISettings, _without_secret(settings), "openai backend")
    place = checked.key_place
    if checked.api_key_file is not None:
        key = _key_in(checked.api_key_file.expanduser())
    else:
        key = os.environ.get(place, "").strip()
    own = {name.casefold() for name in checked.headers} & {"authorization", "api-key"}
    if not key and not own and (checked.api_key_env or DEFAULT_URL in checked.urls):
        raise ConfigError(
            f"openai backend: the environment variable {place} is not set; it must hold the key of "
            f"{checked.urls[0]}"
        )
    # Anything else can't stand in a header, and libraries would repeat it in what they complain.
    if not re.fullmatch(r"[!-~]*", key):
        raise ConfigError(f"openai backend: what {place} holds is no key: it has spaces or odd characters")
    return checked, key


def _key_in(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError(f"openai backend: {path} can be read by others: chmod 600 {path}")
            key = file.read(10_000).decode("utf-8", "replace").strip()
    except OSError as error:
        raise ConfigError(f"openai backend: {path}: can't be read: {error.strerror}") from None
    if not key:
        raise ConfigError(f"openai backend: {path} is empty; it must hold the key")
    return key


def resolved(value: str) -> str:
    """A header's or parameter's value, read from the environment where it says so."""
    return os.environ.get(value.removeprefix(_FROM_ENVIRONMENT), "") if _refers(value) else value


def _refers(value: str) -> bool:
    return value.startswith(_FROM_ENVIRONMENT)


def _plain(address: str) -> str:
    """An address up to and including ``/v1``, with its query."""
    parts = urlsplit(address)
    path = _CHAT.sub("", parts.path.rstrip("/")).rstrip("/")
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _without_secret(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuses a key in the settings before anything can print it."""
    given = settings.get("base_url")
    addresses = given if isinstance(given, list) else [given]
    if "api_key" in settings or any("@" in urlsplit(str(address)).netloc for address in addresses):
        raise ConfigError(
            "openai backend: a key belongs neither in api_key nor in base_url; put it in an environment "
            "variable and name that variable in api_key_env, or in a file that only you can read and name "
            "that in api_key_file"
        )
    for name in (name for address in addresses for name, _ in parse_qsl(urlsplit(str(address)).query)):
        if _SECRET.search(name):
            raise ConfigError(
                f"openai backend: base_url holds a key ({name}); put it in an environment variable and write "
                f"query: {{{name}: env:NAME}}"
            )
    for what in ("headers", "query"):
        entries = settings.get(what)
        for name, value in entries.items() if isinstance(entries, Mapping) else ():
            if _SECRET.search(str(name)) and not str(value).startswith(_FROM_ENVIRONMENT):
                raise ConfigError(
                    f"openai backend: {what}: {name} looks like a key, which doesn't belong in a file; put "
                    f"it in an environment variable and write {name}: env:NAME"
                )
    return settings
