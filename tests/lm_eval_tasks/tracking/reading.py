"""What trackers have on disk, read back without what wrote it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_BLOCK, _HEAD = 32768, 7


def wandb_runs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """``project/name`` -> logged rows, of the ``.wandb`` files in W&B's offline folders."""
    from wandb.proto.wandb_internal_pb2 import Record

    found: dict[str, list[dict[str, Any]]] = {}
    for file in folder.glob("offline-run-*/*.wandb"):
        rows, name = [], ""
        for blob in _records(file.read_bytes()):
            record = Record()
            record.ParseFromString(blob)
            if record.HasField("run"):
                name = f"{record.run.project}/{record.run.display_name}"
            if record.HasField("history"):
                items = record.history.item
                rows.append(
                    {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
                )
        found.setdefault(name, []).extend(rows)
    return found


def _records(data: bytes) -> list[bytes]:
    """The records of a log in LevelDB's format behind W&B's own head; parts are put together."""
    found, part, place = [], b"", _HEAD
    while place + _HEAD <= len(data):
        if _BLOCK - place % _BLOCK < _HEAD:  # what is left of a block
            place += _BLOCK - place % _BLOCK
            continue
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        part += data[place + _HEAD : place + _HEAD + length]
        place += _HEAD + length
        if kind in (1, 4):  # whole, or the last part
            found.append(part)
            part = b""
    return found


def trackio_rows(project: str, name: str) -> list[dict[str, Any]]:
    """Logged rows of a run in trackio's database."""
    from trackio.sqlite_storage import SQLiteStorage

    found: list[dict[str, Any]] = SQLiteStorage.get_logs(project, name)
    return found


def trackio_database(project: str) -> Path:
    """The file that trackio keeps a project in."""
    from trackio.sqlite_storage import SQLiteStorage

    found: Path = SQLiteStorage.get_project_db_path(project)
    return found
