"""A real HTTP server that answers chat completions, and misbehaves as it is told to."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path
from socket import SHUT_RDWR, SHUT_WR, create_connection
from typing import Any

GOOD_FORM = (
    "Factual Accuracy: GOOD\nLogical Coherence: EXCELLENT\nClarity: SATISFACTORY\n"
    "Relevance: NEEDS IMPROVEMENT\nDepth of Argumentation: UNSATISFACTORY"
)


class Endpoint:
    """The server; ``with Endpoint(...) as endpoint`` runs it in a thread.

    Args:
        behave: Answers the k-th chat request through the handler: ``behave(k, body, handler)``.
        owned_by: What the model list says about the owner; None gives a 404 instead of a list.
        port: 0 takes a free one.
        certificate: Files of a certificate and its key, for HTTPS.
        handler: What serves a connection.
    """

    def __init__(
        self,
        behave: Callable[[int, dict[str, Any], Handler], None] | None = None,
        owned_by: str | None = "vllm",
        port: int = 0,
        certificate: tuple[Path, Path] | None = None,
        handler: type[Handler] | None = None,
    ) -> None:
        self.behave = behave or (lambda k, body, handler: handler.reply(GOOD_FORM))
        self.owned_by = owned_by
        self.bodies: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str | None] = set()
        self.headers: list[dict[str, str]] = []
        self.paths: Counter[str] = Counter()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), handler or Handler)
        self._server.endpoint = self
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def asked(self) -> Counter[str]:
        """How often each last turn was asked."""
        return Counter(body["messages"][-1]["content"] for body in self.bodies)

    def wait_for_rest(self) -> None:
        """Returns when all that clients who are gone had sent has been read and noted."""
        # Connections are taken in the order of their making, so this one comes after all of theirs.
        with create_connection(("127.0.0.1", self.port)) as last:
            last.shutdown(SHUT_WR)
            last.recv(1)
        while self._server.open:
            time.sleep(0.001)

    def note(self, body: dict[str, Any]) -> int:
        with self._lock:
            self.bodies.append(body)
            self.times.append(time.monotonic())
            return len(self.bodies) - 1

    def __enter__(self) -> Endpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    endpoint: Endpoint

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.open.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    """One connection. The methods without underscore are the ways to answer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        endpoint = self.server.endpoint
        endpoint.paths[self.path] += 1
        endpoint.keys.add(self.headers["authorization"])
        endpoint.headers.append({name.lower(): value for name, value in self.headers.items()})
        endpoint.behave(endpoint.note(body), body, self)

    def do_GET(self) -> None:
        endpoint = self.server.endpoint
        endpoint.paths[self.path] += 1
        if endpoint.owned_by is None:
            self.error(404, "no such page")
        else:
            self.json({"object": "list", "data": [{"id": "m", "owned_by": endpoint.owned_by}]})

    def log_message(self, *_: object) -> None:
        pass

    def send(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, body: object) -> None:
        self.send(200, "application/json", json.dumps(body).encode())

    def reply(self, *texts: str, finish_reason: str = "stop", tokens: tuple[int, int] = (100, 10)) -> None:
        self.json(
            {
                "object": "chat.completion",
                "choices": [
                    {
                        "index": index,
                        "message": {"role": "assistant", "content": text},
                        "finish_reason": finish_reason,
                    }
                    for index, text in enumerate(texts)
                ],
                "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]},
            }
        )

    def message(
        self,
        content: object,
        finish_reason: object = "stop",
        usage: object = None,
        choice: dict[str, Any] | None = None,
        **fields: object,
    ) -> None:
        """One choice, spelt as the test wants it."""
        message = {"role": "assistant", "content": content, **fields}
        body: dict[str, Any] = {
            "choices": [{"message": message, "finish_reason": finish_reason, **(choice or {})}]
        }
        self.json(body if usage is None else body | {"usage": usage})

    def error(
        self, status: int, message: str, *, code: object = None, param: object = None, **headers: str
    ) -> None:
        body = {"error": {"message": message, "type": "error", "code": code, "param": param}}
        self.send(status, "application/json", json.dumps(body).encode(), **headers)

    def hang(self) -> None:
        self.server.endpoint.stopping.wait(30)
        self.cut()

    def cut(self) -> None:
        """Promises more than it sends, and closes."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b'{"choices": [')
        self.wfile.flush()
        self.drop()

    def drop(self) -> None:
        """Closes without a word."""
        self.close_connection = True
        self.connection.shutdown(SHUT_RDWR)


Answer = Callable[[Handler], None]


def in_turn(*answers: Answer) -> Callable[[int, dict[str, Any], Handler], None]:
    """Answers request k with the k-th answer, then from the start again."""
    ring: Sequence[Answer] = answers
    turns = cycle(ring)
    lock = threading.Lock()

    def behave(_: int, __: dict[str, Any], handler: Handler) -> None:
        with lock:
            answer = next(turns)
        answer(handler)

    return behave


def good(handler: Handler) -> None:
    handler.reply(GOOD_FORM)
