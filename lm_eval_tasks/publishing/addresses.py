"""Addresses that only an own network knows, and paths of a user's own folders."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LEFT_OUT = {"address": "(address left out)", "path": "(path left out)"}

_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/32",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::/128",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
_SUFFIX = r"(?:local|internal|localdomain|localhost|lan|intranet|corp|home\.arpa|ts\.net)"
_INTERNAL_NAME = re.compile(rf"localhost|(?:[\w-]+\.)+{_SUFFIX}", re.IGNORECASE)
# From the colon on: what stands before it is looked at where there is one.
_URL = re.compile(
    r"://(?:[^\s/@\"'<>`\\]*@)?(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+)(?P<port>:\d{1,5})?"
    r"(?:[/?#][^\s\"'<>`)\]}|,\\]*)?"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}$")
# Where the word behind it is a host: s3://BUCKET is none.
_SERVED = re.compile(r"(?:https?|wss?|grpc|tcp|rediss?|amqps?|postgres(?:ql)?|mysql|mongodb)", re.IGNORECASE)
_FILE_URL = re.compile(r"(?i)\bfile://[^\s\"'<>`]+")
_NAME_AND_PORT = re.compile(
    rf"(?<![\w.@/-])(?:localhost|(?:[A-Za-z0-9_-]+\.)+{_SUFFIX}):\d{{2,5}}(?!\d)", re.IGNORECASE
)
_ENDING = re.compile(rf"{_SUFFIX}:\d")
# As judges are named: MODEL@HOST:PORT, HOST:PORT/v1.
_SHORT = re.compile(
    r"(?:(?<=@)[A-Za-z][\w-]*:\d{2,5}|(?<![\w.@/:-])[A-Za-z][\w-]*:\d{2,5}/v\d)(?!\d)(?:/[\w/.-]*)?"
)
_BARE_NAME = re.compile(r"(?<![\w.-])localhost(?![\w-])", re.IGNORECASE)
# Lower case, and no code behind it: "the force.Internal energy" and "threading.local()" are no hosts.
_BARE_SUFFIX = re.compile(
    r"(?<![\w.-])[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*\.(?:local|internal)(?![\w(\[-]|\.\w|\s*=)"
)
_IPV4 = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w]|\.\d)(?::\d{2,5}(?!\d))?")
_WITHIN = re.compile(r"[\w.]")
_IPV6 = re.compile(r"(?i)(?<![\w:.])\[?(?:f[cd][0-9a-f]{2}|fe80):[0-9a-f:]+(?:%\w+)?\]?")

_IPV6_START = re.compile(r"f[cd][0-9a-f]{2}:|fe80:")

_HOME = re.compile(r"(?<![\w.])/(?:home|Users)/[^\s/\"'<>`:,;)\]}|]+(?:/[^\s\"'<>`:,;)\]}|]*)?")
_ROOT = re.compile(r"(?<![\w./-])/root(?:/[\w.@+-]+)+/?")
_WINDOWS = re.compile(r"(?<![A-Za-z])[A-Za-z]:[\\/]{1,2}Users[\\/]{1,2}[^\s\\/\"'<>`]+", re.IGNORECASE)
_SETTING = re.compile(
    r"(?:path|file|dir|folder)[\"']?\s*[:=]\s*[\"']?(?P<path>(?:/|~/|[A-Za-z]:\\)[\w.@+~-]+[\\/][^\s\"'`,}\]]*)"
)
_ANY_PATH = re.compile(r"(?<![\w/.@-])~?(?:/[\w.@+-]+){2,}/?")


@dataclass(frozen=True, slots=True)
class Place:
    """An address or a path in a text.

    Attributes:
        kind: Which of the two.
        start: Where it begins.
        end: Where it ends.
    """

    kind: Literal["address", "path"]
    start: int
    end: int


def places_in(text: str, own: Sequence[Path] = ()) -> Iterator[Place]:
    """Every internal address and every path of a user's folder in a text; one may be found several times.

    Args:
        text: The text.
        own: Folders of this machine that are to be found, too.
    """
    lower = text.lower()
    if "://" in text:
        for found in _URL.finditer(text):
            scheme = _SCHEME.search(text[max(0, found.start() - 20) : found.start()])
            served = scheme is not None and _SERVED.fullmatch(scheme[0]) is not None
            if _internal(found["host"], one_word=served):
                begin = found.start() - (0 if scheme is None else len(scheme[0]))
                yield Place("address", begin, found.end())
        if "file://" in lower:
            for found in _FILE_URL.finditer(text):
                yield Place("path", *found.span())
    patterns = [_BARE_NAME] if "localhost" in lower else []
    if any(ending in lower for ending in (".local", ".internal")):
        patterns.append(_BARE_SUFFIX)
    if _ENDING.search(lower):
        patterns.append(_NAME_AND_PORT)
    if "@" in text or "/v" in text:
        patterns.append(_SHORT)
    for pattern in patterns:
        for found in pattern.finditer(text):
            yield Place("address", *found.span())
    numbers = [_IPV4, _IPV6] if _IPV6_START.search(lower) else [_IPV4]
    for pattern in numbers:
        for found in pattern.finditer(text):
            before = text[max(0, found.start() - 1) : found.start()]
            if pattern is _IPV4 and _WITHIN.match(before):
                continue
            if _internal(found[0].partition(":")[0] if pattern is _IPV4 else found[0]):
                yield Place("address", *found.span())
    paths = (("/home/", _HOME), ("/users/", _HOME), ("/root/", _ROOT), ("users", _WINDOWS))
    for pattern in dict.fromkeys(pattern for sign, pattern in paths if sign in lower):
        for found in pattern.finditer(text):
            yield Place("path", *found.span())
    for found in _SETTING.finditer(text):
        yield Place("path", *found.span("path"))
    for folder in _known(own):
        for found in re.finditer(rf"(?<![\w.]){re.escape(folder)}(?![\w.-])[^\s\"'<>`:,;)\]}}|]*", text):
            yield Place("path", *found.span())


def without_places(text: str) -> str:
    """A text of our own without internal addresses and without any path of this machine."""
    found = [*places_in(text), *(Place("path", *match.span()) for match in _ANY_PATH.finditer(text))]
    parts, end = [], 0
    for place in sorted(found, key=lambda place: (place.start, -place.end)):
        if place.start >= end:
            parts += [text[end : place.start], LEFT_OUT[place.kind]]
        end = max(end, place.end)
    return "".join([*parts, text[end:]])


def _internal(host: str, *, one_word: bool = False) -> bool:
    """Whether only an own network knows a host: by its number or its ending, or as a single word."""
    host = host.strip("[]").partition("%")[0].rstrip(".")
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        if _INTERNAL_NAME.fullmatch(host):
            return True
        # A single word in capitals stands for a name.
        return one_word and "." not in host and not host.isupper() and len(host) > 1
    mapped = getattr(number, "ipv4_mapped", None) or number
    return any(mapped in network for network in _NETWORKS)


def _known(own: Sequence[Path]) -> list[str]:
    """Folders as they may be written; none that is nothing but a top-level folder."""
    spelt = {str(form) for folder in own for form in (folder, folder.resolve()) if form.is_absolute()}
    return sorted((text for text in spelt if len(Path(text).parts) > 2), key=len, reverse=True)
