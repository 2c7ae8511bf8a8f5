"""The process that trains: ``python -m anchor_train.training.worker JOB.json``, alone or under ``accelerate
launch``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from anchor_train.training.job import OutputFolder, TrainingJob
from anchor_train.training.train import train
from judges.child_process import end_with_parent, write_error
from judges.errors import AnchorError, DataError, TrainingError
from lm_eval_tasks.harness.ranks import leave_group


def main(arguments: list[str] | None = None) -> int:
    """Carries out a job; its report is left in the output folder.

    Returns:
        0, or 1 after an error (one line on standard error, and ``error.json`` for the launching process).
    """
    (path,) = sys.argv[1:] if arguments is None else arguments
    launched = end_with_parent()
    distributed = "WORLD_SIZE" in os.environ
    if not distributed:
        _take_one_gpu()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    job = read_job(Path(path))
    try:
        train(job)
        leave_group()
    except AnchorError as error:
        if not launched:
            print(f"Error: {error}", file=sys.stderr)
        # One process may be out of memory while others wait for it: its bad exit code ends them. Other errors
        # are met by every process alike, and a bad exit code would have torch's launcher print a traceback.
        alone = isinstance(error, TrainingError)
        if alone or os.environ.get("RANK", "0") == "0":
            write_error(OutputFolder(job.output).error, error)
        return 0 if distributed and launched and not alone else 1
    return 0


def read_job(path: Path) -> TrainingJob:
    """Reads a job file.

    Raises:
        DataError: If it isn't one.
    """
    try:
        return TrainingJob.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not a training job: {error}") from None


def _take_one_gpu() -> None:
    """Lets this process see one GPU only: transformers would spread it over all of them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    os.environ["CUDA_VISIBLE_DEVICES"] = visible.split(",")[0]


if __name__ == "__main__":
    sys.exit(main())
