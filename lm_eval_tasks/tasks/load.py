"""Finds tasks and reads their files: built-in ones by name, a user's own by path or folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from judges.errors import ConfigError
from judges.settings import load_yaml, nearest, parse
from judges.storage.yaml_files import SafeLoader
from lm_eval_tasks.prompts import load_prompts
from lm_eval_tasks.prompts.examples import load_examples
from lm_eval_tasks.prompts.refine import load_refine_prompts
from lm_eval_tasks.prompts.reply_form import ReplyForm
from lm_eval_tasks.tasks.spec import REFINED, SPLITS, TASKS, TaskSettings, TaskSpec

# Keys of the harness that say nothing about questions, prompts or sampling.
_HARNESS_KEYS = frozenset({"class", "tag", "task_alias", "group", "include"})


def task_names() -> list[str]:
    """Names of the built-in tasks."""
    return sorted(_built_in())


def _built_in() -> dict[str, Path]:
    return {path.stem: path for end in ("", REFINED) for path in TASKS.rglob(f"*_explain{end}.yaml")}


def load_task(name_or_path: str | Path) -> TaskSpec:
    """Loads a built-in task by name, or one from a YAML file.

    Raises:
        ConfigError: If there is none of that name, or the file isn't a task.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        files = _built_in()
        if str(name_or_path) not in files:
            raise ConfigError(
                f"no task {str(name_or_path)!r}: {nearest(str(name_or_path), sorted(files))}; or a .yaml file"
            )
        path = files[str(name_or_path)]
    return spec_from(_read_yaml(path), str(path), path)


def find_tasks(
    names: Sequence[str],
    include_path: str | Path | None = None,
    sources: Mapping[str, Path] | None = None,
) -> list[TaskSpec]:
    """Tasks by their names, or by the names of groups of tasks.

    Args:
        names: Built-in tasks and groups, or those of the user's own task files.
        include_path: Folder with the user's own task files, as given to the harness.
        sources: Task -> the YAML that a run was made with, for tasks that are nowhere else.

    Raises:
        ConfigError: If there is none of a name.
    """
    files: dict[str, tuple[Path, Any]] = {}
    for task, source in (sources or {}).items():
        if source.is_file():
            files[task] = source, _read_yaml(source)
    for folder in (TASKS, include_path):
        for path in sorted(Path(folder).rglob("*.yaml")) if folder is not None else ():
            values = _read_yaml(path)
            if isinstance(name := values.get("group", values.get("task")), str):
                files[name] = path, values
    found: dict[str, TaskSpec] = {}
    waiting = [name.strip() for name in names]
    for name in waiting:
        if name not in files:
            hint = "" if include_path else "; a task of your own needs --include-path, the folder of its YAML"
            if sources and name in sources:
                hint = f"; the run was made with {sources[name]}, which isn't there any more{hint}"
            raise ConfigError(f"no task {name!r}: {nearest(name, files)}{hint}")
        path, values = files[name]
        if "group" in values:
            waiting += [member for member in values.get("task", []) if isinstance(member, str)]
        else:
            found.setdefault(name, load_task(path))
    return list(found.values())


def spec_from(values: Mapping[str, Any], where: str, path: Path | None = None) -> TaskSpec:
    """Builds a task from the mapping that its YAML holds.

    Args:
        values: The YAML's keys.
        where: What to call it in error messages.
        path: The YAML, which a relative ``data_dir`` starts from.

    Raises:
        ConfigError: Listing everything that is wrong with it.
    """
    own = {key: value for key, value in values.items() if key not in _HARNESS_KEYS}
    settings = parse(TaskSettings, own, where)
    named = zip(
        SPLITS, (settings.training_split, settings.validation_split, settings.test_split), strict=True
    )
    data_dir = None
    if settings.data_dir is not None:
        data_dir = (path.parent if path else Path()) / Path(settings.data_dir).expanduser()
    prompts = load_prompts(settings.prompt, where)
    spec = TaskSpec(
        name=settings.task,
        version=str(settings.metadata.get("version", 0)),
        layouts=settings.fields,
        prompts=prompts,
        protocol=settings.protocol,
        refine_prompts=load_refine_prompts(settings.refine, prompts, where),
        dataset_path=settings.dataset_path,
        dataset_name=settings.dataset_name,
        dataset_options=settings.dataset_kwargs,
        custom_dataset=settings.custom_dataset,
        examples=load_examples(settings.examples, where),
        splits={split: name for split, name in named if name},
        repeats=settings.repeats,
        generation=settings.generation_kwargs,
        data_dir=data_dir,
        original=settings.original,
        path=path,
    )
    return spec.in_form(ReplyForm(settings.num_fewshot or 0))


class _TaskLoader(SafeLoader):
    """Plain YAML, and the harness's ``!function`` tag read as the text behind it."""


def _function_name(loader: SafeLoader, node: yaml.Node) -> Any:
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_TaskLoader.add_constructor("!function", _function_name)


def _read_yaml(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The YAML's keys over those of the files that it includes, as the harness merges them."""
    if path.resolve() in seen:
        raise ConfigError(f"{path}: includes itself")
    values = load_yaml(path, _TaskLoader)
    includes = values.pop("include", [])
    names = [includes] if isinstance(includes, str) else includes
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{path}: include = {includes!r}: expected the name of a file, or a list of them")
    merged: dict[str, Any] = {}
    for name in names:
        merged.update(_read_yaml(path.parent / name, (*seen, path.resolve())))
    return {**merged, **values}
