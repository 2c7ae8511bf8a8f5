"""Runs the real harness: its command line in a process of its own, or its function in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_tasks.tasks.spec import TASKS

ROOT = Path(__file__).resolve().parent.parent.parent


def environment() -> dict[str, str]:
    """This process's own, with the package on the path and without the hub."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # starts in half the time
    }


@dataclass(frozen=True)
class Outcome:
    """What a run of ``lm_eval`` left behind."""

    results: dict[str, Any]
    samples: dict[str, list[dict[str, Any]]]
    messages: str

    def value(self, task: str, metric: str) -> float:
        """A metric as the results file has it."""
        found: float = self.results["results"][task][f"{metric},none"]
        return found

    def metrics(self, task: str) -> set[str]:
        """Names of the metrics of a task."""
        keys = self.results["results"][task]
        return {key.removesuffix(",none") for key in keys if key.endswith(",none") and "_stderr" not in key}


def lm_eval(
    output: Path,
    model: str,
    model_args: str,
    tasks: str,
    metadata: dict[str, Any],
    *options: str,
    as_installed: bool = False,
) -> Outcome:
    """``lm_eval run`` with samples logged to ``output``.

    Args:
        output: The run folder.
        model: As ``--model``.
        model_args: As ``--model_args``.
        tasks: As ``--tasks``.
        metadata: As ``--metadata``.
        options: Further options.
        as_installed: Whether as users call it, with the harness's own tasks beside ours.
    """
    module = "lm_eval" if as_installed else "tests.lm_eval_tasks.lean_lm_eval"
    command = [sys.executable, "-m", module, "run", "--model", model]
    command += ["--model_args", model_args, "--tasks", tasks, "--include_path", str(TASKS)]
    command += ["--output_path", str(output), "--log_samples", "--metadata", json.dumps(metadata), *options]
    done = subprocess.run(
        command,
        env=environment(),
        cwd=output.parent,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Outcome(*_read(output), done.stdout + done.stderr)


def _read(output: Path) -> tuple[dict[str, Any], dict[str, list[dict[str, Any]]]]:
    results_files = sorted(output.glob("*/results_*.json"))
    if not results_files:
        return {}, {}
    samples = {}
    for path in sorted(output.glob("*/samples_*.jsonl")):
        task = path.name.removeprefix("samples_").rpartition("_")[0]
        samples[task] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return json.loads(results_files[-1].read_text()), samples
