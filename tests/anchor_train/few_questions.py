"""The pocket task with a handful of questions: the usual hundreds take a second to make."""

from __future__ import annotations

from pathlib import Path

import yaml

import lm_eval_tasks.pocket
from lm_eval_tasks.tasks.spec import TASKS

NAME = "pocket_explain"
POCKET = Path(lm_eval_tasks.pocket.__file__).parent / "model"


def small_task(folder: Path) -> Path:
    """The file of the task."""
    path = folder / "pocket.yaml"
    sizes = {"train": 4, "validation": 2, "test": 6}
    values = {"include": str(TASKS / f"{NAME}.yaml"), "task": NAME, "dataset_kwargs": {"pocket_sizes": sizes}}
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path
