"""Examples of what a stage made, rendered for people, each with where it came from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.run.stage import Stage
from anchor_train.stages.parts.kind import Example
from anchor_train.stages.registry import KINDS
from judges.errors import ConfigError
from judges.settings import nearest


def examples(pipeline: Pipeline, stage: str | None, count: int, ids: Sequence[str] = ()) -> list[Example]:
    """The first examples of a stage.

    Args:
        pipeline: The run.
        stage: Kind of stage (those of all strategies, in the last round in which one has run), a stage's key,
            or how the keys of several begin (``evaluate``, ``evaluate/sft``, ``round-1/anchor``); None for
            what the first strategy trains on.
        count: How many at most of each stage.
        ids: Only these questions.

    Raises:
        ConfigError: If there is no such stage, it hasn't run, or has nothing to show.
    """
    chosen: list[Example] = []
    found = _find(pipeline, stage)
    for each in found:
        show = KINDS[each.kind].show
        assert show is not None
        every = show(pipeline.job(each))
        chosen += islice((example for example in every if not ids or example.id in ids), count)
    if not chosen:
        what = f"nothing of question {', '.join(ids)}" if ids else "nothing to show"
        raise ConfigError(f"{pipeline.run.path}: {' and '.join(each.key for each in found)} has {what}")
    return chosen


def _find(pipeline: Pipeline, name: str | None) -> list[Stage]:
    """The stages of that name that have run."""
    shown = [stage for stage in pipeline.stages if KINDS[stage.kind].show is not None]
    if name is None:
        name = next(stage.kind for stage in shown if KINDS[stage.kind].makes_data)
    named = [stage for stage in shown if name in (stage.key, stage.kind)]
    named = named or [stage for stage in shown if stage.key.startswith(f"{name.rstrip('/')}/")]
    if not named:
        tops = (stage.key.partition("/")[0] for stage in shown)
        known = sorted({*(stage.kind for stage in shown), *(stage.key for stage in shown), *tops})
        raise ConfigError(f"no stage {name!r} to show: {nearest(name, known)}")
    run = [s for s in named if (pipeline.run.stage(s.key) / KINDS[s.kind].file).exists()]
    if not run:
        raise ConfigError(f"{pipeline.run.path}: {named[0].key} hasn't run yet (anchor-train status)")
    newest = max(stage.round for stage in run)
    return [stage for stage in run if stage.round == newest]
