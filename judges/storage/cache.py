"""What a judge answered before: one SQLite file, safe between processes and against sudden death.

A reply is found again by the whole request (backend, model and address, conversation, every sampling
setting, output form), the rubric's fingerprint and the sample's index. Replies are stored raw, so that a
better parser reads old ones anew. A reply is on disk, out of reach of ``kill -9``, when ``put`` returns.
The file must lie on a local disk: SQLite's write-ahead log doesn't work on network file systems.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from judges.errors import DataError
from judges.records import BackendIdentity, Completion, Conversation, Reply, Sampling, Usage

_FORMAT = 1
_APPLICATION_ID = 0x414E4345  # "ANCE": tells our files from other SQLite files
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS askings (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    backend TEXT NOT NULL,
    rubric TEXT NOT NULL,
    request TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS replies (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    asking INTEGER NOT NULL REFERENCES askings (id),
    text TEXT NOT NULL,
    finish_reason TEXT NOT NULL,
    has_verdict INTEGER NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cached_prompt_tokens INTEGER,
    attempts INTEGER NOT NULL,
    seconds REAL NOT NULL,
    created REAL NOT NULL
);
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_FORMAT};
COMMIT;
"""
_GET = """
SELECT text, finish_reason, prompt_tokens, completion_tokens, cached_prompt_tokens, attempts, seconds
FROM replies WHERE key = ?
"""
# Of two processes that asked the same, the one without a verdict never overwrites the one with.
_PUT = """
INSERT INTO replies (key, asking, text, finish_reason, has_verdict, prompt_tokens, completion_tokens,
                     cached_prompt_tokens, attempts, seconds, created)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    text = excluded.text, finish_reason = excluded.finish_reason, has_verdict = excluded.has_verdict,
    prompt_tokens = excluded.prompt_tokens, completion_tokens = excluded.completion_tokens,
    cached_prompt_tokens = excluded.cached_prompt_tokens, attempts = excluded.attempts,
    seconds = excluded.seconds, created = excluded.created
WHERE excluded.has_verdict >= replies.has_verdict
"""
_REMEDIES = (
    ("locked", "another process holds it locked; wait for it to end"),
    ("not a database", "it is no SQLite file; move it away or name another cache"),
    ("malformed", "it is damaged; move it away (its replies will be asked for again)"),
    ("full", "the disk is full; free some space and run again, what was answered is stored"),
    ("readonly", "it can't be written; name another cache (ANCHOR_CACHE=FILE)"),
    ("unable to open", "it can't be opened or created there; name another cache (ANCHOR_CACHE=FILE)"),
    ("disk i/o", "the disk reports an error; name another cache (ANCHOR_CACHE=FILE)"),
)


