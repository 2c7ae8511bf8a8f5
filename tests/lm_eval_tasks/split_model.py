"""An evaluation that splits its documents over processes on CPUs, as the harness does on GPUs only.

``accelerate launch ... -m tests.lm_eval_tasks.split_model JOB.json`` leaves the outcome beside the job.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from lm_eval_tasks.harness.packages import packages_read_here
from lm_eval_tasks.tasks.spec import TASKS


class SplitHFLM(HFLM):  # type: ignore[misc]
    """The harness's ``hf`` with the rank and the number of processes that accelerate has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if hasattr(self, "accelerator"):
            self._rank = self.accelerator.process_index
            self._world_size = self.accelerator.num_processes


@packages_read_here()
def evaluate(
    model: str, tasks: list[str], metadata: dict[str, Any], gen_kwargs: dict[str, Any], limit: int
) -> dict[str, Any] | None:
    """The harness's results with samples; None in all processes but the first."""
    split_model = SplitHFLM(model, device="cpu")
    found: dict[str, Any] | None = lm_eval.simple_evaluate(
        model=split_model,
        tasks=tasks,
        task_manager=TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata),
        apply_chat_template=True,
        gen_kwargs=gen_kwargs,
        limit=limit,
    )
    return None if found is None else {**found, "processes": split_model.world_size}


if __name__ == "__main__":
    job = Path(sys.argv[1])
    outcome = evaluate(**json.loads(job.read_text()))
    if outcome is not None:
        kept = {key: outcome[key] for key in ("results", "samples", "processes")}
        job.with_suffix(".out.json").write_text(json.dumps(kept, default=str))
