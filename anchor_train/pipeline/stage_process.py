"""A stage in a process of its own: ``python -m anchor_train.pipeline.stage_process JOB.json``.

An engine's memory is free again only when its process has ended; so sampling, judging and evaluating each get
one, and end with the process that started them, however that ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

from anchor_train.pipeline.plan import plan
from anchor_train.recipes.config import Recipe
from anchor_train.run.roles import may_be_forked
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import StageJob, StageResult
from anchor_train.stages.registry import KINDS, do_work
from anchor_train.training.launch import PRELOAD
from judges.child_process import end_with_parent, process_ending, read_error, run_main, write_error
from judges.errors import AnchorError, BackendError, DataError, explained_by_log
from judges.settings import parse
from judges.storage.files import read_object, write_json

JOB = "stage-job.json"
RESULT = "stage-result.json"
ERROR = "stage-error.json"


def do_apart(job: StageJob, lock: int | None = None) -> StageResult:
    """Does a stage's work in a process of its own and waits for it.

    Args:
        job: The stage's job.
        lock: Descriptor of the run folder's lock; the process holds it too while it lives.

    Raises:
        AnchorError: The stage's own error, as if it had been raised here.
        BackendError: If the process died.
    """
    folder = job.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in (RESULT, ERROR):
        (folder / name).unlink(missing_ok=True)
    _write_job(job, folder / JOB)
    loads = KINDS[job.stage.kind].loads(job.recipe)
    code = run_main(
        "anchor_train.pipeline.stage_process",
        folder / JOB,
        lock,
        preload=PRELOAD if loads else None,
        fork=loads or may_be_forked(job.recipe),
    )
    if (folder / ERROR).is_file():
        raise read_error(folder / ERROR)
    if code or not (folder / RESULT).is_file():
        raise explained_by_log(BackendError(f"{job.stage.key}: its process {process_ending(code)}"))
    row = read_object(folder / RESULT)
    for name in (JOB, RESULT):
        (folder / name).unlink()
    return StageResult(tuple(row["outputs"]), row["summary"])


def main(arguments: list[str] | None = None) -> int:
    """Carries out a job file; the result is left beside it."""
    (path,) = sys.argv[1:] if arguments is None else arguments
    end_with_parent()
    job = _read_job(Path(path))
    try:
        result = do_work(job)
    except AnchorError as error:
        write_error(job.folder / ERROR, error)
        return 1
    write_json(job.folder / RESULT, {"outputs": list(result.outputs), "summary": result.summary})
    return 0


def _write_job(job: StageJob, path: Path) -> None:
    write_json(
        path,
        {
            "run": str(job.run.path),
            "recipe": job.recipe.model_dump(mode="json"),
            "stage": job.stage.key,
            "belongs_to": job.belongs_to,
            "retry_failed": job.retry_failed,
        },
    )


def _read_job(path: Path) -> StageJob:
    row = read_object(path)
    recipe = parse(Recipe, row["recipe"], str(path))
    stage = next((stage for stage in plan(recipe) if stage.key == row["stage"]), None)
    if stage is None:
        raise DataError(f"{path}: the recipe has no stage {row['stage']!r}")
    return StageJob(RunFolder(Path(row["run"])), recipe, stage, row["belongs_to"], row["retry_failed"])


if __name__ == "__main__":
    sys.exit(main())
