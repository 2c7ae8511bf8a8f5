"""How long each command takes to print its help, against ``trl --help`` and ``lm_eval --help``.

    python benchmarks/startup.py

In turns, so that a busy moment meets all of them; medians of ten. The first turn, which may read from the
disk, isn't counted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import click

from anchor_train.cli import main as anchor_train
from lm_eval_tasks.cli import main as anchor_eval

OTHERS = (("trl",), ("lm_eval",))


def commands() -> list[tuple[str, ...]]:
    """All of ours, groups and subcommands."""
    found: list[tuple[str, ...]] = []
    for name, group in (("anchor-eval", anchor_eval), ("anchor-train", anchor_train)):
        assert isinstance(group, click.Group)
        found.append((name,))
        found += [(name, command) for command in group.list_commands(click.Context(group))]
    return found


def seconds(command: tuple[str, ...]) -> float:
    program = str(Path(sys.executable).with_name(command[0]))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    start = time.perf_counter()
    subprocess.run(
        [program, *command[1:], "--help"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
        env=environment,
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=10)
    options = parser.parse_args()
    all_commands = [*OTHERS, *commands()]
    times: dict[tuple[str, ...], list[float]] = {command: [] for command in all_commands}
    for turn in range(options.turns + 1):
        for command in all_commands:
            taken = seconds(command)
            if turn:
                times[command].append(taken)
    faster = min(statistics.median(times[command]) for command in OTHERS)
    print(f"{'--help of':28}{'median s':>10}{'share of the faster':>21}")
    for command, taken in times.items():
        median = statistics.median(taken)
        print(f"{' '.join(command):28}{median:10.3f}{median / faster:21.2f}")


if __name__ == "__main__":
    main()
