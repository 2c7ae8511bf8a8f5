"""Settings of the ``openai`` backend: how endpoints are asked, and with which key."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from judges.errors import ConfigError
from judges.settings import Settings, parse

DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"


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
        if not addresses or len({address.rstrip("/") for address in addresses}) < len(addresses):
            raise ValueError("expected one address or several different ones")
        return value

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses to ask, without a final slash; the environment's or OpenAI's if none is given."""
        given = self.base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_URL
        return tuple(url.rstrip("/") for url in ([given] if isinstance(given, str) else given))

    @model_validator(mode="after")
    def _one_key(self) -> OpenAISettings:
        if self.api_key_env and self.api_key_file:
            raise ValueError("give either api_key_env or api_key_file")
        return self

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
    if not key and (checked.api_key_env or DEFAULT_URL in checked.urls):
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
    return settings
