"""The README of an exported model: how it came to be, from what, and what it is worth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from anchor_train.pipeline.pipeline import Pipeline, StageStatus
from anchor_train.pipeline.trained import TrainedModel
from anchor_train.publishing.export import ExportForm
from anchor_train.publishing.facts import Facts
from anchor_train.publishing.results import Results, results_of
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.files import resolved_yaml
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.records import conversation_to_json
from anchor_train.run.stage import Stage
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.questions import FILE as QUESTIONS
from anchor_train.stages.questions import read_questions
from anchor_train.stages.registry import KINDS
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.rendering import Ids, prompt_ids
from lm_eval_tasks.prompts import EXAMPLE
from lm_eval_tasks.publishing.addresses import without_places
from lm_eval_tasks.publishing.cards import TAG, card, fenced, made_with
from lm_eval_tasks.publishing.shown_runs import judge_name
from lm_eval_tasks.tasks.load import load_task, task_names

COMPARED = 3
_START = "This is the starting point of alignment"
_SFT = {
    "answer": (
        "Fine-tuned on the answers of a multiple-choice task alone (supervised fine-tuning, HOW). "
        f"{_START}: it tends to choose better and to explain worse than its base model."
    ),
    "form": (
        "Fine-tuned on the right choices of a multiple-choice task, within the tag that a reply has for them "
        f"(supervised fine-tuning, HOW; `sft.target: form`, which is not the paper's). {_START}."
    ),
    "rationale": (
        "Fine-tuned on whole replies to a multiple-choice task, made of the data set's own rationales "
        f"(supervised fine-tuning, HOW; `sft.target: rationale`, which is not the paper's). {_START}."
    ),
}
_FROM = {
    "form": (
        " Before that it was fine-tuned on right choices within their tag (`sft.target: form`), not on "
        "bare answers as in the paper."
    ),
    "rationale": (
        " Before that it was fine-tuned on the data set's rationales (`sft.target: rationale`), not on "
        "bare answers as in the paper."
    ),
}
_SNIPPET = """\
```python
{imports}

model = {name}.from_pretrained("FOLDER")
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
prompt = tokenizer.apply_chat_template(
    turns, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
reply = model.generate(**prompt, max_new_tokens={tokens})
print(tokenizer.decode(reply[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
```

```
anchor-eval run --model hf --model-args {arguments} --tasks {task} -o RUN
```"""


def model_card(
    pipeline: Pipeline, trained: TrainedModel, form: ExportForm = "adapter", facts: Facts | None = None
) -> str:
    """The card of one trained model: method, use, data, results, limits, settings.

    Addresses and paths of this machine are left out of what the run says of itself.

    Args:
        pipeline: The run.
        trained: The model.
        form: What the folder holds that the card is for.
        facts: What the run doesn't know.
    """
    facts = facts or Facts()
    stage = trained.stage
    recipe = pipeline.recipe.as_of(stage.strategy)
    statuses = {status.stage.key: status for status in pipeline.status()}
    found = _summary(statuses, "evaluate/table")
    results = None if found is None else results_of(pipeline, trained, found)
    strategy = None if stage.method is None else STRATEGIES[stage.method]
    title = f"{Path(recipe.model.name).name}, {trained.name}, {_task_name(recipe.task)}"
    parts = [
        f"# {title}",
        _SFT[recipe.sft.target].replace("HOW", "LoRA" if recipe.sft.lora is not None else "all weights")
        if strategy is None
        else f"{strategy.about}{_FROM.get(recipe.sft.target, '')}{_variant(stage)}",
        f"Base model: {_base(recipe, facts)}. Task: `{_task_name(recipe.task)}`. Seed: {recipe.seed}. "
        f"Rounds: {trained.stage.round or 0}.",
        f"## Use\n\n{_use(recipe, form, facts)}",
        f"## Prompt\n\n{_prompt_note(pipeline)}",
        f"## Data\n\n{_provenance(trained, recipe, facts)}\n\n{_data(pipeline, trained, statuses)}",
        f"## Results\n\n{'Not evaluated.' if results is None else results.text()}",
        f"## Limits\n\n{_limits(recipe, results)}",
        f"## Settings\n\n{fenced(without_places(resolved_yaml(recipe)), 'yaml')}",
        f'Made with {made_with()} (`anchor-train`), after "Anchored Alignment for '
        'Self-Explanations Enhancement" (arXiv 2410.13216).',
    ]
    return card(_head(trained, recipe, form, facts, results, title), parts)


def _head(
    trained: TrainedModel,
    recipe: Recipe,
    form: ExportForm,
    facts: Facts,
    results: Results | None,
    title: str,
) -> dict[str, Any]:
    """The front matter, by which the hub files the model."""
    strategy = None if trained.stage.method is None else STRATEGIES[trained.stage.method]
    tag = "sft" if strategy is None else strategy.tag or strategy.name
    spec = load_task(recipe.task)
    split = recipe.evaluate.split or spec.evaluation_split
    name = title if facts.name is None else facts.name.rpartition("/")[2]
    return {
        "base_model": facts.base_model or (None if Path(recipe.model.name).exists() else recipe.model.name),
        "base_model_relation": "finetune" if form == "merged" else "adapter",
        "library_name": "transformers" if form == "merged" else "peft",
        "pipeline_tag": "text-generation",
        **facts.licence,
        "language": ["en"] if recipe.task in task_names() else None,
        "datasets": list(_data_sets(recipe, facts)),
        "tags": [TAG, "self-explanations", tag],
        "model-index": [] if results is None else results.model_index(name, spec, split),
    }


def _data_sets(recipe: Recipe, facts: Facts) -> tuple[str, ...]:
    """Data sets on the hub that the training questions are from; of files nobody knows unless it was told."""
    spec = load_task(recipe.task)
    if facts.data_sets or recipe.data_dir is not None or spec.data_dir is not None or not spec.dataset_path:
        return facts.data_sets
    return (spec.dataset_path,)


def _provenance(trained: TrainedModel, recipe: Recipe, facts: Facts) -> str:
    """Where the training's questions are from, and who wrote and judged its replies."""
    spec, split = load_task(recipe.task), recipe.questions.split
    known = _data_sets(recipe, facts)
    if spec.custom_dataset is not None:
        source = f"made by `{spec.custom_dataset}`, split `{split}`"
    elif known:
        source = f"split `{split}` of {', '.join(f'`{name}`' for name in known)}"
        if spec.dataset_name and not facts.data_sets:
            source += f", configuration `{spec.dataset_name}`"
    else:
        source = f"split `{split}` of local files in a layout of task `{spec.name}`"
        source += f" (its data set on the hub is `{spec.dataset_path}`)" if spec.dataset_path else ""
    if trained.stage.method is None:
        return f"Training questions: {source}. What went into this model:"
    return (
        f"Training questions: {source}. Replies to them were sampled from the model in training itself; "
        f"where a "
        f"judge was asked, it was {_judge(recipe.judge)}. What went into this model:"
    )


