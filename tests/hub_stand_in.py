"""A small stand-in of the hub's HTTP API, for the real ``huggingface_hub`` client: repositories in memory.

It knows accounts, creating, listing, committing and the upload of large files, refuses cards whose front
matter isn't right, and breaks off where a test says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import yaml

TOKEN = "hf_" + "standinTokenOfTheTests0123"
ME, ORGS = "someone", ("lab",)
_OF_REPO = re.compile(r"/api/(models|datasets|spaces)/([\w.-]+/[\w.-]+)(?:/(\w+)/main)?")
_BATCH = re.compile(r"/(?:(?:datasets|spaces)/)?[\w.-]+/[\w.-]+\.git/info/lfs/objects/batch")
_RELATIONS = {"adapter", "finetune", "merge", "quantized"}
_LARGE = 1 << 20


@dataclass
class StoredRepository:
    """One repository: its files, and the commits that made them."""

    private: bool
    sdk: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    large: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=lambda: ["initial commit"])


class Hub:
    """What the stand-in holds, and what it was asked.

    Attributes:
        url: Its address.
        repositories: ``models/ORG/NAME`` ... -> repository.
        objects: Large files by hash.
        cards: Front matter that the hub has of models, by name, for ``model_info``.
        requests: Method and path of every request.
        breaks: Requests at which the connection ends, as a part of the path.
        statuses: Part of a path -> status that is answered.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.repositories: dict[str, StoredRepository] = {}
        self.objects: dict[str, bytes] = {}
        self.cards: dict[str, dict[str, Any]] = {}
        self.requests: list[str] = []
        self.breaks: set[str] = set()
        self.statuses: dict[str, int] = {}

    def asked(self, part: str) -> int:
        """How many requests had this in method and path."""
        return sum(part in request for request in self.requests)


