"""Training runs on the leaderboard: what the anchor pairs gained over ranked ones, against lambda.

Figure 2 of the paper: lambda is the share of a run's preference pairs that come from questions answered in a
mixed or a consistently wrong way; the gain is that of the model trained on anchor pairs over the one trained
on ranked pairs, in accuracy and in win - loss against the base model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from judges.errors import DataError
from judges.storage.files import read_object
from lm_eval_tasks.leaderboard.charts.values import Axis, Interval, Plot, Point, span
from lm_eval_tasks.leaderboard.words import task_title
from lm_eval_tasks.runs.discovery import Run, find_runs

ANCHOR, RANK = "anchor", "rank"
TABLE = Path("evaluate", "table", "table.json")
PAIRS = f"round-*/{ANCHOR}/pairs/report.json"


def runs_below(folder: Path, judge: str | None) -> list[Run]:
    """All runs below a folder; of one that ``anchor-train`` made the models that it evaluated.

    Args:
        folder: A folder of run folders, or one run folder of ``anchor-train``.
        judge: Name of the judgements to use, where a log has several.

    Raises:
        DataError: If there is no run, or one can't be read.
    """
    scored = sorted((folder / "evaluate").glob("*/score"))
    if not scored:
        return find_runs(folder, judge=judge)
    return [replace(run, name=path.parent.name) for path in scored for run in find_runs(path, judge=judge)]


@dataclass(frozen=True, slots=True)
class Training:
    """What one run folder of ``anchor-train`` says of anchor pairs and ranked pairs.

    Attributes:
        name: The folder's name.
        task: The task that was trained and evaluated on.
        lopsided: The paper's lambda, of the last round, 0 to 1.
        accuracy: Gain in accuracy, a share.
        margin: Gain in win - loss against the base model, a share.
    """

    name: str
    task: str
    lopsided: float
    accuracy: float
    margin: float


def read_training(folder: Path) -> Training:
    """Reads a finished run folder that trained both on anchor pairs and on ranked ones.

    Raises:
        DataError: If the folder lacks the evaluation table, one of the models, or the report on the pairs.
    """
    table = _read(folder / TABLE, folder, "no evaluation table; anchor-train run finishes it")
    rows = {row.get("model"): row for row in table.get("rows", []) if isinstance(row, dict)}
    reports = sorted(folder.glob(PAIRS), key=lambda path: int(path.parts[-4].removeprefix("round-")))
    missing = [name for name in (ANCHOR, RANK) if name not in rows]
    if missing or not reports:
        lacks = f"no model {' and '.join(missing)}" if missing else "no report on its anchor pairs"
        raise DataError(f"{folder}: {lacks}; the plot over lambda compares the strategies anchor and rank")
    lopsided = read_object(reports[-1]).get("lambda")
    gains = [_gain(rows, key, folder) for key in ("accuracy", "margin")]
    if not isinstance(lopsided, int | float):
        raise DataError(f"{reports[-1]}: no 'lambda'")
    return Training(folder.resolve().name, str(table.get("task", "?")), float(lopsided), *gains)


def lambda_plot(trainings: Sequence[Training]) -> Plot:
    """Gain of anchor pairs over ranked pairs against lambda, in points; one point a run (figure 2)."""
    tasks = [task_title(training.task) for training in trainings]
    labels = tasks if len(set(tasks)) == len(tasks) else [training.name for training in trainings]
    gains = {
        "win − loss": [100 * training.margin for training in trainings],
        "accuracy": [100 * training.accuracy for training in trainings],
    }
    known = [Interval(value) for values in gains.values() for value in values]
    return Plot(
        name="lambda",
        title="What anchor pairs gain over ranked pairs",
        caption="Gain in accuracy and in win − loss against the base model, in points, over λ: the share of "
        "preference pairs from questions that the model answered in a mixed or a consistently wrong way.",
        x=Axis("λ", 0, 1),
        y=Axis("gain in points", *span(known, include=0)),
        series=tuple(gains),
        points=tuple(
            tuple(
                Point(training.lopsided, Interval(value), label if place == 0 else "")
                for training, value, label in zip(trainings, values, labels, strict=True)
            )
            for place, values in enumerate(gains.values())
        ),
    )


def _gain(rows: Mapping[Any, Mapping[str, Any]], key: str, folder: Path) -> float:
    values = [rows[name].get(key) for name in (ANCHOR, RANK)]
    if not all(isinstance(value, int | float) for value in values):
        raise DataError(f"{folder / TABLE}: {key!r} of {ANCHOR} or {RANK} is missing")
    return float(values[0]) - float(values[1])  # type: ignore[arg-type]


def _read(path: Path, folder: Path, problem: str) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{folder}: {problem}")
    return read_object(path)
