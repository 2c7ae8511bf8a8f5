"""The README of an exported model: how it came to be, from what, and what it is worth."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from anchor_train.pipeline.pipeline import Pipeline, StageStatus
from anchor_train.pipeline.trained import TrainedModel
from anchor_train.recipes.files import resolved_yaml
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.run.stage import Stage
from anchor_train.stages.registry import KINDS
from anchor_train.stages.table import Table

_SFT = (
    "Fine-tuned on the answers of a multiple-choice task alone (supervised fine-tuning, LoRA). This is the "
    "starting point of alignment: it tends to choose better and to explain worse than its base model."
)


def model_card(pipeline: Pipeline, trained: TrainedModel) -> str:
    """The card of one trained model: method, data counts, results, settings."""
    stage = trained.stage
    recipe = pipeline.recipe.as_of(stage.strategy)
    statuses = {status.stage.key: status for status in pipeline.status()}
    strategy = None if stage.method is None else STRATEGIES[stage.method]
    tag = "sft" if strategy is None else strategy.tag or strategy.name
    head = {
        "base_model": recipe.model.name if not Path(recipe.model.name).exists() else None,
        "library_name": "peft",
        "tags": ["anchored-explanations", "self-explanations", tag],
    }
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items() if value is not None)
    parts = [
        f"---\n{front}\n---",
        f"# {Path(recipe.model.name).name}, {trained.name}, {_task_name(recipe.task)}",
        _SFT if strategy is None else f"{strategy.about}{_variant(stage)}",
        f"Base model: `{recipe.model.name}`. Task: `{recipe.task}`. Seed: {recipe.seed}. "
        f"Rounds: {trained.stage.round or 0}.",
        _prompt_note(),
        f"## Data\n\n{_data(pipeline, trained, statuses)}",
        f"## Results\n\n{_results(statuses)}",
        f"## Settings\n\n```yaml\n{resolved_yaml(recipe)}```",
        f'Made with anchored-explanations {_version()} (`anchor-train`), after "Anchored Alignment for '
        'Self-Explanations Enhancement" (arXiv 2410.13216).',
    ]
    return "\n\n".join(parts) + "\n"


def _variant(stage: Stage) -> str:
    if stage.strategy == stage.method:
        return ""
    return f" This is `{stage.strategy}`, a variant of `{stage.method}`: its settings are below."


def _data(pipeline: Pipeline, trained: TrainedModel, statuses: dict[str, StageStatus]) -> str:
    """What each stage that the training reads says of it."""
    lines = []
    for key in trained.stage.needs.values():
        kind, found = KINDS[statuses[key].stage.kind], _summary(statuses, key)
        if kind.card is None or found is None:
            continue
        lines.append(f"- {kind.card(found, pipeline.run.stage(key))}")
        if kind.report is not None:
            lines.append(f"\n```\n{kind.report(found, Path())}\n```")
    return "\n".join(lines) or "No counts."


def _results(statuses: dict[str, StageStatus]) -> str:
    table = _summary(statuses, "evaluate/table")
    if table is None:
        return "Not evaluated."
    found = Table.from_json(table)
    return (
        f"`{found.task}`, judged by `{found.judge}`; win, tie and loss against the base model, in %; the "
        f"interval is the margin's 95% one, by question.\n\n{found.to_markdown()}"
    )


def _summary(statuses: dict[str, StageStatus], key: str) -> dict[str, Any] | None:
    """A stage's summary, if it is finished and up to date."""
    status = statuses.get(key)
    if status is None or status.record is None or status.state != "finished":
        return None
    return status.record.summary


def _prompt_note() -> str:
    return (
        "It is asked to explain first and then to choose, and replies with "
        "`<explanation> … </explanation>` and `<choice> … </choice>`; `anchor-eval` renders that very prompt."
    )


def _task_name(task: str) -> str:
    return Path(task).stem if task.endswith((".yaml", ".yml")) else task


def _version() -> str:
    try:
        return version("anchored-explanations")
    except PackageNotFoundError:
        return "(not installed)"
