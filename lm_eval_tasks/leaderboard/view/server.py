"""Serves a site to browsers on this machine, and tells open pages when there is a newer one."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from markupsafe import Markup

from judges.errors import ConfigError
from lm_eval_tasks.leaderboard.view.live_site import LiveSite

HOST = "127.0.0.1"
STATUS = "/live.json"
_WAITING = Markup(
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta http-equiv="refresh" content="2"><title>Waiting for runs</title>'
    '<body style="font: 16px/1.55 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; '
    'padding: 0 1rem; color-scheme: light dark">'
    '<h1 style="font-size: 1.4rem">Nothing to show yet</h1><p>{}</p>'
    "<p>This page looks again every two seconds.</p>"
)


def serve(site: LiveSite, port: int) -> ThreadingHTTPServer:
    """A server that isn't running yet, on this machine's own address alone.

    Args:
        site: What it serves.
        port: 0 for any that is free.

    Raises:
        ConfigError: If the port is taken or not allowed.
    """
    try:
        server = ThreadingHTTPServer((HOST, port), partial(_Handler, site))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"--port {port}: {reason}; 0 takes any free port") from None
    server.daemon_threads = True
    return server


class _Handler(SimpleHTTPRequestHandler):
    """Files of the newest site, and its status."""

    def __init__(self, site: LiveSite, *arguments: Any) -> None:
        self._site = site
        super().__init__(*arguments, directory=str(site.folder or Path(".")))

    def send_head(self) -> BytesIO | IO[bytes] | None:  # type: ignore[override]
        """Refuses other names than this machine's: a page elsewhere could point its own name here."""
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in (HOST, "localhost"):
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, f"this server is {HOST} only")
            return None
        if self.path == STATUS:
            return self._said(json.dumps(asdict(self._site.status)), "application/json")
        if self._site.folder is None:
            note = self._site.status.note or f"{self._site.runs} is being read."
            return self._said(_WAITING.format(note), "text/html")
        return super().send_head()

    def list_directory(self, path: Any) -> None:
        """No listings: every folder of a site is reached by its pages."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        """A page is never older than the site."""
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing of requests."""

    def _said(self, text: str, kind: str) -> BytesIO:
        content = text.encode("utf-8")
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return BytesIO(content)
