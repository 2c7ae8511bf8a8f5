"""Figures 1 and 2 of the paper, in small, and the strategies side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from anchor_train.pocket.experiment import Across, Trial
from anchor_train.pocket.experiment_report import models_of
from anchor_train.pocket.report import criterion_names, gains
from anchor_train.run.stage import BASE_MODEL
from anchor_train.stages.parts.paper_table import TableRow


def draw_figures(trials: Sequence[Trial], folder: Path) -> list[Path]:
    """Draws the figures as PNG files; that over lambda needs trials with Rank and Anchor.

    Args:
        trials: Finished trials of all mixes.
        folder: Where they go.
    """
    import matplotlib

    matplotlib.use("Agg")
    (mix, _), *_ = Counter(trial.mix for trial in trials).most_common()
    of_mix = [trial for trial in trials if trial.mix == mix]
    figures = [_criteria(of_mix, folder / "figure1.png")]
    compared = [trial for trial in trials if {"rank", "anchor"} <= set(trial.outcome.models)]
    if compared:
        figures.append(_gains(compared, folder / "figure2.png"))
    return [*figures, _strategies(of_mix, folder / "figure3.png")]


def _criteria(trials: Sequence[Trial], path: Path) -> Path:
    """Mean points by criterion and model, over the seeds of the mix that has most of them."""
    models = models_of(trials)
    figure, axes = _empty(6 + len(models) / 2, 3.6)
    names = criterion_names()
    width = 0.8 / len(models)
    for place, model in enumerate(models):
        points = [t.outcome.criteria[model] for t in trials if t.outcome.criteria.get(model)]
        if not points:
            continue
        across = [Across.of([found[key] for found in points]) for key in names]
        axes.bar(
            [at + (place - (len(models) - 1) / 2) * width for at in range(len(names))],
            [figure_.mean for figure_ in across],
            width,
            yerr=[figure_.half or 0.0 for figure_ in across],
            capsize=2,
            label=model,
        )
    axes.set_xticks(range(len(names)), list(names.values()))
    axes.set_ylabel("mean points")
    axes.set_ylim(0, 1.05)
    axes.legend(ncols=min(len(models), 6), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    return _saved(figure, path)


def _gains(trials: Sequence[Trial], path: Path) -> Path:
    """Gain of Anchor over Rank against lambda, one point a trial."""
    figure, axes = _empty(5.5, 3.6)
    points = [gains(trial.outcome) for trial in trials]
    lambdas = [point.share for point in points]
    axes.axhline(0, color="0.7", linewidth=1)
    axes.scatter(lambdas, [100 * point.accuracy for point in points], marker="o", label="accuracy")
    axes.scatter(lambdas, [100 * point.margin for point in points], marker="^", label="win - loss")
    axes.set_xlabel("lambda of the anchor pairs")
    axes.set_ylabel("Anchor less Rank, points")
    axes.legend(frameon=False)
    return _saved(figure, path)


def _strategies(trials: Sequence[Trial], path: Path) -> Path:
    """Accuracy and win - loss of every model with intervals over seeds; lines where the base model is."""
    from matplotlib.figure import Figure

    models = models_of(trials)
    figure = Figure(figsize=(8, 1.2 + 0.32 * len(models)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    columns: list[tuple[Any, str, Callable[[TableRow], float | None]]] = [
        (left, "accuracy, %", lambda row: row.accuracy),
        (right, "win - loss against base, points", lambda row: row.margin),
    ]
    for axes, title, read in columns:
        for place, model in enumerate(models):
            rows = [row for trial in trials for row in trial.outcome.truth.rows if row.model == model]
            values = [100 * value for value in map(read, rows) if value is not None]
            if not values:
                continue
            across = Across.of(values)
            axes.errorbar(across.mean, place, xerr=across.half, fmt="o", color="C0", capsize=3)
            if model == BASE_MODEL:
                axes.axvline(across.mean, color="0.7", linewidth=1, zorder=0)
        axes.set_xlabel(title)
    right.axvline(0, color="0.7", linewidth=1, zorder=0)
    left.set_yticks(range(len(models)), models)
    left.invert_yaxis()
    return _saved(figure, path)


def _empty(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=150)
    return path
