"""What each command needs: processor time, memory and disk.

    python -m benchmarks.footprint smollm2 -o work                    # the table of the README, half an hour
    python -m benchmarks.footprint smollm2 -o work --only compare leaderboard

Runs the commands one after the other in ``-o`` on the ten questions that come with the package, with the
model as its own judge. Processor time counts all processes of a command, so that other work on the machine
changes little of it; on two cores nothing takes less than half of that. Memory is the sum of what a command's
processes hold at its height, disk what it leaves in ``-o``. Prints Markdown; what the commands say goes to
stderr.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.coverage.tables import markdown

EVALUATION = "lm_eval_tasks"
TRAINING = "anchor_train"
LOOK = 0.2


def commands(model: str) -> dict[str, tuple[str, list[str]]]:
    """What the table calls a command -> its module and arguments."""
    judge = f"transformers:{model}"
    ask = ["--model", "hf", "--model-args", f"pretrained={model}", "--tasks", "demo_explain"]
    compact = ["--verdict-form", "compact"]
    return {
        "run, 40 replies, judged": (
            EVALUATION,
            ["run", *ask, "--repeats", "4", "--judge", judge, "-o", "runs/m1"],
        ),
        "score, compact verdicts": (
            EVALUATION,
            ["score", "runs/m1", "--judge", judge, *compact],
        ),
        "probe, early": (EVALUATION, ["probe", "runs/m1", *ask[:4], "--kinds", "early", "-o", "runs/m1"]),
        "audit, consistency of 10": (
            EVALUATION,
            ["audit", "runs/m1", "--judge", judge, "--kinds", "consistency", "-n", "10", *compact],
        ),
        "compare": (EVALUATION, ["compare", "runs/m1", "runs/m2"]),
        "leaderboard": (EVALUATION, ["leaderboard", "runs", "-o", "site"]),
        "annotate": (EVALUATION, ["annotate", "runs/m1", "runs/m2", "-n", "20", "-o", "rating"]),
        "power": (EVALUATION, ["power", "--questions", "254", "--samples", "16"]),
        "gate, on judgements that are there": (
            EVALUATION,
            ["gate", "runs/m1", "--baseline", "runs/m2", "--margin", "-0.5"],
        ),
        "anchor-train demo": (TRAINING, ["demo", "-o", "demo"]),
    }


def measured(module: str, arguments: list[str], folder: Path) -> list[str]:
    """A row: minutes of processor time and of the clock, GiB of memory, MB of disk."""
    before, began = _size(folder), time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", module, *arguments], cwd=folder, stdout=sys.stderr)
    used: dict[int, float] = {}
    most = 0
    while process.poll() is None:
        most = max(most, _look(process.pid, used))
        time.sleep(LOOK)
    if process.returncode not in (0, 1, 4):
        sys.exit(f"{module} {arguments[0]} ended with exit code {process.returncode}")
    minutes = (time.monotonic() - began) / 60
    return [
        f"{sum(used.values()) / 60:.1f}",
        f"{minutes:.1f}",
        f"{most / 2**30:.1f}",
        f"{max(0, _size(folder) - before) / 1e6:.1f}",
    ]


def _look(pid: int, used: dict[int, float]) -> int:
    """Bytes that the processes hold now; their processor time goes into ``used``."""
    held = 0
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    for one in tree:
        try:
            times = one.cpu_times()
            used[one.pid] = times.user + times.system
            held += one.memory_full_info().pss
        except psutil.Error:
            continue
    return held


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="its folder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=[], help="rows that begin so")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"{datetime.date.today()}, {os.cpu_count()} cores, {platform.machine()}\n", flush=True)
    rows = []
    for name, (module, arguments) in commands(str(options.model.resolve())).items():
        if options.only and not name.startswith(tuple(options.only)):
            continue
        other = options.output / "runs" / "m2"
        if name == "compare" and not other.exists():  # a second run of the same replies
            shutil.copytree(options.output / "runs" / "m1", other)
        rows.append([name, *measured(module, arguments, options.output)])
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    print(markdown(["command", "processor, min", "clock, min", "memory, GiB", "disk, MB"], rows))


if __name__ == "__main__":
    main()
