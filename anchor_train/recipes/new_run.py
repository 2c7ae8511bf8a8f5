"""The recipe that ``anchor-train init`` writes: commented, with the user's model and task in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.files import RECIPES, recipe_from
from anchor_train.recipes.fitting import PAPER, Fitting
from judges.errors import ConfigError, DataError
from judges.settings import nearest
from judges.storage.yaml_files import load_yaml, read_yaml
from lm_eval_tasks.tasks.load import load_task

DEFAULT = "default"
"""A short recipe over the paper's settings."""
AUTO = "auto"
"""A short recipe over that one that fits the model and the machine."""


def new_recipe(
    folder: Path,
    model: str,
    task: str,
    data_dir: Path | None = None,
    recipe: str = DEFAULT,
    fits: Fitting | None = None,
) -> tuple[str, Recipe]:
    """Text and settings of a new run's recipe.

    Args:
        folder: The run folder, as the user named it.
        model: Folder or hub name of the base model.
        task: Task name or file.
        data_dir: Folder with local questions.
        recipe: ``auto`` or ``default`` (short, say what to change first), a built-in recipe, or a .yaml file.
        fits: For ``auto``: what fits the model and the machine.

    Raises:
        ConfigError: If there is no such recipe, or something in it is wrong.
    """
    values = {
        "model": _local_or_name(model),
        "task": _local_or_name(task) if task.endswith((".yaml", ".yml")) else task,
        "data_dir": None if data_dir is None else str(data_dir.expanduser().resolve()),
    }
    # JSON scalars are YAML scalars, whatever a path holds.
    quoted = {name: json.dumps(value) for name, value in values.items() if value is not None}
    if recipe in (AUTO, DEFAULT):
        text = _short(folder, quoted, fits or Fitting(PAPER, "transformers", ""))
    else:
        text = _whole(recipe, quoted)
    if data_dir is not None:
        text = _with_split(text, _split_that_is_there(task, data_dir))
    return text, recipe_from(read_yaml(text, str(folder / "recipe.yaml")), folder / "recipe.yaml")


def _short(folder: Path, quoted: dict[str, str], fits: Fitting) -> str:
    from jinja2 import Environment, StrictUndefined

    # The text is YAML, not HTML; its values are quoted as JSON.
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    template = environment.from_string((RECIPES / "init.jinja").read_text(encoding="utf-8"))
    given = {name: json.loads(value) for name, value in quoted.items()}
    below = recipe_from({**given, "extends": fits.recipe}, folder / "recipe.yaml")
    knobs = {
        "limit": "null" if below.questions.limit is None else below.questions.limit,
        "n": below.sampler.n,
        "max_tokens": below.sampler.max_tokens,
        "target": below.sft.target,
        "r": None if below.sft.lora is None else below.sft.lora.r,
        "alpha": None if below.sft.lora is None else below.sft.lora.alpha,
        "sft_rate": below.sft.optimiser.learning_rate,
        "steps": below.dpo.max_steps,
        "rate": below.dpo.optimiser.learning_rate,
    }
    return template.render(
        folder=folder,
        data_dir=quoted.get("data_dir"),
        recipe=fits.recipe,
        engine=fits.engine,
        why=fits.why,
        limit=below.evaluate.limit,
        knobs=knobs,
        **_known(quoted),
    )


def _known(quoted: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in quoted.items() if name != "data_dir"}


def _whole(recipe: str, quoted: dict[str, str]) -> str:
    """Another recipe's text with these settings behind its opening comment."""
    if recipe.endswith((".yaml", ".yml")):
        path = Path(recipe)
    else:
        path = RECIPES / f"{recipe}.yaml"
        if not path.is_file():
            names = [AUTO, DEFAULT, *(found.stem for found in RECIPES.glob("*.yaml"))]
            raise ConfigError(f"no recipe {recipe!r}: {nearest(recipe, names)}; or a .yaml file")
    load_yaml(path)  # what is wrong with it is said with its own name and lines
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    head = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    own = [line for line in lines[head:] if line.partition(":")[0] not in quoted]
    given = "".join(f"{name}: {value}\n" for name, value in quoted.items())
    return "".join(lines[:head]) + "\n" + given + "".join(own)


def _split_that_is_there(task: str, data_dir: Path) -> str | None:
    """The split to evaluate on where local files lack the task's own; None where they have it."""
    try:
        spec = load_task(task)
    except ConfigError:  # told together with all other mistakes, when the recipe is checked
        return None
    splits = [spec.evaluation_split, *(split for split in ("test", "validation") if split in spec.splits)]
    for split in splits:
        try:
            spec.load(split, data_dir, skip_unreadable_rows=True)  # an odd row is named when it is checked
        except DataError:
            continue
        return split if split != spec.evaluation_split else None
    return None


def _with_split(text: str, split: str | None) -> str:
    """A recipe's text with the evaluation split in it, unless it names one."""
    if split is None or "split" in (yaml.safe_load(text).get("evaluate") or {}):
        return text
    line = f"  split: {split}  # data_dir has no file for the task's own\n"
    if "evaluate" not in yaml.safe_load(text):
        return f"{text.rstrip()}\n\nevaluate:\n{line}"
    return re.sub(r"^evaluate:[ ]*(#.*)?\n", lambda found: found[0] + line, text, count=1, flags=re.MULTILINE)


def _local_or_name(name: str) -> str:
    """A path that exists, made absolute so that the run can be taken up from anywhere; else the name."""
    path = Path(name).expanduser()
    return str(path.resolve()) if path.exists() else name
