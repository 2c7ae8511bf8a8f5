"""The provider's side of a batch: files, batches, and what their answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judges.backends.openai.batch.folder import PATH
from judges.backends.openai.complaints import error_text
from judges.backends.openai.endpoint import Endpoint
from judges.backends.openai.http import HttpAnswer, NoAnswerError
from judges.errors import BackendError, EndpointDownError

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_UNDER_WAY = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
_MARK = "anchored_explanations"
_PAGES = 20
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How a batch stands at the provider.

    Attributes:
        id: The provider's.
        status: In the provider's word.
        done: Lines that are answered.
        lines: All lines, as the provider counts them; 0 before it has.
        output: File with the replies, if there is one.
        errors: File with the lines that failed, if there is one.
        reason: Why all of it failed, if it did.
    """

    id: str
    status: str
    done: int
    lines: int
    output: str | None
    errors: str | None
    reason: str


class BatchService:
    """Files and batches of one endpoint; works on its event loop.

    Args:
        endpoint: The endpoint.
        patience: Seconds for which it may fail to answer.
    """

    def __init__(self, endpoint: Endpoint, patience: float) -> None:
        self._endpoint = endpoint
        self._patience = patience

    async def upload(self, path: Path, name: str) -> str:
        """Uploads requests; returns the file's id. Costs nothing, also when done twice."""
        base, http = self._endpoint.base, self._endpoint.http
        answer = await self._insist(
            lambda: http.upload(f"{base}/files", path, f"{name}.jsonl", {"purpose": "batch"}), "upload"
        )
        return self._id(answer, "the upload")

    async def make(self, file: str, name: str) -> str | None:
        """Has a batch made of a file; returns its id, or None if it isn't known whether there is one now."""
        body = {
            "input_file_id": file,
            "endpoint": PATH,
            "completion_window": "24h",
            "metadata": {_MARK: name},
        }
        try:
            answer = await self._endpoint.http.post(f"{self._endpoint.base}/batches", body)
        except NoAnswerError:
            return None
        if answer.status >= 500 or answer.status in {408, 409, 429}:
            return None
        return self._id(answer, "batches")

    async def find(self, name: str) -> str | None:
        """The id of the batch of that name; None if the provider has none."""
        after = ""
        for _ in range(_PAGES):
            page = await self._page(f"batches?limit=100{after}", "the list of batches")
            for row in page.get("data") or ():
                if isinstance(row, Mapping) and (row.get("metadata") or {}).get(_MARK) == name:
                    return str(row["id"])
            last = page.get("last_id")
            if not page.get("has_more") or not isinstance(last, str):
                return None
            after = f"&after={last}"
        return None

    async def look(self, batch: str) -> Standing:
        """How a batch stands."""
        found = await self._page(f"batches/{batch}", f"batch {batch}")
        status = str(found.get("status"))
        if status not in ENDED | _UNDER_WAY:
            raise BackendError(f"{self._endpoint.url}: batch {batch} has the unknown status {status!r}")
        counts = found.get("request_counts") or {}
        done = int(counts.get("completed") or 0) + int(counts.get("failed") or 0)
        errors = (found.get("errors") or {}).get("data") or ()
        reasons = [str(one.get("message") or one.get("code")) for one in errors if isinstance(one, Mapping)]
        return Standing(
            batch,
            status,
            done,
            int(counts.get("total") or 0),
            found.get("output_file_id") or None,
            found.get("error_file_id") or None,
            self._endpoint.safe("; ".join(reasons[:2])),
        )

    async def content(self, file: str) -> str:
        """What a file holds, without keys that the provider may repeat: it is kept on disk."""
        base, http = self._endpoint.base, self._endpoint.http
        answer = await self._insist(lambda: http.get(f"{base}/files/{file}/content", 600.0), f"file {file}")
        self._check(answer, f"file {file}")
        return self._endpoint.masked(answer.text)

    async def _page(self, path: str, what: str) -> Mapping[str, Any]:
        base, http = self._endpoint.base, self._endpoint.http
        return self._object(await self._insist(lambda: http.get(f"{base}/{path}", 60.0), what), what)

    async def _insist(self, ask: Callable[[], Awaitable[HttpAnswer]], what: str) -> HttpAnswer:
        """Asks until there is an answer that isn't about the provider's own troubles."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._patience, 0.5
        while True:
            try:
                answer = await ask()
                if answer.status < 500 and answer.status not in {408, 425, 429}:
                    return answer
                said = f"{answer.status}: {self._endpoint.safe(error_text(answer.json))}"
            except NoAnswerError as error:
                said = self._endpoint.safe(str(error))
            if loop.time() + pause > until:
                raise EndpointDownError(
                    f"{self._endpoint.url}: {what}: {said}; what was sent goes on there: run again, and "
                    "nothing of it is asked twice"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _id(self, answer: HttpAnswer, what: str) -> str:
        if answer.status in {404, 405}:
            what += ", so it may have no batch interface: then leave batch out of the judge file"
        found = self._object(answer, what).get("id")
        if not isinstance(found, str) or not found:
            raise BackendError(f"{self._endpoint.url}: {what}: the answer has no id")
        return found

    def _object(self, answer: HttpAnswer, what: str) -> Mapping[str, Any]:
        self._check(answer, what)
        found = answer.json
        if not isinstance(found, Mapping):
            raise BackendError(f"{self._endpoint.url}: {what}: no JSON object came back")
        return found

    def _check(self, answer: HttpAnswer, what: str) -> None:
        if answer.status >= 300:
            said = self._endpoint.safe(error_text(answer.json))
            raise BackendError(f"{self._endpoint.url} refused {what} ({answer.status}: {said})")
