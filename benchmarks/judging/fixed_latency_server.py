"""An OpenAI-compatible endpoint of known speed: every reply takes the same time, a fixed number run at once.

    python benchmarks/judging/fixed_latency_server.py --port 8123 --latency 0.25 --slots 64

Its ceiling is ``slots / latency`` replies a second; what a client reaches of that is the client's own doing.
Requests beyond the slots wait in line, as at a real engine. With ``--faults 0.05`` a share of the requests is
answered with an error instead (429, 500, a cut connection or a body that isn't JSON, in turn). With
``--reply '{"text": ..., "logprobs": ...}'`` every reply is that one: what another library's parser takes.
``GET /stats`` tells what it has seen.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from collections import Counter, deque
from typing import Any

VERDICTS = ("EXCELLENT", "GOOD", "SATISFACTORY", "NEEDS IMPROVEMENT", "UNSATISFACTORY")
CRITERIA = ("Factual Accuracy", "Logical Coherence", "Clarity", "Relevance", "Depth of Argumentation")


class Engine:
    """The slots, the line before them, and the counts."""

    def __init__(self, latency: float, slots: int, faults: float, reply: dict[str, Any] | None) -> None:
        self.reply = reply
        self.latency = latency
        self.free = slots
        self.faults = faults
        self.line: deque[Connection] = deque()
        self.counts: Counter[str] = Counter()
        self.requests: Counter[bytes] = Counter()

    def enter(self, connection: Connection) -> None:
        if self.free:
            self.free -= 1
            self.start(connection)
        else:
            self.line.append(connection)

    def start(self, connection: Connection) -> None:
        asyncio.get_running_loop().call_later(self.latency, self.finish, connection)

    def finish(self, connection: Connection) -> None:
        if self.line:
            self.start(self.line.popleft())
        else:
            self.free += 1
        connection.answer()


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection that is kept alive; one request at a time."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.buffer = b""
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.engine.counts["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, blank, rest = self.buffer.partition(b"\r\n\r\n")
        if not blank:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self.body, self.buffer = rest[:length], rest[length:]
        path = head.split(b" ", 2)[1]
        if path.endswith(b"/chat/completions"):
            self.engine.counts["asked"] += 1
            self.engine.enter(self)
        elif path.endswith(b"/models"):
            self.send({"object": "list", "data": [{"id": "judge", "object": "model", "owned_by": "vllm"}]})
        else:
            copies = sum(count - 1 for count in self.engine.requests.values())
            self.send(dict(self.engine.counts) | {"asked_again": copies})

    def answer(self) -> None:
        counts = self.engine.counts
        if self.transport.is_closing():
            counts["gone"] += 1
            return
        digest = hashlib.sha256(self.body).digest()
        counts["arrived"] += 1
        if counts["arrived"] * self.engine.faults - counts["faults"] >= 1:
            counts["faults"] += 1
            self.fail(counts["faults"])
            return
        counts["answered"] += 1
        self.engine.requests[digest[:8]] += 1
        reply = self.engine.reply
        if reply is None:
            verdicts = [VERDICTS[byte % len(VERDICTS)] for byte in digest]
            lines = (f"{name}: {verdict}" for name, verdict in zip(CRITERIA, verdicts, strict=False))
            reply = {"text": "\n".join(lines)}
        self.send(
            {
                "id": "chatcmpl-" + digest.hex()[:24],
                "object": "chat.completion",
                "created": 1_700_000_000,
                "model": "judge",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": reply["text"]},
                        "logprobs": reply.get("logprobs"),
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": 400, "completion_tokens": 32, "total_tokens": 432},
            }
        )

    def fail(self, number: int) -> None:
        match number % 4:
            case 0:
                self.send({"error": {"message": "too many requests"}}, b"429 Too Many Requests")
            case 1:
                self.send({"error": {"message": "internal error"}}, b"500 Internal Server Error")
            case 2:
                self.transport.abort()
            case _:
                self.write(b"200 OK", b"text/html", b"<html>busy</html>")

    def send(self, body: object, status: bytes = b"200 OK") -> None:
        self.write(status, b"application/json", json.dumps(body).encode())

    def write(self, status: bytes, kind: bytes, body: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n%b"
            % (status, kind, len(body), body)
        )


async def serve(host: str, port: int, engine: Engine) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(engine), host, port, backlog=1024
    )
    async with server:
        print(f"http://{host}:{server.sockets[0].getsockname()[1]}/v1", flush=True)
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; the address is printed")
    parser.add_argument("--latency", type=float, default=0.25, help="seconds a reply")
    parser.add_argument("--slots", type=int, default=64, help="replies under way at once")
    parser.add_argument("--faults", type=float, default=0.0, help="share of the requests that fail")
    parser.add_argument("--reply", type=json.loads, help="JSON with text and logprobs")
    options = parser.parse_args()
    engine = Engine(options.latency, options.slots, options.faults, options.reply)
    asyncio.run(serve(options.host, options.port, engine))


if __name__ == "__main__":
    main()
