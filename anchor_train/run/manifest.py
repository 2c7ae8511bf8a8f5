"""Which stages of a run are finished, from what, with which settings: the memory behind resuming.

A stage counts as finished if the manifest says so and its inputs, settings and outputs are, by content, still
those that the manifest names.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from judges.errors import DataError
from judges.storage.files import content_hash, read_object, write_json
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import Json

FORMAT = 1
VERSIONED = (
    "anchored-explanations",
    *("torch", "transformers", "peft", "trl", "accelerate", "vllm", "lm-eval", "datasets"),
)


@dataclass(frozen=True, slots=True)
class OutputRecord:
    """A file or folder that a stage left.

    Attributes:
        sha256: Hash of its content.
        stamp: Sizes and times of its files: while these are the same, the content isn't read again.
    """

    sha256: str
    stamp: str

    @staticmethod
    def of(path: Path) -> OutputRecord:
        """Reads a file or folder."""
        return OutputRecord(content_hash(path), _stamp(path))

    def still_is(self, path: Path) -> bool:
        """Whether the path holds the same content."""
        if not path.exists():
            return False
        return self.stamp == _stamp(path) or self.sha256 == content_hash(path)


@dataclass(frozen=True, slots=True)
class StageRecord(JsonRecord):
    """A finished stage.

    Attributes:
        settings: Dotted name -> value of every setting that its result depends on.
        inputs: Name -> content hash of everything it read.
        outputs: Path within the stage's folder -> what it left there.
        summary: Counts, costs and results, for ``status``.
        finished: ISO 8601, UTC.
        seconds: Wall-clock time, of the last attempt.
        versions: Distribution -> version.
    """

    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    outputs: Mapping[str, OutputRecord]
    summary: Json
    finished: str
    seconds: float
    versions: Mapping[str, str]

    @property
    def content(self) -> str:
        """Hash of its outputs: what later stages depend on."""
        return "+".join(f"{name}={record.sha256[:16]}" for name, record in sorted(self.outputs.items()))


@dataclass(frozen=True, slots=True)
class Manifest:
    """The finished stages of a run, by key."""

    stages: Mapping[str, StageRecord]

    @staticmethod
    def load(path: Path) -> Manifest:
        """Reads a manifest; one that isn't there is empty.

        Raises:
            DataError: If it can't be read.
        """
        if not path.exists():
            return Manifest({})
        row = read_object(path)
        if row.get("format") != FORMAT:
            raise DataError(f"{path}: format {row.get('format')!r} is not the {FORMAT} of this version")
        try:
            return Manifest({key: StageRecord.from_json(stage) for key, stage in row["stages"].items()})
        except (KeyError, ValueError, AttributeError) as error:
            raise DataError(f"{path}: not a manifest ({error})") from None

    def save(self, path: Path) -> None:
        """Writes it, whole or not at all."""
        write_json(
            path, {"format": FORMAT, "stages": {key: row.to_json() for key, row in self.stages.items()}}
        )

    def with_stage(self, key: str, record: StageRecord) -> Manifest:
        """A copy in which this stage is finished."""
        return replace(self, stages={**self.stages, key: record})


def changes(
    record: StageRecord, settings: Mapping[str, Any], inputs: Mapping[str, str], folder: Path
) -> Iterator[str]:
    """What isn't any more as it was when a stage finished; nothing if the stage still counts.

    Args:
        record: Of the finished stage.
        settings: As they are now.
        inputs: As they are now.
        folder: The stage's folder.
    """
    for name in sorted({*record.settings, *settings}):
        before, now = record.settings.get(name), settings.get(name)
        # A setting that came with a newer version, or went, changes nothing while it is empty.
        if before != now and ((name in record.settings and name in settings) or before or now):
            yield f"{name}: {_shown(before)} -> {_shown(now)}"
    for name in sorted({*record.inputs, *inputs}):
        if record.inputs.get(name) != inputs.get(name):
            yield f"{name} changed"
    there = [name for name in record.outputs if (folder / name).exists()]
    if gone := [name for name in record.outputs if name not in there]:
        yield (
            f"its {gone[0]} is gone" if len(gone) == 1 else f"its {gone[0]} and {len(gone) - 1} more are gone"
        )
    for name in there:
        if not record.outputs[name].still_is(folder / name):
            yield f"its {name} was changed"


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that results depend on, as far as they are installed."""
    found = {"python": sys.version.split()[0]}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of settings as dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def _stamp(path: Path) -> str:
    files = [path] if path.is_file() else sorted(found for found in path.rglob("*") if found.is_file())
    stats = [(file.name, file.stat()) for file in files]
    return " ".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in stats)


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:28]}...{text[-28:]}"
