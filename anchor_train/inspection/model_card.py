"""The README of an exported model: how it came to be, from what, and what it is worth."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from anchor_train.pipeline.pipeline import Pipeline, StageStatus
from anchor_train.pipeline.trained import TrainedModel
from anchor_train.preferences.pair_report import PairReport
from anchor_train.principles.report import ConstitutionReport, DiscoveryReport
from anchor_train.recipes.files import resolved_yaml
from anchor_train.recipes.strategies import STRATEGIES, Traits
from anchor_train.run.stage import Stage
from anchor_train.stages.cluster import read_constitution
from anchor_train.stages.group_report import GroupReport
from anchor_train.stages.table import Table

_SFT = (
    "Fine-tuned on the answers of a multiple-choice task alone (supervised fine-tuning, LoRA). This is the "
    "starting point of alignment: it tends to choose better and to explain worse than its base model."
)


_CONSTITUTION = "The principles that it was taught, in its own words, the most frequent first:"


def model_card(pipeline: Pipeline, trained: TrainedModel) -> str:
    """The card of one trained model: method, data counts, results, settings."""
    stage = trained.stage
    recipe = pipeline.recipe.as_of(stage.strategy)
    statuses = {status.stage.key: status for status in pipeline.status()}
    traits = None if stage.method is None else STRATEGIES[stage.method]
    head = {
        "base_model": recipe.model.name if not Path(recipe.model.name).exists() else None,
        "library_name": "peft",
        "tags": ["anchored-explanations", "self-explanations", _tag(trained, traits)],
    }
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items() if value is not None)
    parts = [
        f"---\n{front}\n---",
        f"# {Path(recipe.model.name).name}, {trained.name}, {_task_name(recipe.task)}",
        _SFT if traits is None else f"{traits.about}{_variant(stage)}",
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


def _tag(trained: TrainedModel, traits: Traits | None) -> str:
    """What kind of training it was, as the hub's models are tagged."""
    if traits is None:
        return "sft"
    return "dpo" if traits.data == "pairs" else str(trained.stage.method)


def _data(pipeline: Pipeline, trained: TrainedModel, statuses: dict[str, StageStatus]) -> str:
    lines = []
    questions = _summary(statuses, "questions")
    if questions is not None:
        lines.append(
            f"- {questions['questions']} training questions of {questions['available']} "
            f"({questions['repeated']} repeats left out)"
        )
    pairs = trained.stage.needs.get("pairs")
    found = None if pairs is None else _summary(statuses, pairs)
    if found is not None:
        report = PairReport.from_json(found)
        lines.append(f"- {report.total} preference pairs\n\n```\n{report.to_text()}\n```")
    groups = trained.stage.needs.get("groups")
    counted = None if groups is None else _summary(statuses, groups)
    if counted is not None:
        text = GroupReport.from_json(counted).to_text()
        lines.append(f"- {counted['total']} groups of replies\n\n```\n{text}\n```")
    discovered, clustered = (
        None if key is None else _summary(statuses, key)
        for key in (trained.stage.needs.get("discoveries"), trained.stage.needs.get("constitution"))
    )
    if discovered is not None and clustered is not None:
        text = DiscoveryReport.from_json(discovered).to_text()
        text += "\n" + ConstitutionReport.from_json(clustered).to_text()
        folder = pipeline.run.stage(trained.stage.needs["constitution"])
        principles = "\n".join(f"{n}. {text}" for n, text in enumerate(read_constitution(folder).texts, 1))
        lines.append(
            f"- {discovered['found']} refined replies\n\n```\n{text}\n```\n\n{_CONSTITUTION}\n\n{principles}"
        )
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
