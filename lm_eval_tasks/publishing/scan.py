"""Looks through files for what must not go up: keys, internal addresses, paths of the user's own folders.

Escapes are undone first (JSON's, HTML's, those of addresses), so that a key in a notebook or an address in a
page is found as well. Of weights only the header is read; the words of a tokenizer are no addresses.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from judges.errors import ConfigError, DataError
from lm_eval_tasks.publishing.addresses import places_in
from lm_eval_tasks.publishing.keys import keys_in, own_keys

_BLOCK = 1 << 20
_HEADER_LIMIT = 100 * 2**20
_VOCABULARIES = {"tokenizer.json", "vocab.json", "vocab.txt", "merges.txt"}
_CODE = {".js", ".css"}
_NAMED = 5
"""Findings that an error names."""
_LONGEST = 60
_JSON_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")
_HTML_ESCAPE = re.compile(r"&(?:#\d{2,6}|#[xX][0-9a-fA-F]{2,6}|[A-Za-z]{2,8});")
_URL_ESCAPE = re.compile(r"%([2-7][0-9A-Fa-f])")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must not go up.

    Attributes:
        path: The file, within the folder.
        line: Its line, from 1.
        what: What it is.
        text: The text; of a key only how it begins.
        is_key: Whether it is a key.
    """

    path: str
    line: int
    what: str
    text: str
    is_key: bool

    def __str__(self) -> str:
        return f"{self.path} line {self.line}: {self.what} ({self.text})"


def check_folder(folder: Path, *, allowed: Sequence[str] = (), own: Sequence[Path] = ()) -> None:
    """Refuses a folder with keys or internal addresses in it.

    Args:
        folder: What would go up.
        allowed: Addresses and paths that may; a finding that holds one of them is none. Keys never may.
        own: Folders of this machine whose paths must not.

    Raises:
        ConfigError: With file, line, and what to do.
    """
    findings = [
        found
        for found in scan_folder(folder, own)
        if found.is_key or not any(text and text in found.text for text in allowed)
    ]
    if not findings:
        return
    shown = "; ".join(str(found) for found in findings[:_NAMED])
    more = f"; and {len(findings) - _NAMED} more" if len(findings) > _NAMED else ""
    keys = any(found.is_key for found in findings)
    places = any(not found.is_key for found in findings)
    what = " and ".join((["keys"] if keys else []) + (["internal addresses or paths"] if places else []))
    advice = []
    if keys:
        advice.append(
            "take the key out of what it came from, and have its service revoke it if others saw it"
        )
    if places:
        advice.append("take the address out of what it came from, or let it through with --allow TEXT")
    raise ConfigError(f"nothing was sent, {what} would go up: {shown}{more}; {'; '.join(advice)}")


def scan_folder(
    folder: Path, own: Sequence[Path] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Finding]:
    """All findings in a folder, file by file; names of files are looked at, too.

    Args:
        folder: The folder.
        own: Folders of this machine whose paths are to be found, beside the user's home.
        environment: Where keys of this machine are; None for this process's variables.
    """
    keys = own_keys(environment)
    folders = [Path.home(), *own]
    for path in files_of(folder):
        name = path.relative_to(folder).as_posix()
        yield from _in_text(name, 0, name, keys, (), name=True)
        for line, block in _blocks(path):
            yield from _in_text(name, line, block, keys, folders)


def files_of(folder: Path) -> list[Path]:
    """All files of a folder, in order.

    Raises:
        DataError: For a link that leads out of it: what it leads to would go up under its name.
    """
    found = []
    for root, _, names in os.walk(folder):
        found += [Path(root, name) for name in names]
    base = folder.resolve()
    for path in found:
        if path.is_symlink() and not path.resolve().is_relative_to(base):
            raise DataError(f"{path}: a link to {path.resolve()}, outside the folder; copy the file there")
    return sorted(found)


def _blocks(path: Path) -> Iterator[tuple[int, str]]:
    """Whole lines, about a megabyte at a time, each with the number of its first line."""
    with path.open("rb") as file:
        if path.suffix == ".safetensors":
            yield 1, _header(file)
            return
        encoding = _encoding(file)
        line = 1
        while block := file.read(_BLOCK):
            block += file.readline()
            if encoding != "utf-8":
                block += file.read()
            text = block.decode(encoding, errors="replace")
            yield line, text
            line += text.count("\n")


def _header(file: BinaryIO) -> str:
    size = int.from_bytes(file.read(8), "little")
    return file.read(min(size, _HEADER_LIMIT)).decode("utf-8", errors="replace")


def _encoding(file: BinaryIO) -> str:
    start = file.read(4)
    file.seek(0)
    return "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"


def _in_text(
    path: str,
    line: int,
    text: str,
    keys: Mapping[str, str],
    folders: Sequence[Path],
    *,
    name: bool = False,
) -> Iterator[Finding]:
    base = path.rpartition("/")[2]
    code = not name and Path(base).suffix in _CODE and path.startswith("assets/")
    words = not name and base in _VOCABULARIES
    found: dict[tuple[int, str, bool], str] = {}
    for form in _forms(text):
        for key in keys_in(form, keys):
            at = line + form.count("\n", 0, key.start)
            found.setdefault((at, form[key.start : key.end], True), key.what)
        for place in () if words or code or name else places_in(form, folders):
            at = line + form.count("\n", 0, place.start)
            what = "an internal address" if place.kind == "address" else "a path of this machine"
            found.setdefault((at, form[place.start : place.end], False), what)
    lines: dict[int, list[tuple[str, bool]]] = {}
    for at, shown, is_key in found:
        lines.setdefault(at, []).append((shown, is_key))
    for (at, shown, is_key), what in found.items():
        # A part of something longer is told with it; what is a key is none of an address, too.
        if any(shown != other and shown in other and is_key <= key for other, key in lines[at]):
            continue
        begins = shown[: _LONGEST if what == "a private key" or not is_key else 4]
        yield Finding(path, at, what, f"{begins}…" if is_key else begins, is_key)


def _forms(text: str) -> Iterator[str]:
    """A text as it stands, and with its escapes undone; lines stay lines."""
    yield text
    undone = text
    for _ in range(3):  # JSON in JSON
        if "\\" not in undone:
            break
        undone = _JSON_ESCAPE.sub(_of_json, undone)
    if "&" in undone:
        undone = _HTML_ESCAPE.sub(lambda found: _plain(html.unescape(found[0])), undone)
    if "%" in undone:
        undone = _URL_ESCAPE.sub(lambda found: chr(int(found[1], 16)), undone)
    if undone != text:
        yield undone


def _of_json(found: re.Match[str]) -> str:
    if found[1] is not None:
        return _plain(chr(int(found[1], 16)))
    return " " if found[2] in "nrtbf" else found[2]


def _plain(text: str) -> str:
    return " " if text.isspace() else text
