"""The trained models of a run, by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.plan import aligned_name
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.run.stage import SFT_MODEL, Stage
from anchor_train.stages.registry import KINDS
from anchor_train.training.job import OutputFolder
from judges.errors import ConfigError
from judges.settings import nearest


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A finished training.

    Attributes:
        name: ``sft``, ``anchor``, ``aft``, ``anchor-round-1`` ...
        stage: The stage that made it.
        adapter: Its adapter.
        stale: What has changed since it was trained; empty if nothing has.
    """

    name: str
    stage: Stage
    adapter: Path
    stale: tuple[str, ...] = ()


def trained_model(pipeline: Pipeline, name: str | None = None) -> TrainedModel:
    """A trained model by name; without one the newest, the anchor-aligned one first.

    Raises:
        ConfigError: If there is none of that name, or its training isn't finished.
    """
    models = trained_models(pipeline)
    if name is not None and name not in _names(pipeline):
        raise ConfigError(f"{pipeline.run.path}: no model {name!r}: {nearest(name, _names(pipeline))}")
    if name is None:
        chosen = [*(strategy for strategy in STRATEGIES if strategy in models), *models]
        if not chosen:
            raise ConfigError(f"{pipeline.run.path}: nothing is trained yet (anchor-train status)")
        return models[chosen[0]]
    if name not in models:
        raise ConfigError(f"{pipeline.run.path}: model {name!r} isn't trained yet (anchor-train status)")
    return models[name]


def trained_models(pipeline: Pipeline) -> dict[str, TrainedModel]:
    """The models that are there, by name, newest first; also those whose settings or data have changed."""
    found = {}
    for status in reversed(list(pipeline.status())):
        stage, record = status.stage, status.record
        name = model_name(pipeline, stage)
        if name is None or record is None:
            continue
        adapter = OutputFolder(pipeline.run.stage(stage.key)).adapter
        kept = record.outputs.get(adapter.name)
        if kept is not None and kept.still_is(adapter):
            found[name] = TrainedModel(name, stage, adapter, () if status.state == "finished" else status.why)
    return found


def model_name(pipeline: Pipeline, stage: Stage) -> str | None:
    """What the model that a stage makes is called; None if it makes none."""
    if not KINDS[stage.kind].trains:
        return None
    if stage.strategy is None:
        return SFT_MODEL
    return aligned_name(stage.strategy, stage.round, pipeline.recipe.rounds)


def _names(pipeline: Pipeline) -> list[str]:
    names = [model_name(pipeline, stage) for stage in pipeline.stages]
    return [name for name in names if name is not None]