@contextmanager
def running_hub() -> Iterator[Hub]:
    """A stand-in on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.hub  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined, no-any-return]

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.hub.requests.append(f"{self.command} {path}")
        if any(part in path for part in self.hub.breaks):
            self.close_connection = True
            self.connection.shutdown(2)
            return
        status = next((code for part, code in self.hub.statuses.items() if part in path), None)
        if status is not None:
            self._answer(status, {"error": f"status {status} as asked for"})
        elif path == "/api/validate-yaml":
            self._validate(json.loads(body))
        elif path.startswith("/objects/"):
            content = path.rpartition("/")[2]
            assert hashlib.sha256(body).hexdigest() == content
            self.hub.objects[content] = body
            self._answer(200, {})
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid credentials in Authorization header"})
        elif path == "/api/whoami-v2":
            self._answer(200, {"name": ME, "type": "user", "orgs": [{"name": name} for name in ORGS]})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif _BATCH.fullmatch(path):
            self._batch(json.loads(body))
        elif found := _OF_REPO.fullmatch(path):
            self._of_repository(f"{found[1]}/{found[2]}", found[3], body)
        else:
            self._answer(404, {"error": f"no {path} in this stand-in"})

    def _answer(self, status: int, value: Any, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, text)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(body)

    def _create(self, wanted: dict[str, Any]) -> None:
        owner = wanted.get("organization") or ME
        if owner not in (ME, *ORGS):
            message = f"You don't have the rights to create a model under the namespace {owner!r}"
            return self._answer(403, {"error": message})
        kind = wanted.get("type", "model")
        key = f"{kind}s/{owner}/{wanted['name']}"
        prefix = "" if kind == "model" else f"{kind}s/"
        url = {"url": f"{self.hub.url}/{prefix}{owner}/{wanted['name']}"}
        if key in self.hub.repositories:
            return self._answer(409, {"error": "You already created this repo", **url})
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        made = StoredRepository(private, wanted.get("sdk"), {".gitattributes": b"*.bin filter=lfs\n"})
        if kind == "space":
            made.files |= {"README.md": b"---\nsdk: static\n---\n", "style.css": b"body {}\n"}
        self.hub.repositories[key] = made
        return self._answer(200, url)

    def _of_repository(self, key: str, what: str | None, body: bytes) -> None:
        name = key.partition("/")[2]
        if what is None and name in self.hub.cards:
            return self._answer(
                200, {"id": name, "private": False, "tags": [], "cardData": self.hub.cards[name]}
            )
        held = self.hub.repositories.get(key)
        if held is None:
            return self._answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        if what in (None, "revision"):
            sha = f"{len(held.commits):040x}"
            return self._answer(200, {"id": name, "private": held.private, "tags": [], "sha": sha})
        if what == "commits":
            return self._answer(200, [_commit(title) for title in reversed(held.commits)])
        if what == "tree":
            return self._answer(200, [_entry(held, path) for path in sorted(held.files)])
        if what == "preupload":
            asked = json.loads(body)["files"]
            return self._answer(200, {"files": [_mode(held, file) for file in asked]})
        assert what == "commit"
        return self._commit(key, held, [json.loads(line) for line in body.splitlines()])

    def _commit(self, key: str, held: StoredRepository, lines: list[dict[str, Any]]) -> None:
        title = ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                title = value["summary"]
            elif line["key"] == "file":
                held.files[value["path"]] = base64.b64decode(value["content"])
                held.large.discard(value["path"])
            elif line["key"] == "lfsFile":
                held.files[value["path"]] = self.hub.objects[value["oid"]]
                held.large.add(value["path"])
            elif line["key"] == "deletedFile":
                del held.files[value["path"]]
        held.commits.append(title)
        oid = f"{len(held.commits):040x}"
        self._answer(
            200, {"commitUrl": f"{self.hub.url}/{key}/commit/{oid}", "commitOid": oid, "success": True}
        )

    def _batch(self, wanted: dict[str, Any]) -> None:
        objects = []
        for one in wanted["objects"]:
            found = {"oid": one["oid"], "size": one["size"]}
            if one["oid"] not in self.hub.objects:
                found["actions"] = {"upload": {"href": f"{self.hub.url}/objects/{one['oid']}"}}
            objects.append(found)
        self._answer(200, {"transfer": "basic", "objects": objects})

    def _validate(self, asked: dict[str, Any]) -> None:
        errors = card_errors(asked["content"], asked["repoType"])
        status = 400 if errors else 200
        self._answer(status, {"errors": [{"message": text} for text in errors], "warnings": []})


def card_errors(content: str, kind: str) -> list[str]:
    """What is wrong with a card, by the rules of the hub that concern us."""
    found = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
    if found is None:
        return ["no front matter"]
    head = yaml.safe_load(found[1])
    errors = [
        f'"{key}" must be a string'
        for key in ("license", "pipeline_tag", "library_name")
        if not isinstance(head.get(key, ""), str)
    ]
    errors += [
        f'"{key}" must be a list'
        for key in ("tags", "datasets", "language")
        if not isinstance(head.get(key, []), list)
    ]
    if head.get("base_model_relation", "adapter") not in _RELATIONS:
        errors.append('"base_model_relation" must be one of adapter, finetune, merge, quantized')
    if head.get("license") == "other" and kind == "model" and "license_name" not in head:
        errors.append('"license_name" is required with license other')
    for entry in head.get("model-index", []):
        for result in entry.get("results", []):
            missing = [key for key in ("task", "dataset", "metrics") if not result.get(key)]
            missing += [key for key in ("type", "name") if not result.get("dataset", {}).get(key)]
            missing += [
                key for metric in result.get("metrics", []) for key in ("type", "value") if key not in metric
            ]
            errors += [f'"model-index" lacks {key}' for key in missing]
    if kind == "space" and head.get("sdk") not in ("static", "gradio", "docker"):
        errors.append('"sdk" must be one of static, gradio, docker')
    for key in ("colorFrom", "colorTo"):
        if kind == "space" and head.get(key, "red") not in (
            "red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray",
        ):  # fmt: skip
            errors.append(f'"{key}" is no colour of the hub')
    return errors


def _commit(title: str) -> dict[str, Any]:
    author = {"user": ME}
    return {
        "id": "0" * 40,
        "title": title,
        "message": "",
        "authors": [author],
        "date": "2026-01-01T00:00:00.000Z",
    }


def _entry(held: StoredRepository, path: str) -> dict[str, Any]:
    content = held.files[path]
    entry = {"type": "file", "path": path, "size": len(content), "oid": _oid(held, path)}
    if path in held.large:
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


def _mode(held: StoredRepository, file: dict[str, Any]) -> dict[str, Any]:
    path = file["path"]
    large = path.endswith(".safetensors") or file["size"] > _LARGE
    known = {"oid": _oid(held, path)} if path in held.files else {}
    return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False, **known}


def _oid(held: StoredRepository, path: str) -> str:
    content = held.files[path]
    if path in held.large:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
