"""Training in a process of its own, which ends before the next stage takes the memory.

One process is started plainly; more, or a launch that accelerate's own file describes, by ``accelerate
launch``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from anchor_train.recipes.section_settings import LaunchSettings
from anchor_train.training.job import OutputFolder, TrainingJob, TrainingReport
from judges.child_process import process_ending, read_error, run_command, run_main
from judges.errors import TrainingError, explained_by_log

WORKER = "anchor_train.training.worker"
PRELOAD = "anchor_train.run.fork_preload"


def launch(job: TrainingJob, settings: LaunchSettings | None = None) -> TrainingReport:
    """Carries a training out in a process (or several) of its own and waits for it.

    Progress is told to the user. If this process dies, the worker ends too; run again, it goes on from the
    last whole checkpoint.

    Raises:
        AnchorError: The worker's own error, as if it had been raised here.
        TrainingError: If the worker died.
    """
    settings = settings or LaunchSettings()
    folder = OutputFolder(job.output)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.error.unlink(missing_ok=True)
    folder.job.write_text(json.dumps(job.to_json(), indent=2), encoding="utf-8")

    several = settings.processes > 1 or settings.accelerate_config is not None
    code = (
        run_command(command(folder.job, settings))
        if several
        else run_main(WORKER, folder.job, preload=PRELOAD)
    )
    if folder.error.is_file():
        raise read_error(folder.error)
    report = folder.read_report()
    if code or report is None:
        raise explained_by_log(TrainingError(f"{job.stage}: the training process {process_ending(code)}"))
    return report


def command(job: Path, settings: LaunchSettings) -> list[str]:
    """The command line that carries out the job in a file in several processes."""
    worker = ["-m", WORKER, str(job)]
    accelerate = [sys.executable, "-m", "accelerate.commands.launch"]
    if settings.accelerate_config is not None:
        options = ["--config_file", str(settings.accelerate_config)]
        if settings.processes > 1:
            options += ["--num_processes", str(settings.processes)]
        return [*accelerate, *options, *worker]
    # "multi_gpu" is accelerate's word for one process a device; the worker itself takes CPUs where there is
    # no GPU.
    return [
        *accelerate,
        *("--multi_gpu", "--num_processes", str(settings.processes), "--num_machines", "1"),
        *("--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"),
        *worker,
    ]
