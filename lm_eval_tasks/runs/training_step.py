"""The training step that a run's model was saved at, as its name or the run's tells it."""

from __future__ import annotations

import re

from lm_eval_tasks.runs.discovery import Run

# As transformers names folders of checkpoints; a run folder may be called by its step as well.
_OF_MODEL = re.compile(r"(?:\A|[/_])checkpoint-(\d+)/?\Z")
_OF_FOLDER = re.compile(r"(?:\A|.*[/_-])(?:checkpoint|step)[-_]?(\d+)\Z")


def training_step(run: Run) -> int | None:
    """The step; None where neither the model's path nor the folder's name ends in one.

    Examples: a model ``out/checkpoint-200``, a run folder ``runs/step-200`` or ``runs/m1-checkpoint-200``.
    """
    found = _OF_MODEL.search(run.model) or _OF_FOLDER.match(run.path.resolve().name)
    return None if found is None else int(found[1])
