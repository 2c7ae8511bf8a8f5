"""A real HTTP server with OpenAI's files and batches beside chat completions; it works when it is let to."""

from __future__ import annotations

import email
import json
import threading
from collections.abc import Callable
from email.message import Message
from typing import Any

from tests.judges.endpoint import GOOD_FORM, Endpoint, Handler

Line = dict[str, Any]
Fate = Callable[[Line], Line | None]
"""What becomes of a request line: a line of the results, or nothing."""


def completion(text: str) -> dict[str, Any]:
    """The body of a reply."""
    message = {"role": "assistant", "content": text}
    return {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 300, "completion_tokens": 40},
    }


def result(line: Line, body: Any, status: int = 200, error: Any = None) -> Line:
    """A line of results as OpenAI writes it."""
    response = None if error else {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_req", "custom_id": line["custom_id"], "response": response, "error": error}


def good(line: Line) -> Line:
    return result(line, completion(GOOD_FORM))


class BatchEndpoint(Endpoint):
    """The server.

    Args:
        fate: Of each line.
        ends: The status with which batches end; ``forgotten``: nobody knows them any more.
        errors: Why a whole batch failed.

    Attributes:
        go: Batches end when it is set; set from the start.
        answers_making: Whether who has a batch made gets an answer; the batch is made all the same.
        troubled: While it is set, nobody is told how a batch stands.
        ensure_ascii: Whether results are written in ASCII.
        damage: What becomes of the lines of a file of results.
        files: Content by id.
        batches: Batch objects by id.
        uploads: What was uploaded, in order.
    """

    def __init__(
        self,
        fate: Fate = good,
        *,
        ends: str = "completed",
        errors: list[dict[str, Any]] | None = None,
        on_upload: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(handler=_BatchHandler)
        self.fate = fate
        self.ends = ends
        self.errors = errors
        self.on_upload = on_upload
        self.go = threading.Event()
        self.go.set()
        self.made = threading.Event()
        self.answers_making = True
        self.troubled = threading.Event()
        self.ensure_ascii = True
        self.damage: Callable[[list[str]], list[str]] = lambda rows: rows
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.uploads: list[list[Line]] = []

    def store(self, content: bytes) -> str:
        id_ = f"file-{len(self.files)}"
        self.files[id_] = content
        return id_

    def make(self, asked: dict[str, Any]) -> dict[str, Any]:
        id_ = f"batch_{len(self.batches)}"
        self.batches[id_] = {"id": id_, "object": "batch", "status": "validating", **asked}
        return self.batches[id_]

    def standing(self, id_: str) -> dict[str, Any]:
        """The batch; its next state is reached when somebody looks."""
        batch = self.batches[id_]
        if batch["status"] == "validating":
            batch |= {"status": "in_progress", "request_counts": {"total": 0, "completed": 0, "failed": 0}}
        elif batch["status"] == "in_progress" and self.go.is_set():
            self._end(batch)
        return batch

    def _end(self, batch: dict[str, Any]) -> None:
        batch["status"] = self.ends
        if self.ends == "failed":
            batch["errors"] = {"object": "list", "data": self.errors}
            return
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        found = [one for one in map(self.fate, reversed(lines)) if one is not None]  # in no order of ours
        fine = [one for one in found if one["response"] and one["response"]["status_code"] == 200]
        for name, rows in (("output_file_id", fine), ("error_file_id", [r for r in found if r not in fine])):
            if rows:
                texts = self.damage([json.dumps(row, ensure_ascii=self.ensure_ascii) for row in rows])
                batch[name] = self.store("".join(text + "\n" for text in texts).encode())
        batch["request_counts"] = {
            "total": len(lines),
            "completed": len(fine),
            "failed": len(found) - len(fine),
        }


class _BatchHandler(Handler):
    @property
    def endpoint(self) -> BatchEndpoint:
        found = self.server.endpoint
        assert isinstance(found, BatchEndpoint)
        return found

    def do_POST(self) -> None:
        if self.path == "/v1/files":
            self._upload()
        elif self.path == "/v1/batches":
            made = self.endpoint.make(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.endpoint.made.set()
            if self.endpoint.answers_making:
                self.json(made)
            else:
                self.hang()
        else:
            super().do_POST()

    def do_GET(self) -> None:
        _, _, rest = self.path.partition("/v1/")
        kind, _, name = rest.partition("/")
        if kind == "batches" and self.endpoint.troubled.is_set():
            self.error(503, "overloaded")
        elif kind == "batches" and self.endpoint.ends == "forgotten":
            self.error(404, "no such batch")
        elif kind == "batches":
            self.json(self.endpoint.standing(name))
        elif kind.startswith("batches?"):
            rows = list(self.endpoint.batches.values())
            self.json({"object": "list", "data": rows, "has_more": False, "last_id": None})
        elif kind == "files":
            self.send(200, "application/octet-stream", self.endpoint.files[name.partition("/")[0]])
        else:
            super().do_GET()

    def _upload(self) -> None:
        self.endpoint.on_upload()
        body = self._whole_body()
        form = email.message_from_bytes(
            b"Content-Type: " + self.headers["content-type"].encode() + b"\r\n\r\n" + body
        )
        parts = {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
            for part in form.get_payload()
            if isinstance(part, Message)
        }
        assert parts["purpose"] == b"batch"
        content = parts["file"]
        assert isinstance(content, bytes)
        self.endpoint.uploads.append([json.loads(line) for line in content.splitlines()])
        self.json({"id": self.endpoint.store(content), "object": "file", "purpose": "batch"})

    def _whole_body(self) -> bytes:
        if "content-length" in self.headers:
            return self.rfile.read(int(self.headers["content-length"]))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)
