"""trackio: a local database (``TRACKIO_DIR``), or a Space of the hub (``TRACKIO_SPACE_ID``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class TrackioRun:
    """A run of trackio. Runs are taken up by their names, so one that is new gets a name that isn't taken.

    Args:
        project: The project.
        name: What to call the run.
        id: Distinguishes runs of one name.
        known: The name that it went by before; None for a new one.
    """

    def __init__(self, project: str, name: str, id: str, known: str | None) -> None:
        import trackio

        self.name = known or (f"{name}-{id[:6]}" if name in _names(project) else name)
        self._trackio = trackio
        self._run = trackio.init(
            project=project,
            name=self.name,
            resume="allow" if known else "never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, figures: Mapping[str, float], step: int | None) -> None:
        """Takes figures."""
        self._run.log(dict(figures), step=step)

    def log_texts(self, name: str, rows: Sequence[Mapping[str, Any]], step: int | None) -> None:
        """Takes a table."""
        import pandas

        self._run.log({name: self._trackio.Table(dataframe=pandas.DataFrame(list(rows)))}, step=step)

    def close(self) -> None:
        """Waits until everything is written."""
        self._run.finish()


def _names(project: str) -> set[str]:
    from trackio.sqlite_storage import SQLiteStorage

    return set(SQLiteStorage.get_runs(project))
