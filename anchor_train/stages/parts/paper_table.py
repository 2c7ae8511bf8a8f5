"""The paper's Table 1 for one run: accuracy and spread, win / tie / loss against the baseline."""

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
        win: Share of pairs won against the baseline; None for the baseline itself, and where no question has
            judged replies of both.
        tie: Share of ties.
        loss: Share of losses.
        margin: Win - loss.
        margin_low: Lower end of its 95% interval, by question.
        margin_high: Upper end.
        compared: Questions that win, tie, loss and margin rest on: those with judged replies of both.
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
    compared: int | None = None


@dataclass(frozen=True, slots=True)
class Table(JsonRecord):
    """All models of a run on its task.

    Attributes:
        task: The task.
        judge: Name of the evaluation judge.
        repeats: Replies a question.
        rows: The base model first, compared with the baseline.
        refined: Models that were asked for a reply, a principle and a refined reply, which is compared.
        baseline: What ``rows`` are compared with.
        beside: Another model that they are compared with, too; None for none.
        beside_rows: Those comparisons.
        sft_target: What fine-tuning learnt (``sft.target``).
    """

    task: str
    judge: str
    repeats: int | None
    rows: tuple[TableRow, ...]
    refined: tuple[str, ...] = ()
    baseline: str = "base"
    beside: str | None = None
    beside_rows: tuple[TableRow, ...] = ()
    sft_target: str = "answer"

    @property
    def compares(self) -> bool:
        """Whether anything could be compared with anything."""
        return any(row.margin is not None for row in (*self.rows, *self.beside_rows))

    def why_empty(self) -> str:
        """One line for a table that compares nothing."""
        counts = ", ".join(f"{row.model} {row.judged} of {row.responses}" for row in self.rows)
        return (
            f"no table could be made: no question has judged replies of {self.baseline} and of another model "
            f"(judged: {counts}); reply_form=shown+held makes replies readable, and "
            "anchor-train show RUN --stage evaluate shows what was written and what the judge said"
        )

    def to_text(self) -> str:
        """The table for people; shares in percent, the interval is the margin's 95% one by question."""
        questions = max((row.questions for row in self.rows), default=0)
        repeats = "" if self.repeats is None else f" x {self.repeats} replies"
        lines = [
            f"{self.task}, {questions} questions{repeats}, judge {self.judge}; in %, against {self._named}",
            text_table(_HEADER, [_cells(row) for row in self.rows]),
        ]
        if self.beside is not None:
            lines += [f"against {self.beside}", text_table(_BESIDE, self._beside_cells())]
        return "\n".join([*lines, *self._notes()])

    def to_markdown(self) -> str:
        """The table for a model card."""
        parts = [_markdown(_HEADER, [_cells(row) for row in self.rows])]
        if self.beside is not None:
            parts += [f"Against `{self.beside}`:", _markdown(_BESIDE, self._beside_cells())]
        return "\n\n".join([*parts, *self._notes()])

    @property
    def _named(self) -> str:
        return "the base" if self.baseline == "base" else self.baseline

    def _beside_cells(self) -> list[Sequence[str]]:
        return [(row.model, *_compared(row)) for row in self.beside_rows]

    def _notes(self) -> list[str]:
        found = [*_reasons(self.rows, self.baseline)]
        if self.beside is not None:
            found += _reasons(self.beside_rows, self.beside)
        if self.sft_target != "answer":
            found.append(
                f"fine-tuning learnt {_TARGETS[self.sft_target]} (sft.target: {self.sft_target}), not the "
                "bare answers as in the paper"
            )
        if self.refined:
            found.append(
                f"{', '.join(self.refined)}: a reply, a principle and a refined reply; the refined one counts"
            )
        return found


_HEADER = ("model", "accuracy", "win", "tie", "loss", "win-loss", "95% interval", "judged")
_BESIDE = ("model", "win", "tie", "loss", "win-loss", "95% interval")
_TARGETS = {"form": "the choice within its tag", "rationale": "the data set's rationales in the reply's form"}
# Share of the questions below which what a comparison rests on is said.
_ENOUGH = 0.5


def _reasons(rows: Sequence[TableRow], baseline: str) -> list[str]:
    """Why comparisons with one model are missing or rest on little, a line each."""
    reference = next((row for row in rows if row.model == baseline), None)
    head = "" if reference is None else f" ({baseline}: {reference.judged} of {reference.responses} judged)"
    others = [row for row in rows if row.model != baseline]
    none = [row for row in others if row.margin is None]
    found = []
    if none:
        names = ", ".join(f"{row.model} {row.judged} of {row.responses} judged" for row in none)
        found.append(
            f"nothing to compare with {baseline}{head}: no question has judged replies of both: {names}"
        )
    thin = [
        row
        for row in others
        if row.margin is not None and row.compared is not None and row.compared < _ENOUGH * row.questions
    ]
    if thin:
        names = ", ".join(f"{row.model} on {row.compared} of {row.questions} questions" for row in thin)
        found.append(f"little to compare with {baseline}{head}: {names}")
    return found


def table_of(
    runs: Mapping[str, TaskRun], baseline: str, beside: str | None = None, sft_target: str = "answer"
) -> Table:
    """Compares judged runs of one task with one of them.

    Args:
        runs: Model -> its judged samples, the base model first.
        baseline: What all are compared with.
        beside: What they are compared with, too.
        sft_target: What fine-tuning learnt.
    """
    first = next(iter(runs.values()))
    judge = first.judge
    return Table(
        task=first.task,
        judge="none" if judge is None else judge.name,
        repeats=first.repeats,
        rows=_rows(runs, baseline),
        refined=tuple(name for name, run in runs.items() if run.task != first.task),
        baseline=baseline,
        beside=beside,
        beside_rows=() if beside is None else _rows(runs, beside),
        sft_target=sft_target,
    )


def _rows(runs: Mapping[str, TaskRun], baseline: str) -> tuple[TableRow, ...]:
    return tuple(_row(name, run, runs[baseline] if name != baseline else None) for name, run in runs.items())


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
        "compared": len(found.matched.shared) - found.unscored,
    }
    return TableRow(**{**asdict(row), **compared})


def _cells(row: TableRow) -> Sequence[str]:
    spread = "" if row.accuracy_spread is None else f" ± {percent(row.accuracy_spread)}"
    judged = f"{row.judged}/{row.responses}"
    return (row.model, f"{percent(row.accuracy)}{spread}", *_compared(row), judged)


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _compared(row: TableRow) -> Sequence[str]:
    interval = "-"
    if row.margin_low is not None and row.margin_high is not None:
        interval = f"{signed_percent(row.margin_low)} to {signed_percent(row.margin_high)}"
    shares = (percent(row.win), percent(row.tie), percent(row.loss))
    return (*shares, signed_percent(row.margin), interval)
