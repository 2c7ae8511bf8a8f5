"""Requests to one endpoint, over the openai package: JSON out, text in, every way to lose one as one error.

The package keeps the connections and knows proxies, certificates and redirects. Retries, the meaning of
errors and the reading of replies are ours: its own reading takes as long as all the rest of a request.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openai

_CONNECT_TIMEOUT = 30.0


class NoAnswerError(Exception):
    """The request got no answer, or only a part of one; the message says what happened."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back.

    Attributes:
        status: HTTP status.
        headers: By name, in any case.
        text: The body; what isn't UTF-8 in it is replaced.
    """

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON, or its text where it is none."""
        try:
            return json.loads(self.text.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            return self.text


class HttpClient:
    """Keeps connections to one server. Made in any thread; everything else runs on the event loop.

    Args:
        headers: Sent with every request, the key's among them.
        query: Put behind the path of every request.
        timeout: Seconds a request may take, from sending to the last byte.
    """

    def __init__(self, headers: Mapping[str, str], query: Mapping[str, str], timeout: float) -> None:
        import openai

        self._openai = openai
        self._query = dict(query)
        self._timeout = timeout
        # The package would send a key of its own.
        self._headers: dict[str, Any] = {"authorization": openai.Omit(), **_lower(headers)}
        self._headers["content-type"] = "application/json"
        # A redirect to another server drops the bearer token alone: nothing else that is secret may go there.
        self._followed_nowhere = bool({*_lower(headers)} - {"authorization"} or query)
        # One line a request at level INFO would drown everything else.
        for name in ("httpx", "httpx2"):
            logger = logging.getLogger(name)
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.WARNING)
        self._client: openai.AsyncOpenAI | None = self._new_client()

    async def get(self, url: str, timeout: float) -> HttpAnswer:
        """Asks for a page.

        Raises:
            NoAnswerError: If nothing came back in time, or only a part.
        """
        return await self._answer(
            self._opened().get(url, cast_to=str, options=self._options()),
            min(timeout, self._timeout),
        )

    async def post(self, url: str, body: object) -> HttpAnswer:
        """Sends a JSON body.

        Raises:
            NoAnswerError: If nothing came back in time, or only a part.
        """
        # Encoded here, where a lone surrogate becomes an escape and not an error.
        content = json.dumps(body).encode()
        sending = self._opened().post(url, cast_to=str, content=content, options=self._options())
        return await self._answer(sending, self._timeout)

    async def upload(self, url: str, path: Path, name: str, fields: Mapping[str, str]) -> HttpAnswer:
        """Sends a file with a few fields, as a form.

        Raises:
            NoAnswerError: If nothing came back in time, or only a part.
        """
        options = self._options()
        options["headers"] = {**self._headers, "content-type": "multipart/form-data"}
        with path.open("rb") as file:
            part = ("file", (name, file, "application/jsonl"))
            sending = self._opened().post(url, cast_to=str, body=dict(fields), files=[part], options=options)
            return await self._answer(sending, self._timeout)

    async def close(self) -> None:
        """Closes the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _answer(self, sending: Awaitable[str], timeout: float) -> HttpAnswer:
        try:
            return HttpAnswer(200, {}, await asyncio.wait_for(sending, timeout))
        except self._openai.APIStatusError as error:
            return HttpAnswer(error.status_code, error.response.headers, error.response.text)
        except asyncio.TimeoutError:
            raise NoAnswerError(f"no answer in {timeout:g} s") from None
        except self._openai.OpenAIError as error:
            cause = error.__cause__ or error
            raise NoAnswerError(f"the connection failed: {str(cause) or type(cause).__name__}") from None

    def _options(self) -> Any:
        options: dict[str, Any] = {"headers": self._headers}
        if self._query:
            options["params"] = self._query
        if self._followed_nowhere:
            options["follow_redirects"] = False
        return options

    def _opened(self) -> openai.AsyncOpenAI:
        if self._client is None:
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> openai.AsyncOpenAI:
        # The package insists on a key. Over aiohttp a request takes half the CPU.
        return self._openai.AsyncOpenAI(
            api_key="none",
            base_url="http://unused.invalid",  # addresses are given whole
            max_retries=0,
            timeout=self._openai.Timeout(None, connect=_CONNECT_TIMEOUT),
            http_client=self._openai.DefaultAioHttpClient(),
        )


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.casefold(): value for name, value in headers.items()}
