"""Counts how often intervals hold, and prints the tables of RESULTS.md.

python -m benchmarks.coverage                          # everything at full size, a quarter of an hour
python -m benchmarks.coverage intervals --runs 4000    # one part
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TypeAlias

from benchmarks.coverage import budgets, correction, intervals, lengths, power, stopping
from benchmarks.coverage.tables import error, percent

Sizes: TypeAlias = Sequence[int]
PARTS: dict[str, tuple[int, Sizes, Callable[[int, Sizes], str]]] = {
    "intervals": (4000, (20, 50, 100, 200), lambda runs, at: intervals.table(intervals.cells(runs, at))),
    "consumers": (
        2000,
        (20, 50, 100),
        lambda runs, at: intervals.consumer_table(intervals.consumers(runs, at)),
    ),
    "budgets": (2000, (50, 200), lambda runs, at: budgets.table(budgets.cells(runs, at))),
    "lengths": (1000, (50, 100, 300), lambda runs, at: lengths.table(lengths.cells(runs, at))),
    "power": (4000, (5, 10, 20, 50, 200), lambda runs, at: power.table(power.cells(runs, at))),
    "gates": (2000, (250, 1000), lambda runs, at: stopping.gate_table(stopping.gates(runs, at))),
    "correction": (2000, (30, 60, 120), lambda runs, at: correction.table(correction.cells(runs, at))),
    "stopping": (4000, (2000,), lambda runs, at: stopping.table(stopping.cells(runs, at))),
}
"""Part -> runs a cell and numbers of questions at full size, and how to make its table."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="Which; default: all.")
    parser.add_argument("--runs", type=int, help="Evaluations a cell, instead of as many as RESULTS.md has.")
    parser.add_argument("--questions", type=int, nargs="+", help="Numbers of questions, instead of all.")
    options = parser.parse_args()
    for name in options.parts or PARTS:
        full, sizes, make = PARTS[name]
        runs = options.runs or full
        print(f"{name}: {runs} runs a cell; standard error {percent(error(0.05, runs))} points at 5%\n")
        print(make(runs, options.questions or sizes), flush=True)
        print()


if __name__ == "__main__":
    main()