def default_cache_path() -> Path:
    """``ANCHOR_CACHE`` if set, else ``anchored-explanations/replies.sqlite`` in the user's cache folder."""
    if chosen := os.environ.get("ANCHOR_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        folder = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        folder = Path.home() / "Library" / "Caches"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return folder / "anchored-explanations" / "replies.sqlite"


@dataclass(frozen=True, slots=True)
class Asking:
    """What all requests of one judge have in common: the first part of every key.

    Attributes:
        id: Row in this cache file.
        digest: Hash of backend, sampling and rubric.
    """

    id: int
    digest: bytes

    def key(self, conversation: Conversation, sample: int = 0) -> bytes:
        """The key of one reply: 16 bytes."""
        content = json.dumps([[m.role, m.content] for m in conversation] + [sample], ensure_ascii=False)
        return _digest(self.digest, content)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache file holds.

    Attributes:
        path: The file.
        bytes: Size on disk, write-ahead log included.
        replies: Stored replies.
        with_verdict: Of these, those that were read as verdicts when they were stored; only such are hits.
        by_judge: (backend and model, rubric, replies), most replies first.
    """

    path: Path
    bytes: int
    replies: int
    with_verdict: int
    by_judge: tuple[tuple[str, str, int], ...]


class ReplyCache:
    """Stored replies. May be used by several threads.

    Args:
        path: The file, created with its folder if absent; None for a private one that is gone on ``close``.
        patience: Seconds to wait for another process that is writing.

    Raises:
        DataError: If the file can't be used: locked, damaged, read-only, of another program or version.
    """

    def __init__(self, path: Path | None, *, patience: float = 60.0) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._one_line_errors():
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            # Autocommit: every statement is a transaction of its own, done when `execute` returns.
            self._connection = sqlite3.connect(
                "" if path is None else path, timeout=patience, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare(patience)
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, patience: float) -> None:
        application, version = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        )
        if application not in (0, _APPLICATION_ID):
            raise DataError(f"cache {self.path}: it belongs to another program; name another cache")
        if version > _FORMAT:
            raise DataError(
                f"cache {self.path}: written by a newer version of anchored-explanations; upgrade"
            )
        self._write_ahead(patience)
        # NORMAL: a commit survives the death of the process without waiting for the disk each time.
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("PRAGMA cache_size = -8000")  # KiB; the system caches the file as well
        if version < _FORMAT:
            self._connection.executescript(_SCHEMA)

    def _write_ahead(self, patience: float) -> None:
        """Turns on the write-ahead log; SQLite itself does not wait for others that open a new file, too."""
        deadline = time.monotonic() + patience
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def asking(
        self, identity: BackendIdentity, sampling: Sampling, rubric: str, rubric_name: str = ""
    ) -> Asking:
        """Registers what a judge's requests have in common.

        Args:
            identity: The backend.
            sampling: How it replies.
            rubric: The rubric's fingerprint.
            rubric_name: What people call it; the statistics show it beside the start of the fingerprint.
        """
        shown = f"{rubric_name} ({rubric[:8]})" if rubric_name else rubric
        how = asdict(sampling)
        if not sampling.thinking_tokens:
            del how["thinking_tokens"]  # keys are as they were before there was this setting
        request = json.dumps({"backend": asdict(identity), "sampling": how, "rubric": rubric}, sort_keys=True)
        digest = _digest(b"", request)
        with self._in_use():
            self._connection.execute(
                "INSERT INTO askings (digest, backend, rubric, request) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (digest) DO UPDATE SET rubric = excluded.rubric",
                (digest, str(identity), shown, request),
            )
            row = self._connection.execute("SELECT id FROM askings WHERE digest = ?", (digest,)).fetchone()
        return Asking(row[0], digest)

    def get(self, key: bytes) -> Reply | None:
        """The stored reply, if any; whether it can be read as verdicts is for the reader to see."""
        with self._in_use():
            row = self._connection.execute(_GET, (key,)).fetchone()
        if row is None:
            return None
        text, finish_reason, prompt_tokens, completion_tokens, cached_tokens, attempts, seconds = row
        # A prompt of no tokens is one whose tokens weren't told: earlier versions stored zeros then.
        usage = Usage(prompt_tokens, completion_tokens, cached_tokens) if prompt_tokens else None
        return Reply((Completion(text, finish_reason),), usage, attempts, seconds)

    def put(self, asking: Asking, key: bytes, reply: Reply, *, has_verdict: bool) -> None:
        """Stores the first completion of a reply; it is safe when this returns."""
        with self._in_use():
            self._connection.execute(_PUT, _row(asking, key, reply, has_verdict))

    def put_all(self, replies: Iterable[tuple[Asking, bytes, Reply]]) -> None:
        """Stores the first completions of replies, all of them or none; they are safe when this returns."""
        rows = [_row(asking, key, reply, True) for asking, key, reply in replies]
        with self._in_use():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(_PUT, rows)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def has_verdicts(self, asking: Asking) -> bool:
        """Whether any reply to such requests was read as verdicts."""
        with self._in_use():
            found = self._connection.execute(
                "SELECT 1 FROM replies WHERE asking = ? AND has_verdict LIMIT 1", (asking.id,)
            ).fetchone()
        return found is not None

    def stats(self) -> CacheStats:
        """What is in it."""
        with self._in_use():
            replies, with_verdict = self._connection.execute(
                "SELECT count(*), coalesce(sum(has_verdict), 0) FROM replies"
            ).fetchone()
            by_judge = self._connection.execute(
                "SELECT backend, rubric, count(*) AS n FROM replies JOIN askings ON askings.id = asking"
                " GROUP BY backend, rubric ORDER BY n DESC, backend, rubric"
            ).fetchall()
        path = self.path or Path()
        files = [path, path.with_name(path.name + "-wal")] if self.path else []
        size = sum(file.stat().st_size for file in files if file.exists())
        return CacheStats(path, size, replies, with_verdict, tuple(by_judge))

    def clear(self) -> int:
        """Deletes all replies and gives the space back; returns how many there were."""
        with self._in_use():
            deleted = self._connection.execute("DELETE FROM replies").rowcount
            self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return deleted

    def close(self) -> None:
        """Closes the file. A second call does nothing."""
        self._connection.close()

    def __enter__(self) -> ReplyCache:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock, self._one_line_errors():
            yield

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"cache {self.path}: {error.strerror or error}") from None
        except sqlite3.Error as error:
            problem = str(error)
            remedy = next((text for sign, text in _REMEDIES if sign in problem.casefold()), problem)
            raise DataError(f"cache {self.path or '(private)'}: {remedy}") from None


def _row(asking: Asking, key: bytes, reply: Reply, has_verdict: bool) -> tuple[Any, ...]:
    completion, usage = reply.completions[0], reply.usage
    tokens: Sequence[int | None] = (
        (None, None, None)
        if usage is None
        else (usage.prompt_tokens, usage.completion_tokens, usage.cached_prompt_tokens)
    )
    # A lone surrogate can't be written as UTF-8.
    text = completion.text.encode("utf-8", "replace").decode("utf-8")
    row = (key, asking.id, text, completion.finish_reason, has_verdict)
    return (*row, *tokens, reply.attempts, reply.seconds, time.time())


def _digest(start: bytes, content: str) -> bytes:
    return hashlib.blake2b(start + content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
