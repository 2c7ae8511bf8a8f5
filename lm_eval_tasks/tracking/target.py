"""Which tracker, which project, and the way to a run of it that is taken up again under the same name."""

from __future__ import annotations

import re
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from judges.errors import AnchorError, ConfigError, MissingExtraError, TrackingError
from judges.settings import nearest
from judges.storage.files import read_object, write_json

PROJECT = "anchored-explanations"
KINDS: Mapping[str, str] = {
    "trackio": "lm_eval_tasks.tracking.kinds.trackio:TrackioRun",
    "wandb": "lm_eval_tasks.tracking.kinds.wandb:WandbRun",
    "mlflow": "lm_eval_tasks.tracking.kinds.mlflow:MlflowRun",
}
"""Tracker -> the class that opens a run of it."""
FILE = "tracked.json"
"""In a run folder: under which names and ids trackers know it."""
_PROJECT = re.compile(r"[\w][\w. -]*")


class Tracker(Protocol):
    """An open run of a tracker."""

    @property
    def name(self) -> str:
        """What the tracker calls it."""
        ...

    def log(self, figures: Mapping[str, float], step: int | None) -> None:
        """Takes figures of one training step; None where there is no training."""
        ...

    def log_texts(self, name: str, rows: Sequence[Mapping[str, Any]], step: int | None) -> None:
        """Takes a table of texts; every row has the columns of the first."""
        ...

    def close(self) -> None:
        """Has everything written."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where figures go.

    Attributes:
        kind: ``trackio``, ``wandb`` or ``mlflow``.
        project: Its project (MLflow: experiment).
    """

    kind: str
    project: str = PROJECT

    def __str__(self) -> str:
        return f"{self.kind}:{self.project}"

    def require(self) -> None:
        """Raises MissingExtraError if the tracker's library isn't installed."""
        if find_spec(self.kind) is None:
            raise MissingExtraError(self.kind, "track")


def read_target(given: str, where: str) -> Target:
    """``trackio``, or ``trackio:project``.

    Args:
        given: What the user wrote.
        where: Option or setting, for the message.

    Raises:
        ConfigError: If there is no such tracker, or that is no name of a project.
    """
    kind, colon, project = given.partition(":")
    if kind not in KINDS:
        raise ConfigError(f"{where}: no tracker {kind!r}: {nearest(kind, KINDS)}")
    if colon and not _PROJECT.fullmatch(project):
        raise ConfigError(f"{where}: {project!r} is no project: letters, digits, spaces, '.', '_' and '-'")
    return Target(kind, project) if colon else Target(kind)


@contextmanager
def tracked(target: Target, folder: Path) -> Iterator[Tracker]:
    """The tracker's run of a run folder: the one of before where there was one.

    What the tracker's library prints goes to standard error: standard output is for results.

    Args:
        target: Where.
        folder: The run folder, whose name the run has.

    Raises:
        TrackingError: If the tracker can't be reached, or refuses something.
    """
    path = folder / FILE
    known: dict[str, Any] = read_object(path) if path.is_file() else {}
    before = known.get(str(target), {})
    id = str(before.get("id") or uuid.uuid4().hex[:16])
    module, _, name = KINDS[target.kind].partition(":")
    with redirect_stdout(sys.stderr):
        try:
            run: Tracker = getattr(import_module(module), name)(
                target.project, folder.resolve().name, id, before.get("name")
            )
            write_json(path, {**known, str(target): {**before, "name": run.name, "id": id}})
            try:
                yield run
            finally:
                run.close()
        except AnchorError:
            raise
        except Exception as error:  # each library has errors of its own
            said = " ".join(str(error).split())
            raise TrackingError(
                f"{target}: {type(error).__name__}: {said[:300]}; the results themselves are in {folder}"
            ) from error
