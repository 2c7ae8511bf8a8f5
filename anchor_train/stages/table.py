"""The paper's Table 1 for one run: accuracy and spread, win / tie / loss against the base model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from lm_eval_tasks.comparison.pair import compare
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.tables import percent, signed_percent, text_table


@dataclass(frozen=True, slots=True)
class TableRow(JsonRecord):
    """One model.

    Attributes:
        model: ``base``, ``sft``, ``anchor`` ...
        questions: Questions answered.
        accuracy: Mean over samples and questions (0 to 1).
        accuracy_stderr: Its standard error by question.
        accuracy_spread: Standard deviation of the accuracies of the N passes: the paper's figure behind ±.
        explanation_score: Mean score in points.
        judged: Responses with a score.
        responses: Responses in all.
        win: Share of pairs won against the base model; None for the base model itself.
        tie: Share of ties.
        loss: Share of losses.
        margin: Win - loss.
        margin_low: Lower end of its 95% interval, by question.
        margin_high: Upper end.
    """

    model: str
    questions: int
    accuracy: float | None
    accuracy_stderr: float | None
    accuracy_spread: float | None
    explanation_score: float | None
    judged: int
    responses: int
    win: float | None = None
    tie: float | None = None
    loss: float | None = None
    margin: float | None = None
    margin_low: float | None = None
    margin_high: float | None = None


@dataclass(frozen=True, slots=True)
class Table(JsonRecord):
    """All models of a run on its task.

    Attributes:
        task: The task.
        judge: Name of the evaluation judge.
        repeats: Replies a question.
        rows: The base model first.
        refined: Models that were asked for a reply, a principle and a refined reply, which is compared.
    """

    task: str
    judge: str
    repeats: int | None
    rows: tuple[TableRow, ...]
    refined: tuple[str, ...] = ()

    def to_text(self) -> str:
        """The table for people; shares in percent, the interval is the margin's 95% one by question."""
        header = ("model", "accuracy", "win", "tie", "loss", "win-loss", "95% interval", "judged")
        questions = max((row.questions for row in self.rows), default=0)
        repeats = "" if self.repeats is None else f" x {self.repeats} replies"
        return "\n".join(
            [
                f"{self.task}, {questions} questions{repeats}, judge {self.judge}; in %, against the base",
                text_table(header, [_cells(row) for row in self.rows]),
                *self._notes(),
            ]
        )

    def to_markdown(self) -> str:
        """The table for a model card."""
        header = ("model", "accuracy", "win", "tie", "loss", "win-loss", "95% interval", "judged")
        lines = [header, ("---",) * len(header), *(_cells(row) for row in self.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([table, *self._notes()])

    def _notes(self) -> list[str]:
        if not self.refined:
            return []
        return [
            f"{', '.join(self.refined)}: a reply, a principle and a refined reply; the refined one counts"
        ]


def table_of(runs: Mapping[str, TaskRun], base: str) -> Table:
    """Compares judged runs of one task with the base model's.

    Args:
        runs: Model -> its judged samples.
        base: Which of them is the base model.
    """
    reference = runs[base]
    judge = reference.judge
    return Table(
        task=reference.task,
        judge="none" if judge is None else judge.name,
        repeats=reference.repeats,
        rows=tuple(_row(name, run, reference if name != base else None) for name, run in runs.items()),
        refined=tuple(name for name, run in runs.items() if run.task != reference.task),
    )


def _row(name: str, run: TaskRun, base: TaskRun | None) -> TableRow:
    assert run.summary is not None
    assert run.judge is not None
    metrics = run.summary.metrics
    values = {metric: metrics[metric].value for metric in metrics}
    accuracy = metrics.get("acc")
    row = TableRow(
        model=name,
        questions=run.summary.questions,
        accuracy=values.get("acc"),
        accuracy_stderr=None if accuracy is None else accuracy.stderr,
        accuracy_spread=values.get("acc_spread"),
        explanation_score=values.get("explanation_score"),
        judged=run.summary.judged,
        responses=run.summary.responses,
    )
    found = None if base is None else compare(run.marks, base.marks, top_score=run.judge.max_score)
    if found is None:
        return row
    compared = {
        "win": found.win.value,
        "tie": found.tie.value,
        "loss": found.loss.value,
        "margin": found.margin.value,
        "margin_low": found.margin.low,
        "margin_high": found.margin.high,
    }
    return TableRow(**{**asdict(row), **compared})


def _cells(row: TableRow) -> Sequence[str]:
    spread = "" if row.accuracy_spread is None else f" ± {percent(row.accuracy_spread)}"
    interval = "-"
    if row.margin_low is not None and row.margin_high is not None:
        interval = f"{signed_percent(row.margin_low)} to {signed_percent(row.margin_high)}"
    return (
        row.model,
        f"{percent(row.accuracy)}{spread}",
        percent(row.win),
        percent(row.tie),
        percent(row.loss),
        signed_percent(row.margin),
        interval,
        f"{row.judged}/{row.responses}",
    )
