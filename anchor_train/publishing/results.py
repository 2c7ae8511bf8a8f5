"""What an evaluation found of one model, for the card's text and for its ``model-index``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.trained import TrainedModel
from anchor_train.stages.parts.paper_table import Table, TableRow
from lm_eval_tasks.publishing.addresses import without_places
from lm_eval_tasks.publishing.cards import plain, table
from lm_eval_tasks.publishing.shown_runs import judge_name
from lm_eval_tasks.runs.discovery import find_runs
from lm_eval_tasks.tables import percent, signed_percent
from lm_eval_tasks.tasks.spec import TaskSpec

_SHARES = {
    "acc": ("accuracy", "Accuracy"),
    "readable": ("readable", "Readable explanations"),
    "judged": ("judged", "Judged explanations"),
}
_SCORE = "explanation_score"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the model.

    Attributes:
        kind: Its type in a ``model-index``.
        name: For people.
        value: A share from 0 to 1, a difference of such, or points.
        low: Lower end of its 95% interval; None where there is none.
        high: Upper end.
        questions: How many questions it rests on.
    """

    kind: str
    name: str
    value: float
    low: float | None
    high: float | None
    questions: int

    @property
    def holds_zero(self) -> bool:
        """Whether its interval does."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """A line of the card's table."""
        shown = {_SCORE: lambda value: f"{value:.2f}", "win_minus_loss": signed_percent}.get(
            self.kind, percent
        )
        interval = (
            "-" if self.low is None or self.high is None else f"{shown(self.low)} to {shown(self.high)}"
        )
        return plain(self.name), shown(self.value), interval, str(self.questions)


@dataclass(frozen=True, slots=True)
class Results:
    """What an evaluation found.

    Attributes:
        table: All models of the run.
        figures: Of this model; empty if it isn't among them.
        difference: Its win - loss against the baseline; None for none.
    """

    table: Table
    figures: tuple[Figure, ...]
    difference: Figure | None

    def text(self) -> str:
        """For the card."""
        found = self.table
        intro = (
            f"Task `{found.task}`, judged by {plain(judge_name(found.judge))}. Shares are in %; "
            f"intervals are 95% ones, "
            "by question."
        )
        own = table(("figure", "value", "95% interval", "questions"), [one.cells for one in self.figures])
        against = "win, tie and loss against the base model, in %; the interval is that of win - loss"
        return "\n\n".join(
            [
                intro,
                *([f"This model:\n\n{own}"] if self.figures else []),
                f"All models of the run: {against}\n\n{without_places(found.to_markdown())}",
            ]
        )

    def model_index(self, name: str, spec: TaskSpec, split: str) -> list[dict[str, Any]]:
        """The front matter's ``model-index``; empty without figures."""
        if not self.figures:
            return []
        data = {
            "type": spec.dataset_path or spec.name,
            "name": spec.name,
            **({"config": spec.dataset_name} if spec.dataset_path and spec.dataset_name else {}),
            "split": split,
        }
        metrics = [
            {"type": one.kind, "name": _with_interval(one), "value": round(one.value, 6)}
            for one in self.figures
        ]
        task = {"type": "text-generation", "name": "Explaining and choosing"}
        return [{"name": name, "results": [{"task": task, "dataset": data, "metrics": metrics}]}]


def results_of(pipeline: Pipeline, trained: TrainedModel, found: Mapping[str, Any]) -> Results:
    """What the run's evaluation found of a model.

    Args:
        pipeline: The run.
        trained: The model.
        found: The summary of its stage ``evaluate/table``.
    """
    whole = Table.from_json(found)
    row = next((row for row in whole.rows if row.model == trained.name), None)
    difference = None if row is None else _difference(row, whole.baseline)
    figures = [] if row is None else _figures(pipeline, trained.name)
    if difference is not None:
        figures.append(difference)
    return Results(whole, tuple(figures), difference)


def _figures(pipeline: Pipeline, model: str) -> list[Figure]:
    (run,) = find_runs(pipeline.run.stage(f"evaluate/{model}/score"))
    (task,) = run.tasks.values()
    assert task.summary is not None
    figures = []
    for name, metric in task.summary.metrics.items():
        if name in _SHARES:
            kind, said = _SHARES[name]
        elif name == _SCORE:
            best = task.summary.judge.score_range[1]
            kind, said = _SCORE, f"Explanation score, of {best:g}"
        else:
            continue
        figures.append(Figure(kind, said, metric.value, metric.low, metric.high, metric.questions))
    return figures


def _difference(row: TableRow, baseline: str) -> Figure | None:
    if row.margin is None:
        return None
    against = "the base model" if baseline == "base" else baseline
    said = f"Win - loss of explanations against {against}"
    return Figure("win_minus_loss", said, row.margin, row.margin_low, row.margin_high, row.compared or 0)


def _with_interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return figure.name
    return f"{figure.name} (95% interval {figure.low:.3f} to {figure.high:.3f})"
