"""``anchor-eval power``: what difference could a run show?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from lm_eval_tasks.commands.options.completion import runs, tasks_of_runs
from lm_eval_tasks.commands.options.number import Number

if TYPE_CHECKING:
    from lm_eval_tasks.comparison.judges.label_power import LabelPower
    from lm_eval_tasks.comparison.power import Variance
    from lm_eval_tasks.runs.discovery import Run


@click.command("power")
@click.option("--questions", required=True, type=click.IntRange(2), help="Number of questions.")
@click.option("--samples", default=16, show_default=True, type=click.IntRange(1), help="Samples a question.")
@click.option(
    "--from",
    "runs",
    multiple=True,
    type=click.Path(),
    help="Two runs to measure the variance on: --from runs/a --from runs/b.",
    shell_complete=runs,
)
@click.option(
    "--task", help="Task of these runs; default: the one that they share.", shell_complete=tasks_of_runs
)
@click.option(
    "--tie",
    default=0.6,
    show_default=True,
    type=Number(0, 1, max_open=True),
    help="Share of ties to expect, without runs to measure on.",
)
@click.option(
    "--power",
    default=0.8,
    show_default=True,
    type=Number(0, 1, min_open=True, max_open=True),
    help="How often the difference should be found.",
)
@click.option(
    "--labels",
    multiple=True,
    type=click.IntRange(1),
    help="Questions that people label, too: what would compare --correct-with find? May be given again.",
)
@click.option(
    "--correlation",
    type=Number(0, 1),
    help="With --labels: of people's win - loss on a question and the judge's.  [default: 0.5]",
)
@click.option(
    "--correct-with",
    metavar="NAME",
    help="With --labels and --from: measure it on these judgements of the two runs, e.g. human.",
)
@click.option("--judge", help="With --correct-with: the judge that saw all, where a run has several.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def command(
    questions: int,
    samples: int,
    runs: tuple[str, ...],
    task: str | None,
    tie: float,
    power: float,
    labels: tuple[int, ...],
    correlation: float | None,
    correct_with: str | None,
    judge: str | None,
    as_json: bool,
) -> None:
    """The smallest win - loss that a comparison would find (5% level, by question).

    With --labels: that a judge of all questions would find, corrected with people's labels of so many.

    \b
    anchor-eval power --questions 254 --samples 16
    anchor-eval power --questions 254 --samples 16 --from runs/m1 --from runs/base
    anchor-eval power --questions 254 --labels 30 --labels 60 --labels 120 --correlation 0.6
    anchor-eval power --questions 254 --labels 120 --from runs/m1 --from runs/base --correct-with human
    """
    from lm_eval_tasks.comparison.power import bounds, smallest_margin

    if labels:
        told = _with_labels(questions, labels, runs, task, tie, power, correlation, correct_with, judge)
        click.echo(json.dumps(told.to_json(), indent=2) if as_json else told.text())
        return
    if correlation is not None or correct_with is not None or judge is not None:
        raise click.UsageError("--correlation, --correct-with and --judge go with --labels")
    if runs:
        variance = _measured(runs, task)

        def found(questions: int, samples: int) -> float | None:
            spread = variance.of_question(samples)
            return smallest_margin(spread, questions, power=power, tie=variance.tie)

        here, more = found(questions, samples), found(questions, 2 * samples)
        wider = found(2 * questions, samples)
        result = {
            "smallest_margin": here,
            "with_twice_the_samples": more,
            "with_twice_the_questions": wider,
            "measured_on": variance.questions,
        }
        text = (
            f"{questions} questions x {samples} samples: {_sentence(here)} {100 * power:g}% of the time.\n"
            f"Twice the samples: {_points(more)}; twice the questions: {_points(wider)}. "
            f"Variance measured on {variance.questions} questions of {' and '.join(runs)}."
        )
    else:
        low, high = (
            smallest_margin(variance, questions, power=power, tie=tie) for variance in bounds(tie, samples)
        )
        result = {"smallest_margin_at_best": low, "smallest_margin_at_worst": high, "tie": tie}
        text = (
            f"{questions} questions x {samples} samples, {100 * tie:g}% ties: "
            f"{_sentence(high)} {100 * power:g}% of the time if all samples of a question agree; "
            f"if questions don't differ, {_sentence(low)}.\n"
            "Real runs lie between: --from runs/a --from runs/b measures where yours do."
        )
    about = {"questions": questions, "samples": samples, "power": power}
    click.echo(json.dumps({**about, **result}, indent=2) if as_json else text)


def _with_labels(
    questions: int,
    labels: tuple[int, ...],
    paths: tuple[str, ...],
    task: str | None,
    tie: float,
    power: float,
    correlation: float | None,
    name: str | None,
    judge: str | None,
) -> LabelPower:
    from lm_eval_tasks.comparison.judges.correction import LabelVariance, label_variance
    from lm_eval_tasks.comparison.judges.label_power import label_power

    if bool(paths) != (name is not None):
        raise click.UsageError("--from and --correct-with go together where --labels are given")
    if paths and correlation is not None:
        raise click.UsageError("--correlation is measured where --correct-with is given")
    if name is None:
        # A label is one pair of explanations: it wins, loses or ties.
        known = LabelVariance(1 - tie, 0.5 if correlation is None else correlation, tie, 0)
    else:
        first, second, of = _two_runs(paths, task, judge)
        known = label_variance({first.name: first.task(of), second.name: second.task(of)}, name)
    return label_power(questions, labels, known, power)


def _points(margin: float | None) -> str:
    return "none" if margin is None else f"{100 * margin:.1f}"


def _sentence(margin: float | None) -> str:
    """What is found, with its verb."""
    if margin is None:
        return "no win - loss, however large, is found"
    return f"a win - loss of {_points(margin)} points is found"


def _measured(paths: tuple[str, ...], task: str | None) -> Variance:
    from judges.errors import DataError
    from lm_eval_tasks.comparison.power import variance_of

    first, second, of = _two_runs(paths, task, None)
    found = variance_of(first.task(of).marks, second.task(of).marks)
    if found is None:
        raise DataError(
            f"{' and '.join(paths)}: variance takes two questions on which both have two judged samples"
        )
    return found


def _two_runs(paths: tuple[str, ...], task: str | None, judge: str | None) -> tuple[Run, Run, str]:
    """The runs to measure on, and the task."""
    from judges.errors import ConfigError
    from lm_eval_tasks.runs.discovery import load_run

    if len(paths) != 2:
        raise click.UsageError("--from is given twice, once for each of two runs")
    first, second = (load_run(path, judge=judge) for path in paths)
    shared = [task] if task else [name for name in first.tasks if name in second.tasks]
    if len(shared) != 1:
        held = ", ".join(shared) or "none"
        raise ConfigError(f"tasks that both runs have: {held}; name one with --task")
    return first, second, shared[0]
