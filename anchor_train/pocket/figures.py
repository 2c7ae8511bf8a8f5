"""Figures 1 and 2 of the paper, in small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anchor_train.pocket.experiment import Across, Trial
from anchor_train.pocket.outcome import MODELS
from anchor_train.pocket.report import criterion_names, gains
from judges.errors import MissingExtraError


def draw_figures(trials: Sequence[Trial], folder: Path) -> list[Path]:
    """Draws both figures as PNG files.

    Args:
        trials: Finished trials of all mixes.
        folder: Where they go.

    Raises:
        MissingExtraError: If matplotlib isn't installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingExtraError("matplotlib", "report") from None
    matplotlib.use("Agg")
    return [_criteria(trials, folder / "figure1.png"), _gains(trials, folder / "figure2.png")]


def _criteria(trials: Sequence[Trial], path: Path) -> Path:
    """Mean points by criterion and model, over the seeds of the mix that has most of them."""
    figure, axes = _empty(8, 3.6)
    names = criterion_names()
    (mix, _), *_ = Counter(trial.mix for trial in trials).most_common()
    of_mix = [trial for trial in trials if trial.mix == mix]
    width = 0.8 / len(MODELS)
    for place, model in enumerate(MODELS):
        across = [Across.of([trial.outcome.criteria[model][key] for trial in of_mix]) for key in names]
        axes.bar(
            [at + (place - (len(MODELS) - 1) / 2) * width for at in range(len(names))],
            [figure_.mean for figure_ in across],
            width,
            yerr=[figure_.half or 0.0 for figure_ in across],
            capsize=2,
            label=model,
        )
    axes.set_xticks(range(len(names)), list(names.values()))
    axes.set_ylabel("mean points")
    axes.set_ylim(0, 1.05)
    axes.legend(ncols=len(MODELS), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
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


def _empty(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, dpi=150)
    return path
