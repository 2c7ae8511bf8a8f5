"""Win rates of two runs with 1,000 bootstrap draws, against the plain loop over all N x N cells.

    python benchmarks/bench_win_rates.py                        # 1,000,000 questions x 16 samples
    python benchmarks/bench_win_rates.py --questions 100000

The plain loop is Python's, cell by cell, on the first questions only (its time grows with their number).
Beside it stand the N x N comparison as a numpy user writes it, and plain bootstraps: draw questions, take the
mean. Times are medians of several rounds; the results are compared with each other.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from lm_eval_tasks.stats.estimation.estimates import Estimate, difference, means
from lm_eval_tasks.stats.estimation.intervals import SHARE
from lm_eval_tasks.stats.estimation.resampling import resampled_means
from lm_eval_tasks.stats.win_rate import PairCounts, pair_counts

T = TypeVar("T")


def plain_loop(first: list[list[int]], second: list[list[int]]) -> list[list[int]]:
    found = []
    for mine, theirs in zip(first, second, strict=True):
        wins = ties = losses = 0
        for one in mine:
            for other in theirs:
                if one > other:
                    wins += 1
                elif one == other:
                    ties += 1
                else:
                    losses += 1
        found.append([wins, ties, losses])
    return found


def numpy_cells(first: Any, second: Any, block: int = 4096) -> Any:
    found = []
    for start in range(0, len(first), block):
        mine, theirs = first[start : start + block, :, None], second[start : start + block, None, :]
        wins, losses = (mine > theirs).sum((1, 2)), (mine < theirs).sum((1, 2))
        found.append(np.stack([wins, mine.shape[1] * theirs.shape[2] - wins - losses, losses], axis=1))
    return np.concatenate(found)


def plain_bootstrap(margins: Any, draws: int) -> float:
    random = np.random.default_rng(0)
    questions = len(margins)
    return float(np.std([margins[random.integers(0, questions, questions)].mean() for _ in range(draws)]))


def python_bootstrap(margins: list[float], draws: int) -> float:
    questions = len(margins)
    found = [sum(random.choices(margins, k=questions)) / questions for _ in range(draws)]
    return statistics.pstdev(found)


def interval(counts: PairCounts) -> Estimate:
    win, _, loss = means(counts.shares(), SHARE)
    return difference(win, loss).estimate()


def timed(rounds: int, function: Callable[..., T], *arguments: Any) -> tuple[float, T]:
    """Median seconds, and what came of it."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = function(*arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times), found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop-questions", type=int, default=20_000)
    parser.add_argument("--plain-draws", type=int, default=50)
    options = parser.parse_args()
    questions, draws, rounds = options.questions, options.draws, options.rounds
    dice = np.random.default_rng(0)
    first, second = (dice.integers(0, 26, (questions, options.samples), dtype=np.int32) for _ in range(2))
    interval(pair_counts(first[:100], second[:100]))  # imports scipy

    counting, counts = timed(rounds, pair_counts, first, second)
    interval_time, margin = timed(rounds, interval, counts)
    drawing, _ = timed(rounds, resampled_means, counts.shares(), draws, 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    few = min(options.loop_questions, questions)
    loop, slow = timed(rounds, plain_loop, first[:few].tolist(), second[:few].tolist())
    loop *= questions / few
    cells, quick = timed(1, numpy_cells, first, second)
    found = np.stack([counts.wins, counts.ties, counts.losses], axis=1)
    if found[:few].tolist() != slow or not np.array_equal(found, quick):
        sys.exit("the results differ")
    bare, spread = timed(
        1, plain_bootstrap, (found[:, 0] - found[:, 2]) / found.sum(axis=1), options.plain_draws
    )
    bare *= draws / options.plain_draws
    margins = ((found[:few, 0] - found[:few, 2]) / found[:few].sum(axis=1)).tolist()
    python, _ = timed(rounds, python_bootstrap, margins, 1)
    python *= draws * questions / few

    print(f"{questions:,} questions x {options.samples} samples, {draws:,} draws; medians of {rounds}")
    print(f"{'':34}{'seconds':>10}{'ratio':>8}")
    for name, seconds, ours in (
        ("counting the pairs: ours", counting, counting),
        (f"  plain loop ({few:,} measured)", loop, counting),
        ("  numpy, N x N cells", cells, counting),
        ("interval of win - loss: ours", interval_time, interval_time),
        ("bootstrap: ours", drawing, drawing),
        (f"  plain numpy ({options.plain_draws} draws measured)", bare, drawing),
        ("  plain Python (one draw measured)", python, drawing),
        ("both: ours", counting + drawing, counting + drawing),
        ("  plain loop and numpy bootstrap", loop + bare, counting + drawing),
        ("  plain loops for both", loop + python, counting + drawing),
    ):
        print(f"{name:34}{seconds:10.3f}{seconds / ours:7.1f}x")
    print(f"margin {margin.value:+.5f} [{margin.low:+.5f}, {margin.high:+.5f}], stderr {margin.stderr:.6f}")
    print(f"plain bootstrap's stderr {spread:.6f}; peak memory, data and ours: {peak:.2f} GiB")


if __name__ == "__main__":
    main()
