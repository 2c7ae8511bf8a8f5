"""Explanations judged per second with `executor: ray`, as workers are added.

    python -m benchmarks.judging.ray_workers --workers 1 2 --items 6000

Each worker may have 64 requests under way at an endpoint of fixed latency (0.25 s) that has 64 slots for each
worker: 256 a second and worker. Measured from the call to the stored verdicts, after a first few statements
that start the workers. The first line is the same without Ray. CPU is that of this process, and of Ray's and
the workers' processes together.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from itertools import islice
from pathlib import Path

import psutil

from benchmarks.judging.judge_throughput import server, statements, stats
from judges import load_judge

WARM_UP = 64


def cpu_of_children() -> float:
    """CPU seconds of all processes that this one started, the endpoint's excepted."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            if "fixed_latency_server" not in " ".join(child.cmdline()):
                used = child.cpu_times()
                total += used.user + used.system
        except psutil.NoSuchProcess:
            pass
    return total


def measure(workers: int, items: int, latency: float, slots: int) -> float:
    """Judged a second with so many workers; 0 workers is without Ray."""
    share = max(1, workers)
    count = items * share
    with tempfile.TemporaryDirectory() as folder, server(latency, slots * share, 0.0) as url:
        settings = {"backend": "openai", "model": "judge", "base_url": url, "concurrency": slots}
        executor = {"ray": {"workers": workers}} if workers else None
        with load_judge(settings, cache=Path(folder) / "replies.sqlite", executor=executor) as judge:
            everything = statements(count + WARM_UP)
            start = time.perf_counter()
            list(judge.assess(islice(everything, WARM_UP)))
            began, here, there = time.perf_counter(), time.process_time(), cpu_of_children()
            judged = sum(1 for _ in judge.assess(everything))
            seconds = time.perf_counter() - began
            here, there = time.process_time() - here, cpu_of_children() - there
            accounts, seen = judge.accounts, stats(url)
        rate = judged / seconds
        name = f"{workers} worker(s)" if workers else "without Ray"
        exact = accounts.requests == seen["asked"] and accounts.answered == seen["answered"]
        print(f"{name:<12} {rate:7.1f}/s, {rate * latency / (slots * share):.1%} of the ceiling", end="; ")
        print(f"CPU {here / judged * 1e3:.2f} ms here, {there / judged * 1e3:.2f} ms in workers", end="; ")
        print(f"start-up {began - start:.1f} s; load {os.getloadavg()[0]:.1f}", end="; ")
        print("accounts agree" if exact else "accounts DIFFER", flush=True)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--items", type=int, default=6000, help="statements for each worker")
    parser.add_argument("--latency", type=float, default=0.25)
    parser.add_argument("--slots", type=int, default=64)
    options = parser.parse_args()
    measure(0, options.items, options.latency, options.slots)
    rates = [measure(count, options.items, options.latency, options.slots) for count in options.workers]
    first, last = options.workers[0], options.workers[-1]
    print(f"{first} -> {last} workers: {rates[-1] / rates[0]:.2f} times as many")


if __name__ == "__main__":
    main()
