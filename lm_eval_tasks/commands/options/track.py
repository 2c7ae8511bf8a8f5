"""``--track`` and ``--track-samples``: experiment trackers, for the commands that have results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from lm_eval_tasks.tracking.track import Tracking

F = TypeVar("F", bound=Callable[..., Any])


def track_options(command: F) -> F:
    """Adds ``--track``; the command gets it as ``track``."""
    return click.option(
        "--track",
        metavar="TRACKER[:PROJECT]",
        help="Put the figures into trackio, wandb or mlflow, over training steps where the model is a "
        "checkpoint.  [default project: anchored-explanations]",
    )(command)


def sample_options(command: F) -> F:
    """Adds ``--track`` and ``--track-samples``; the command gets them as ``track`` and ``track_samples``."""
    samples = click.option(
        "--track-samples",
        is_flag=True,
        help="With --track: questions, explanations and verdicts, too. Without it no text leaves.",
    )
    return track_options(samples(command))


def tracking(options: dict[str, Any]) -> Tracking | None:
    """What was asked for, taken out of a command's options; checked before anything is paid for."""
    given, samples = options.pop("track"), options.pop("track_samples", False)
    if given is None:
        if samples:
            raise click.UsageError("--track-samples goes with --track")
        return None
    from lm_eval_tasks.tracking.target import read_target
    from lm_eval_tasks.tracking.track import Tracking

    target = read_target(given, "--track")
    target.require()
    return Tracking(target, samples)
