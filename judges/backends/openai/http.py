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
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return self.text


class HttpClient:
    """Keeps connections to one address. Made in any thread; everything else runs on the event loop.

    Args:
        url: The address, without a final slash.
        key: Sent as bearer token; empty for none.
        timeout: Seconds a request may take, from sending to the last byte.
    """

    def __init__(self, url: str, key: str, timeout: float) -> None:
        import openai

        self._openai = openai
        self._url = url
        self._key = key
        self._timeout = timeout
        self._headers: dict[str, Any] = {"content-type": "application/json"}
        if not key:
            self._headers["authorization"] = openai.Omit()
        # One line a request at level INFO would drown everything else.
        for name in ("httpx", "httpx2"):
            logger = logging.getLogger(name)
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.WARNING)
        self._client: openai.AsyncOpenAI | None = self._new_client()

    async def get(self, path: str, timeout: float) -> HttpAnswer:
        """Asks for a page.

        Raises:
            NoAnswerError: If nothing came back in time, or only a part.
        """
        return await self._answer(
            self._opened().get(path, cast_to=str, options={"headers": self._headers}),
            min(timeout, self._timeout),
        )

    async def post(self, path: str, body: object) -> HttpAnswer:
        """Sends a JSON body.

        Raises:
            NoAnswerError: If nothing came back in time, or only a part.
        """
        # Encoded here, where a lone surrogate becomes an escape and not an error.
        content = json.dumps(body).encode()
        sending = self._opened().post(path, cast_to=str, content=content, options={"headers": self._headers})
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

    def _opened(self) -> openai.AsyncOpenAI:
        if self._client is None:
            self._client = self._new_client()
        return self._client

    def _new_client(self) -> openai.AsyncOpenAI:
        # The package insists on a key. Over aiohttp a request takes half the CPU.
        return self._openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self._url,
            max_retries=0,
            timeout=self._openai.Timeout(None, connect=_CONNECT_TIMEOUT),
            http_client=self._openai.DefaultAioHttpClient(),
        )
