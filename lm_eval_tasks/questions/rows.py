"""Rows of a data set, each with the place where it stands: from local files or from the hub."""

from __future__ import annotations

import csv
import importlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from judges.errors import DataError

# In order of preference, where a folder has the same split in several forms.
SUFFIXES = (".jsonl", ".json", ".parquet", ".csv", ".txt")
SPLIT_WORDS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test",),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row and its place ("dev.jsonl, line 7"), for error messages.

    Attributes:
        values: Field -> value.
        place: Where it stands.
        problem: Why it could not be read; None for a row.
    """

    values: Mapping[str, Any]
    place: str
    problem: str | None = None


def find_files(folder: Path, split: str) -> list[Path]:
    """The files of a split in a folder, by ``SPLIT_WORDS`` in their names.

    A file whose whole name is the split's comes before one that has it as a word
    (``ARC-Challenge-Dev.jsonl``, ``train_subset.jsonl``); shards (``test-00000-of-00002.parquet``) belong
    together.

    Raises:
        DataError: If there is none, or more than one that could be meant.
    """
    words = SPLIT_WORDS.get(split, (split.lower(),))
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    whole = [path for path in files if path.stem.lower() in words]
    partial = [path for path in files if set(re.split(r"[-_. ]+", path.stem.lower())) & set(words)]
    named = whole or partial
    for suffix in SUFFIXES:
        found = [path for path in named if path.suffix.lower() == suffix]
        if len(found) == 1 or (found and all(re.search(r"-\d+-of-\d+$", path.stem) for path in found)):
            return found
        if found:
            raise DataError(
                f"{folder}: {', '.join(path.name for path in found)} could all be the {split} split; "
                "name one of them as data_dir"
            )
    present = ", ".join(path.name for path in files) or "no data file at all"
    raise DataError(
        f"{folder}: no file for the {split} split (named after {' or '.join(words)}, "
        f"ending in {' '.join(SUFFIXES)}); there is {present}. Another split is chosen with `split`"
    )


def read_rows(path: Path, *, keep_unreadable: bool = False) -> list[Row]:
    """All rows of one data file, by its suffix.

    Args:
        path: The file.
        keep_unreadable: Whether a line that holds no row becomes a row with a problem, not an error.

    Raises:
        DataError: If the file can't be read, holds something else than rows, or is empty.
    """
    readers = {
        ".jsonl": _json_lines,
        ".json": _json,
        ".parquet": _parquet,
        ".csv": _csv,
        ".txt": _logiqa_blocks,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: can't read {path.suffix or 'such'} files; known: {' '.join(SUFFIXES)}")
    try:
        rows = list(reader(path))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    if not rows:
        raise DataError(f"{path}: no rows in it")
    broken = next((row for row in rows if row.problem is not None), None)
    if broken is not None and not keep_unreadable:
        raise DataError(f"{broken.place}: {broken.problem}")
    return rows


def hub_rows(path: str, name: str | None, split: str, options: Mapping[str, Any], remedy: str) -> list[Row]:
    """All rows of a split of a data set on the hub (or of any other that ``datasets`` loads by name).

    Args:
        path: Data set, as ``datasets.load_dataset`` takes it.
        name: Its configuration.
        split: Its split.
        options: Further arguments (``revision``, ``data_files`` ...).
        remedy: What to do if it can't be loaded.

    Raises:
        DataError: If it can't be loaded, or has no rows.
    """
    import datasets

    files = options.get("data_files")
    where = " ".join(filter(None, [path, name, files.get(split) if isinstance(files, Mapping) else files]))
    try:
        table = datasets.load_dataset(path, name, split=split, **options)
    except Exception as error:  # noqa: BLE001  the hub's client raises anything, from OSError to bare ValueError
        reason = " ".join(str(error).split())[:300].rstrip(".") or type(error).__name__
        raise DataError(f"data set {where}, split {split}, can't be loaded: {reason}. {remedy}") from None
    rows = [Row(values, f"{where}, {split} row {position}") for position, values in enumerate(table)]
    if not rows:
        raise DataError(f"data set {where}, split {split}, has no rows")
    return rows


def made_rows(function: str, split: str, options: Mapping[str, Any]) -> list[Row]:
    """All rows of a split that a function makes (the harness's ``custom_dataset``).

    Args:
        function: Its full name, ``package.module.function``.
        split: Which of the splits that it returns.
        options: Its arguments.

    Raises:
        DataError: If there is no such function, it doesn't take the options, or it makes no such split.
    """
    module, _, name = function.rpartition(".")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DataError(f"custom_dataset {function}: {error}") from None
    try:
        splits = make(**options)
    except TypeError as error:
        raise DataError(f"custom_dataset {function}: {error}") from None
    if split not in splits:
        raise DataError(f"custom_dataset {function} makes no split {split!r}; it makes {', '.join(splits)}")
    return [Row(values, f"{function}, {split} row {place}") for place, values in enumerate(splits[split])]


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield _row(line, f"{path}, line {number}")


def _json(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8-sig")
    start = text.lstrip()[:1]
    if start == "{":  # JSON Lines under another name, as some data sets have it
        yield from _json_lines(path)
        return
    try:
        values = json.loads(text) if text.strip() else []
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, list):
        raise DataError(f"{path}: expected a list of rows, found {type(values).__name__}")
    for position, value in enumerate(values):
        yield _row_of(value, f"{path}, row {position}")


def _parquet(path: Path) -> Iterator[Row]:
    from pyarrow import ArrowException, parquet

    try:
        values = parquet.read_table(path).to_pylist()
    except ArrowException as error:
        raise DataError(f"{path}: not a Parquet file: {error}") from None
    for position, value in enumerate(values):
        yield Row(value, f"{path}, row {position}")


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            for value in reader:
                place = f"{path}, line {reader.line_num}"
                odd = None in value or None in value.values()
                yield Row(value, place, "other number of columns than in the first line" if odd else None)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: {error}") from None


def _logiqa_blocks(path: Path) -> Iterator[Row]:
    """LogiQA's text files: blank line, gold letter, passage, question and four choices, again and again."""
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    filled = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    for start in range(0, len(filled), 7):
        number = filled[start][0]
        block = [line for _, line in filled[start : start + 7]]
        if len(block) < 7 or not re.fullmatch(r"[A-Da-d]", block[0]):
            raise DataError(
                f"{path}, line {number}: expected a block of gold letter, passage, question and 4 choices"
            )
        answer, context, question, *options = block
        yield Row(
            {"context": context, "question": question, "options": options, "answer": answer},
            f"{path}, line {number}",
        )


def _row(text: str, place: str) -> Row:
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        return Row({}, place, f"not JSON: {error}")
    return _row_of(value, place)


def _row_of(value: Any, place: str) -> Row:
    if isinstance(value, Mapping):
        return Row(value, place)
    return Row({}, place, f"expected an object with fields, found {type(value).__name__}")


def listed(problems: Sequence[str], most: int = 5) -> str:
    """The first problems and the number of the others, on one line."""
    more = f"; and {len(problems) - most} more" if len(problems) > most else ""
    return "; ".join(problems[:most]) + more
