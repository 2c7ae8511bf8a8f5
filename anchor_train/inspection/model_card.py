"""The README of an exported model: how it came to be, from what, and what it is worth."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from anchor_train.inspection.export import ExportForm
from anchor_train.pipeline.pipeline import Pipeline, StageStatus
from anchor_train.pipeline.trained import TrainedModel
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.files import resolved_yaml
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.records import conversation_to_json
from anchor_train.run.stage import Stage
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.parts.paper_table import Table
from anchor_train.stages.questions import FILE as QUESTIONS
from anchor_train.stages.questions import read_questions
from anchor_train.stages.registry import KINDS
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.rendering import Ids, prompt_ids
from lm_eval_tasks.prompts import EXAMPLE

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
`FOLDER` is the folder of this card, `turns` the prompt below.

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


def model_card(pipeline: Pipeline, trained: TrainedModel, form: ExportForm = "adapter") -> str:
    """The card of one trained model: method, use, data counts, results, settings.

    Args:
        pipeline: The run.
        trained: The model.
        form: What the folder holds that the card is for.
    """
    stage = trained.stage
    recipe = pipeline.recipe.as_of(stage.strategy)
    statuses = {status.stage.key: status for status in pipeline.status()}
    strategy = None if stage.method is None else STRATEGIES[stage.method]
    tag = "sft" if strategy is None else strategy.tag or strategy.name
    head = {
        "base_model": recipe.model.name if not Path(recipe.model.name).exists() else None,
        "base_model_relation": "finetune" if form == "merged" else "adapter",
        "library_name": "transformers" if form == "merged" else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["anchored-explanations", "self-explanations", tag],
    }
    front = "\n".join(f"{key}: {json.dumps(value)}" for key, value in head.items() if value is not None)
    parts = [
        f"---\n{front}\n---",
        f"# {Path(recipe.model.name).name}, {trained.name}, {_task_name(recipe.task)}",
        _SFT[recipe.sft.target].replace("HOW", "LoRA" if recipe.sft.lora is not None else "all weights")
        if strategy is None
        else f"{strategy.about}{_FROM.get(recipe.sft.target, '')}{_variant(stage)}",
        f"Base model: {_base(recipe.model.name)}. Task: `{recipe.task}`. Seed: {recipe.seed}. "
        f"Rounds: {trained.stage.round or 0}.",
        f"## Use\n\n{_use(recipe, form)}",
        f"## Prompt\n\n{_prompt_note(pipeline)}",
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


def compared_prompts(pipeline: Pipeline) -> list[Ids]:
    """What a merged model and its adapter are both asked: questions of the run's own."""
    recipe, spec = pipeline.recipe, asked_in_form(pipeline.run, pipeline.recipe)
    folder = pipeline.run.stage("questions")
    questions = read_questions(folder)[:COMPARED] if (folder / QUESTIONS).is_file() else [EXAMPLE]
    tokenizer = load_tokenizer(recipe.model)
    return [prompt_ids(tokenizer, spec.explain_conversation(question)) for question in questions]


def _base(name: str) -> str:
    """The base model by its name; a folder of this machine says nothing elsewhere."""
    path = Path(name)
    return f"`{path.name}` (a folder of local weights)" if path.exists() else f"`{name}`"


def _use(recipe: Recipe, form: ExportForm) -> str:
    """How to load it, in Python and with the harness."""
    path = Path(recipe.model.name)
    if form == "merged":
        imports, name = "from transformers import AutoModelForCausalLM, AutoTokenizer", "AutoModelForCausalLM"
        arguments = "pretrained=FOLDER"
    else:
        name = "AutoPeftModelForCausalLM"
        imports = f"from peft import {name}\nfrom transformers import AutoTokenizer"
        arguments = f"pretrained={path.name if path.exists() else recipe.model.name},peft=FOLDER"
    return _SNIPPET.format(
        imports=imports,
        name=name,
        tokens=recipe.evaluate.max_tokens,
        arguments=arguments,
        task=_task_name(recipe.task),
    )


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


def _version() -> str:
    try:
        return version("anchored-explanations")
    except PackageNotFoundError:
        return "(not installed)"
