"""The experiment's report: every figure with its interval over seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from anchor_train.pocket.experiment import Across, Trial
from anchor_train.pocket.report import BEHAVIOURS, criterion_names, gains, markdown_table
from anchor_train.stages.parts.paper_table import Table, TableRow


def experiment_report(trials: Sequence[Trial]) -> str:
    """The report as Markdown; figures are means over seeds with 95% intervals (Student's t)."""
    mixes = list(dict.fromkeys(trial.mix for trial in trials))
    parts = ["# The method on the pocket model"]
    for mix in mixes:
        parts += _of_mix([trial for trial in trials if trial.mix == mix])
    compared = [trial for trial in trials if {"rank", "anchor"} <= set(trial.outcome.models)]
    if compared:
        parts += ["## Gain of Anchor over Rank against lambda", _gain_table(compared)]
    parts.append("![mean points by criterion and model](figure1.png)")
    if compared:
        parts.append("![gain of Anchor over Rank against lambda](figure2.png)")
    parts.append("![accuracy and win - loss by model](figure3.png)")
    return "\n\n".join(parts) + "\n"


def models_of(trials: Sequence[Trial]) -> list[str]:
    """The models of all trials, the base model first."""
    return list(dict.fromkeys(model for trial in trials for model in trial.outcome.models))


def _of_mix(trials: Sequence[Trial]) -> Iterator[str]:
    models = models_of(trials)
    yield f"## Questions: {trials[0].mix}, {_seeds(len(trials))}"
    partly = {model: sum(model in trial.outcome.models for trial in trials) for model in models}
    few = [f"{model}: {_seeds(count)}" for model, count in partly.items() if count < len(trials)]
    if few:
        yield f"Not in all of them: {', '.join(few)}."
    yield "Judged by the ground truth:"
    yield _table(models, [trial.outcome.truth for trial in trials])
    yield from _what_they_think(models, trials)
    yield from _how_they_write(models, trials)
    own = [trial.outcome.own for trial in trials if trial.outcome.own is not None]
    if own:
        yield "Judged by the pocket base model itself:"
        yield _table([model for model in models if any(_has(table, model) for table in own)], own)
        yield "Agreement of the pocket model's verdicts with the ground truth (weighted kappa):"
        names = criterion_names()
        kappas = [trial.outcome.kappa for trial in trials if trial.outcome.kappa]
        yield markdown_table(
            list(names.values()), [[_plain(_known(found[key] for found in kappas)) for key in names]]
        )
    yield from _behaviours(models, trials)
    yield from _pairs(models, trials)


def _what_they_think(models: Sequence[str], trials: Sequence[Trial]) -> Iterator[str]:
    yield (
        "Assessment accuracy, in %: how often a right reply is the likelier one. On the SFT model's replies "
        "to the test questions, with the mean log-likelihood of right and wrong ones (nats a token); and on "
        "groups that were trained on, before and after:"
    )
    rows = []
    for model in models:
        found = [t.outcome.held_out[model] for t in trials if model in t.outcome.held_out]
        ends = [t.outcome.trained_on[model] for t in trials if model in t.outcome.trained_on]
        before, after = ([pair[side] for pair in ends] for side in (0, 1))
        rows.append(
            [
                model,
                _percent([one.accuracy for one in found]),
                _plain([one.good for one in found]),
                _plain([one.bad for one in found]),
                f"{_percent(before)} → {_percent(after)}" if ends else "-",
            ]
        )
    yield markdown_table(["model", "on test questions", "right", "wrong", "on groups trained on"], rows)


def _how_they_write(models: Sequence[str], trials: Sequence[Trial]) -> Iterator[str]:
    yield "Signs of a collapse: replies to the test questions, in %, and how many seeds' trainings warned:"
    rows = []
    for model in models:
        found = [t.outcome.writing[model] for t in trials if model in t.outcome.writing]
        warned = [t.outcome.warnings[model] for t in trials if model in t.outcome.warnings]
        rows.append(
            [
                model,
                _percent([one.unreadable for one in found]),
                _percent([one.repetitive for one in found]),
                _plain([one.words for one in found], 1),
                f"{sum(map(bool, warned))} of {len(warned)}" if warned else "-",
            ]
        )
    yield markdown_table(["model", "unreadable", "repeat themselves", "mean words", "warned"], rows)
    for model in models:
        texts = [sign for t in trials for sign in t.outcome.warnings.get(model, ())]
        if texts:
            more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
            yield f"- {model}: {texts[-1]}{more}"


def _behaviours(models: Sequence[str], trials: Sequence[Trial]) -> Iterator[str]:
    yield "Questions by behaviour over four replies, in %:"
    rows = []
    for model in models:
        shares = [t.outcome.behaviours[model] for t in trials if model in t.outcome.behaviours]
        cells = [
            _percent([found.get(behaviour, 0) / sum(found.values()) for found in shares])
            for behaviour in BEHAVIOURS
        ]
        rows.append([model, *cells])
    yield markdown_table(["model", *(behaviour.replace("_", " ") for behaviour in BEHAVIOURS)], rows)


def _pairs(models: Sequence[str], trials: Sequence[Trial]) -> Iterator[str]:
    rows = []
    for strategy in models:
        reports = [t.outcome.pairs[strategy] for t in trials if strategy in t.outcome.pairs]
        if not reports:
            continue
        counts = [
            _plain([float(report.pairs[behaviour]) for report in reports], 0) for behaviour in BEHAVIOURS
        ]
        lambdas = [report.lopsided_share or 0.0 for report in reports]
        written = [report.consultant_share or 0.0 for report in reports]
        rows.append([strategy, *counts, _plain(lambdas), _percent(written)])
    if rows:
        yield "Training pairs by behaviour:"
        header = [
            "strategy",
            *(b.replace("_", " ") for b in BEHAVIOURS),
            "lambda",
            "winners by consultant, %",
        ]
        yield markdown_table(header, rows)


def _table(models: Sequence[str], tables: Sequence[Table]) -> str:
    columns: dict[str, Callable[[TableRow], float | None]] = {
        "accuracy": lambda row: row.accuracy,
        "score of 5": lambda row: row.explanation_score,
        "win": lambda row: row.win,
        "tie": lambda row: row.tie,
        "loss": lambda row: row.loss,
        "win-loss": lambda row: row.margin,
    }
    rows = []
    for model in models:
        of_model = [row for table in tables for row in table.rows if row.model == model]
        cells = []
        for name, read in columns.items():
            values = _known(map(read, of_model))
            if name == "score of 5":
                cells.append(_plain(values))
            else:
                cells.append(_percent(values, "+" if name == "win-loss" else ""))
        rows.append([model, *cells])
    return markdown_table(["model", *columns], rows)


def _has(table: Table, model: str) -> bool:
    return any(row.model == model for row in table.rows)


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


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _percent(values: Sequence[float], sign: str = "") -> str:
    return _plain([100 * value for value in values], 1, sign)


def _plain(values: Sequence[float], digits: int = 2, sign: str = "") -> str:
    if not values:
        return "-"
    across = Across.of(values)
    half = "" if across.half is None else f" ± {across.half:.{digits}f}"
    return f"{across.mean:{sign}.{digits}f}{half}"
