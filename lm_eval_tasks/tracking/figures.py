"""Runs and comparisons as flat names and numbers: ``eval/TASK/METRIC`` with ``_low`` and ``_high``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lm_eval_tasks.comparison.named import Report
from lm_eval_tasks.comparison.pair import Comparison, Overall
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.runs.judgement_files import JudgementSummary
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.metrics import Summary, summarise


def task_figures(run: TaskRun, prefix: str = "eval") -> dict[str, float]:
    """What a task of a run gave: its metrics with 95% intervals, and what the judge covered and cost.

    Args:
        run: The task's replies, judged or not.
        prefix: Before the task's name.
    """
    summary = run.summary
    metrics = summarise(run.read_samples(), None) if summary is None else summary.metrics
    found = dict(_of_metrics(metrics))
    if summary is not None:
        found |= _of_judging(summary)
    return {f"{prefix}/{run.task}/{name}": value for name, value in found.items()}


def comparison_figures(report: Report) -> dict[str, dict[str, float]]:
    """Run -> how it compares with others: ``compare/TASK/OTHER/win`` and so on; shares of 1."""
    found: dict[str, dict[str, float]] = {}
    for pair in report.table.pairs.values():
        figures = found.setdefault(pair.first, {})
        for task, compared in pair.tasks.items():
            start = f"compare/{task}/{pair.second}"
            figures |= {f"{start}/{name}": value for name, value in _of_comparison(compared)}
        if len(pair.tasks) > 1 and pair.overall is not None:
            start = f"compare/mean/{pair.second}"
            figures |= {f"{start}/{name}": value for name, value in _of_comparison(pair.overall)}
    return found


def _of_metrics(metrics: Mapping[str, Summary]) -> Iterator[tuple[str, float]]:
    for name, found in metrics.items():
        yield name, found.value
        yield from _ends(name, found.low, found.high)


def _of_judging(summary: JudgementSummary) -> dict[str, float]:
    given = {
        "coverage": summary.coverage,
        "responses": summary.responses,
        "prompt_tokens": summary.prompt_tokens,
        "completion_tokens": summary.completion_tokens,
        "price": summary.price,
    }
    return {name: float(value) for name, value in given.items() if value is not None}


def _of_comparison(found: Comparison | Overall) -> Iterator[tuple[str, float]]:
    rates: dict[str, Estimate | None] = {
        "win": found.win,
        "tie": found.tie,
        "loss": found.loss,
        "win_minus_loss": found.margin,
        "accuracy_gain": found.accuracy if isinstance(found, Comparison) else None,
    }
    for name, estimate in rates.items():
        if estimate is not None:
            yield name, estimate.value
            yield from _ends(name, estimate.low, estimate.high)
    if found.p_value is not None:
        yield "p_value", found.p_value


def _ends(name: str, low: float | None, high: float | None) -> Iterator[tuple[str, float]]:
    if low is not None and high is not None:
        yield f"{name}_low", low
        yield f"{name}_high", high
