"""The experiment's report: every figure with its interval over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from anchor_train.pocket.experiment import Across, Trial
from anchor_train.pocket.outcome import MODELS
from anchor_train.pocket.report import BEHAVIOURS, criterion_names, gains, markdown_table
from anchor_train.table import Table, TableRow


def experiment_report(trials: Sequence[Trial]) -> str:
    """The report as Markdown; figures are means over seeds with 95% intervals (Student's t)."""
    mixes = list(dict.fromkeys(trial.mix for trial in trials))
    parts = ["# The method on the pocket model"]
    for mix in mixes:
        parts += _of_mix([trial for trial in trials if trial.mix == mix])
    parts += [
        "## Gain of Anchor over Rank against lambda",
        _gain_table(trials),
        "![mean points by criterion and model](figure1.png)",
        "![gain of Anchor over Rank against lambda](figure2.png)",
    ]
    return "\n\n".join(parts) + "\n"


def _of_mix(trials: Sequence[Trial]) -> Iterator[str]:
    seeds = "1 seed" if len(trials) == 1 else f"{len(trials)} seeds"
    yield f"## Questions: {trials[0].mix}, {seeds}"
    yield "Judged by the ground truth:"
    yield _table([trial.outcome.truth for trial in trials])
    own = [trial.outcome.own for trial in trials if trial.outcome.own is not None]
    if own:
        yield "Judged by the pocket base model itself:"
        yield _table(own)
    yield "Agreement of the pocket model's verdicts with the ground truth (weighted kappa):"
    names = criterion_names()
    yield markdown_table(
        list(names.values()), [[_plain(_known(t.outcome.kappa[key] for t in trials)) for key in names]]
    )
    yield "Questions by behaviour over four replies, in %:"
    rows = []
    for model in MODELS:
        shares = [trial.outcome.behaviours[model] for trial in trials]
        cells = [
            _percent([found.get(behaviour, 0) / sum(found.values()) for found in shares])
            for behaviour in BEHAVIOURS
        ]
        rows.append([model, *cells])
    yield markdown_table(["model", *(behaviour.replace("_", " ") for behaviour in BEHAVIOURS)], rows)
    yield "Training pairs by behaviour:"
    rows = []
    for strategy in ("rank", "anchor"):
        reports = [trial.outcome.pairs[strategy] for trial in trials]
        counts = [
            _plain([float(report.pairs[behaviour]) for report in reports], 0) for behaviour in BEHAVIOURS
        ]
        lambdas = [report.lopsided_share or 0.0 for report in reports]
        written = [report.consultant_share or 0.0 for report in reports]
        rows.append([strategy, *counts, _plain(lambdas), _percent(written)])
    header = ["strategy", *(b.replace("_", " ") for b in BEHAVIOURS), "lambda", "winners by consultant, %"]
    yield markdown_table(header, rows)


def _table(tables: Sequence[Table]) -> str:
    columns: dict[str, Callable[[TableRow], float | None]] = {
        "accuracy": lambda row: row.accuracy,
        "score of 5": lambda row: row.explanation_score,
        "win": lambda row: row.win,
        "tie": lambda row: row.tie,
        "loss": lambda row: row.loss,
        "win-loss": lambda row: row.margin,
    }
    rows = []
    for model in MODELS:
        of_model = [next(row for row in table.rows if row.model == model) for table in tables]
        cells = []
        for name, read in columns.items():
            values = _known(map(read, of_model))
            cells.append(_plain(values) if name == "score of 5" else _percent(values))
        rows.append([model, *cells])
    return markdown_table(["model", *columns], rows)


def _gain_table(trials: Sequence[Trial]) -> str:
    rows = []
    for trial in trials:
        found = gains(trial.outcome)
        figures = (f"{found.share:.3f}", f"{100 * found.accuracy:+.1f}", f"{100 * found.margin:+.1f}")
        rows.append([trial.mix, str(trial.seed), *figures])
    for mix in dict.fromkeys(trial.mix for trial in trials):
        of_mix = [gains(trial.outcome) for trial in trials if trial.mix == mix]
        shares, accuracies, margins = zip(*((g.share, g.accuracy, g.margin) for g in of_mix), strict=True)
        rows.append([mix, "mean", _plain(shares), _percent(accuracies), _percent(margins)])
    return markdown_table(["mix", "seed", "lambda", "accuracy, points", "win-loss, points"], rows)


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _percent(values: Sequence[float]) -> str:
    return _plain([100 * value for value in values], 1)


def _plain(values: Sequence[float], digits: int = 2) -> str:
    if not values:
        return "-"
    across = Across.of(values)
    half = "" if across.half is None else f" ± {across.half:.{digits}f}"
    return f"{across.mean:.{digits}f}{half}"
