"""Explanations judged per second by this library and its peers, at an endpoint of fixed latency.

    python -m benchmarks.peers                           # all of them; environments are made on the first run
    python -m benchmarks.peers --only ours hand-written --rounds 5

Each peer runs in a virtual environment of its own with pinned versions (``--venvs``, by default in the user's
cache folder), as it ships and tuned to 64 requests in flight. Its time goes from the call to its results,
imports left out. In turns, several rounds; a way that takes more than 12 s is not repeated.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.judging.judge_throughput import ceiling, server
from benchmarks.peers.items import make_items
from benchmarks.peers.ways import OURS, REPLIES, WAYS, Way, judged_by, python_of

SLOW_SECONDS = 12.0


def main() -> None:
    options = _options()
    ways = [way for way in WAYS if not options.only or any(name in way.name for name in options.only)]
    for way in ways:
        python_of(way.environment, options.venvs)
    items = make_items(options.items)
    found: dict[str, list[dict[str, Any]]] = {way.name: [] for way in ways}
    with server(options.latency, options.slots, 0.0) as url:
        reached = ceiling(url, options.items, 2 * options.slots)
    by_design = options.slots / options.latency
    print(f"ceiling: {by_design:.0f}/s by design, {reached:.1f}/s by a bare load generator", flush=True)
    for _ in range(options.rounds):
        for way in ways:
            if not found[way.name] or found[way.name][-1]["seconds"] < SLOW_SECONDS:
                found[way.name].append(_one(way, items, options))
    ours = _pace(found[OURS]) if OURS in found else None
    print(f"{'':34}{'judged/s':>10}{'of ceiling':>12}{'ours is':>10}{'CPU ms each':>13}{'runs':>6}")
    for name, results in found.items():
        pace, each = _pace(results), statistics.median(r["cpu"] / r["judged"] for r in results)
        ratio = f"{ours / pace:9.1f}x" if ours else ""
        print(f"{name:34}{pace:10.1f}{pace / by_design:12.1%}{ratio}{1000 * each:13.2f}{len(results):6}")


def _one(way: Way, items: list[dict[str, str]], options: argparse.Namespace) -> dict[str, Any]:
    mine = items[: max(1, round(len(items) * way.share))]
    reply = REPLIES.get(way.client)
    with tempfile.TemporaryDirectory() as scratch, server(options.latency, options.slots, 0.0, reply) as url:
        job = {"url": url, "model": "judge", "items": mine}
        result = judged_by(way, job, Path(scratch) / "run", options.venvs)
    if result["judged"] != len(mine):
        raise SystemExit(f"{way.name}: {result['judged']} of {len(mine)} judged")
    print(f"  {way.name}: {json.dumps(result)}", flush=True)
    return result


def _pace(results: list[dict[str, Any]]) -> float:
    return statistics.median(result["judged"] / result["seconds"] for result in results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=1024)
    parser.add_argument("--latency", type=float, default=0.25)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="parts of the names of the ways to run")
    default = Path.home() / ".cache" / "anchored-explanations" / "peers"
    parser.add_argument("--venvs", type=Path, default=default, help="where the environments lie")
    return parser.parse_args()


if __name__ == "__main__":
    main()
