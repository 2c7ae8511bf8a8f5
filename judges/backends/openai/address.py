"""Addresses of endpoints: where ``/v1`` belongs, and which of them are Azure's."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_VERSION = re.compile(r"/v\d+\w*\Z")
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")


def other_address(base: str) -> str | None:
    """The same address with ``/v1`` where it has none, or without; None for a deployment's own."""
    if azure(base):
        return None
    parts = urlsplit(base)
    path = _VERSION.sub("", parts.path) if _VERSION.search(parts.path) else f"{parts.path}/v1"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def azure(url: str) -> bool:
    """Whether an address is one of Azure's, which takes its key in a header of its own."""
    parts = urlsplit(url)
    return "/openai/deployments/" in parts.path or (parts.hostname or "").endswith(_AZURE_HOSTS)
