"""Win rates from histograms against the plain loop over all N x N cells, and the bootstrap's time and memory.

python benchmarks/bench_win_rates.py                        # 2,000 questions by loop, 1,000,000 by histogram
python benchmarks/bench_win_rates.py --questions 100000
"""

from __future__ import annotations

import argparse
import resource
import sys
import time

import numpy as np

from lm_eval_tasks.statistics import difference, means
from lm_eval_tasks.win_rate import pair_counts


def plain_loop(first: list[list[int]], second: list[list[int]]) -> list[tuple[int, int, int]]:
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
        found.append((wins, ties, losses))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--loop-questions", type=int, default=2000)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    shape = (options.questions, options.samples)
    first, second = (random.integers(0, 26, shape, dtype=np.int32) for _ in range(2))

    few = min(options.loop_questions, options.questions)
    lists = first[:few].tolist(), second[:few].tolist()
    start = time.perf_counter()
    slow = plain_loop(*lists)
    loop = time.perf_counter() - start

    start = time.perf_counter()
    counts = pair_counts(first, second)
    fast = time.perf_counter() - start
    cells = np.stack([counts.wins, counts.ties, counts.losses], axis=1)
    if cells[:few].tolist() != [list(row) for row in slow]:
        sys.exit("the histogram and the loop disagree")

    start = time.perf_counter()
    win, _, loss = means(counts.shares(), draws=options.draws)
    margin = difference(win, loss).estimate()
    bootstrap = time.perf_counter() - start

    a_million = 1_000_000
    print(f"plain loop : {loop / few * a_million:8.1f} s a million questions ({few} measured)")
    print(f"histogram  : {fast / options.questions * a_million:8.1f} s a million questions")
    print(f"ratio      : {loop / few / (fast / options.questions):8.0f}")
    print(f"bootstrap  : {bootstrap:8.1f} s for {options.draws} draws of {options.questions} questions")
    print(f"margin     : {margin.value:+.5f} [{margin.low:+.5f}, {margin.high:+.5f}]")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:8.2f} GiB")


if __name__ == "__main__":
    main()
