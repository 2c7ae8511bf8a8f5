"""Requests to one endpoint over HTTP: JSON out, text in, and every way to lose one as one error.

Of what a client package for this interface does, a judge needs little: retries, the meaning of errors and the
reading of replies are ours. Plain aiohttp takes a third of its CPU a request.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

if TYPE_CHECKING:
    import aiohttp

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
        import aiohttp

        self._aiohttp = aiohttp
        self._url = url
        self._timeout = timeout
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str, timeout: float) -> HttpAnswer:
        """Asks for a page.

        Raises:
            NoAnswerError: If nothing came back in time, or only a part.
        """
        return await self._request("GET", path, None, min(timeout, self._timeout))

    async def post(self, path: str, body: object) -> HttpAnswer:
        """Sends a JSON body.

        Raises:
            NoAnswerError: If nothing came back in time, or only a part.
        """
        return await self._request("POST", path, json.dumps(body).encode(), self._timeout)

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(self, method: str, path: str, data: bytes | None, timeout: float) -> HttpAnswer:
        limits = self._aiohttp.ClientTimeout(total=timeout, sock_connect=_CONNECT_TIMEOUT)
        if self._session is None:
            self._session = self._new_session()
        try:
            async with self._session.request(method, self._url + path, data=data, timeout=limits) as response:
                content = await response.read()
                return HttpAnswer(response.status, response.headers, content.decode("utf-8", "replace"))
        except asyncio.TimeoutError:
            raise NoAnswerError(f"no answer in {timeout:g} s") from None
        except (self._aiohttp.ClientError, OSError) as error:
            raise NoAnswerError(f"the connection failed: {error or type(error).__name__}") from None

    def _new_session(self) -> aiohttp.ClientSession:
        connector = self._aiohttp.TCPConnector(limit=0, ssl=_certificates(self._url))
        return self._aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=self._aiohttp.DummyCookieJar(),
            proxy=_proxy(self._url),
        )


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for an address; looked up once and not at each request."""
    parts = urlsplit(url)
    return None if proxy_bypass(parts.netloc) else getproxies().get(parts.scheme)


def _certificates(url: str) -> ssl.SSLContext | bool:
    """Whom to trust: the system's authorities, and certifi's where it is installed."""
    if urlsplit(url).scheme != "https":
        return True
    context = ssl.create_default_context()
    try:
        import certifi
    except ImportError:
        return context
    context.load_verify_locations(certifi.where())
    return context