def _judge(judge: str | dict[str, Any]) -> str:
    roles = {"base": "the base model", "latest": "the newest aligned model, at first the base model"}
    if isinstance(judge, str):
        return roles.get(judge, f"`{judge_name(judge)}`")
    return f"`{without_places(json.dumps(judge, ensure_ascii=False))}`"


def _limits(recipe: Recipe, results: Results | None) -> str:
    """What the model hasn't been shown to do."""
    lines = [
        f"- Trained for one task, `{_task_name(recipe.task)}`, and its form of replies; what it does "
        f"elsewhere "
        "isn't known.",
        "- What its base model gets wrong, and what it is biased to, it may get wrong still.",
        "- A better explanation need not be the reason for the choice: whether it is wasn't measured here.",
    ]
    if results is None:
        lines.append("- It wasn't evaluated: whether training made it better isn't known.")
        return "\n".join(lines)
    lines.append("- Verdicts on explanations are one judge's, and another may see it differently.")
    if results.difference is not None and results.difference.holds_zero:
        lines.append("- The interval of win - loss holds 0: no difference from the baseline is shown.")
    return "\n".join(lines)


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
            lines.append(f"\n{fenced(without_places(kind.report(found, Path())))}")
    return "\n".join(lines) or "No counts."


def _summary(statuses: dict[str, StageStatus], key: str) -> dict[str, Any] | None:
    """A stage's summary, if it is finished and up to date."""
    status = statuses.get(key)
    if status is None or status.record is None or status.state != "finished":
        return None
    return status.record.summary


def compared_prompts(pipeline: Pipeline) -> list[Ids]:
    """What a merged model and its adapter are both asked: questions of the run's own."""
    recipe, spec = pipeline.recipe, asked_in_form(pipeline.run, pipeline.recipe)
    folder = pipeline.run.stage("questions")
    questions = read_questions(folder)[:COMPARED] if (folder / QUESTIONS).is_file() else [EXAMPLE]
    tokenizer = load_tokenizer(recipe.model)
    return [prompt_ids(tokenizer, spec.explain_conversation(question)) for question in questions]


def _base(recipe: Recipe, facts: Facts) -> str:
    """The base model by its name; a folder of this machine says nothing elsewhere."""
    path = Path(recipe.model.name)
    if facts.base_model is not None:
        return f"`{facts.base_model}`"
    if path.exists():
        return f"`{path.name}` (a folder of local weights)"
    revision = "" if recipe.model.revision is None else f", revision `{recipe.model.revision}`"
    return f"`{recipe.model.name}`{revision}"


def _use(recipe: Recipe, form: ExportForm, facts: Facts) -> str:
    """How to load it, in Python and with the harness."""
    path = Path(recipe.model.name)
    if form == "merged":
        imports, name = "from transformers import AutoModelForCausalLM, AutoTokenizer", "AutoModelForCausalLM"
        arguments = "pretrained=FOLDER"
    else:
        name = "AutoPeftModelForCausalLM"
        imports = f"from peft import {name}\nfrom transformers import AutoTokenizer"
        base = facts.base_model or (path.name if path.exists() else recipe.model.name)
        arguments = f"pretrained={base},peft=FOLDER"
    text = _SNIPPET.format(
        imports=imports,
        name=name,
        tokens=recipe.evaluate.max_tokens,
        arguments=arguments,
        task=_task_name(recipe.task),
    )
    if facts.name is None:
        return f"`FOLDER` is the folder of this card, `turns` the prompt below.\n\n{text}"
    return f"`turns` is the prompt below.\n\n{text.replace('FOLDER', facts.name)}"


def _prompt_note(pipeline: Pipeline) -> str:
    """What it is asked, word for word, with a question of no data set in it."""
    spec = asked_in_form(pipeline.run, pipeline.recipe)
    turns = json.dumps(conversation_to_json(spec.explain_conversation(EXAMPLE)), indent=1, ensure_ascii=False)
    return (
        "It is asked to explain first and then to choose, and replies with "
        "`<explanation> … </explanation>` and `<choice> … </choice>`; `anchor-eval` renders that very prompt "
        f"(reply form `{spec.form}`):\n\n```python\nturns = {turns}\n```"
    )


def _task_name(task: str) -> str:
    return Path(task).stem if task.endswith((".yaml", ".yml")) else task
