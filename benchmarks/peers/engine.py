"""Explanations judged per second at a real engine: ``vllm serve``, each peer with the form that it ships.

    python -m benchmarks.peers.engine                     # a random model of 31M parameters
    python -m benchmarks.peers.engine --shape 1B --dtype bfloat16 --items 4096      # with a GPU
    python -m benchmarks.peers.engine --model smollm2 --only AlpacaEval --shipped   # a model that can write

Random weights don't end a reply by themselves, so the server cuts all replies, in two parts:

* ``as shipped``: at ``--typical`` tokens (200), about what a judge writes that gives its reasons first, and
  less than what those libraries allow. AlpacaEval asks for one token, distilabel for at most 128.
* ``equal tokens``: all peers write as many tokens as our full form took in the first part.

Our replies are held to the verdict form and end by themselves; the tables say how many tokens they took. The
weights being random, they write words in smaller pieces than a trained judge would, which counts against us.
What peers' parsers make of random text is left out: any reply counts as judged, and none is asked for again.
Every run has explanations of its own, so that nobody finds another's prompts in the engine's prefix cache.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.models import SHAPES, make_model
from benchmarks.peers.items import make_items
from benchmarks.peers.ways import WAYS, Way, judged_by, python_of

Result: TypeAlias = dict[str, Any]

MODEL = "judge"
CONTEXT = 2048
START_SECONDS = 300
PEERS = (
    "hand-written asyncio",
    "AlpacaEval, tuned",
    "inspect_ai score, tuned",
    "prometheus-eval, tuned",
    "distilabel task, all at once",
    "lighteval, tuned",
)
OURS = (
    Way("ours, full form", None, "ours"),
    Way("ours, compact form", None, "ours", ("compact",)),
)


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that no server is left behind
    peers = [way for way in WAYS if way.name in PEERS and way.name.startswith(tuple(options.only))]
    for way in peers:
        python_of(way.environment, options.venvs)
    with tempfile.TemporaryDirectory() as scratch:
        shape = SHAPES[options.shape]
        model = options.model or make_model(Path(scratch) / "model", shape, options.dtype)
        said = options.model.name if options.model else f"{shape.parameters / 1e6:.0f}M parameters"
        print(f"{said}, {options.dtype}, {options.items} explanations")
        options.log = Path(scratch) / "serve.log"
        with_forms_of_their_own = [way for way in peers if way.client != "handwritten"]
        ours = _runs("as shipped", [*OURS, *with_forms_of_their_own], options.typical, None, model, options)
        _table(f"as shipped, cut at {options.typical} tokens", ours)
        if options.shipped:
            return
        equal = round(_each(ours[OURS[0].name], "generation_tokens"))
        theirs = _runs(f"{equal} tokens", peers, equal, equal, model, options)
    _table(f"{equal} tokens each", {way.name: ours[way.name] for way in OURS} | theirs)


def _runs(
    title: str, ways: list[Way], cut: int, asked: int | None, model: Path, options: argparse.Namespace
) -> dict[str, list[Result]]:
    """Several rounds of some ways, in turns, at one server; name of the way -> its results."""
    found: dict[str, list[Result]] = {way.name: [] for way in ways}
    with serve(model, cut, options) as url:
        for turn in range(options.rounds):
            for place, way in enumerate(ways):
                before = _counters(url)
                result = _one(way, url, 1000 * cut + 100 * turn + place, asked, options)
                spent = {key: value - before[key] for key, value in _counters(url).items()}
                found[way.name].append({**result, **spent})
                print(f"  {title}: {way.name}: {json.dumps(found[way.name][-1])}", flush=True)
    return found


def _table(title: str, found: dict[str, list[Result]]) -> None:
    pace = {name: statistics.median(r["judged"] / r["seconds"] for r in runs) for name, runs in found.items()}
    best = max(rate for name, rate in pace.items() if not name.startswith("ours"))
    print(f"\n{title}")
    print(f"{'':32}{'judged/s':>10}{'of best peer':>14}{'tokens read':>13}{'reused':>9}{'written':>9}")
    for name, runs in found.items():
        read, written = _each(runs, "prompt_tokens"), _each(runs, "generation_tokens")
        reused = _each(runs, "prefix_cache_hits") / read
        print(f"{name:32}{pace[name]:10.2f}{pace[name] / best:13.2f}x{read:13.0f}{reused:9.0%}{written:9.1f}")


def _each(runs: list[Result], key: str) -> float:
    """Mean of a count over all judgements."""
    return sum(run[key] for run in runs) / sum(run["judged"] for run in runs)


def _one(way: Way, url: str, seed: int, asked: int | None, options: argparse.Namespace) -> dict[str, Any]:
    ours = way.client == "ours"
    job = {"url": url, "model": MODEL, "items": make_items(options.items, seed), "parse": ours}
    job["max_tokens"] = None if ours else asked
    with tempfile.TemporaryDirectory() as scratch:
        result = judged_by(way, job, Path(scratch) / "run", options.venvs)
    if result["judged"] != options.items:
        raise SystemExit(f"{way.name}: {result['judged']} of {options.items} judged")
    return result


@contextmanager
def serve(model: Path, most_tokens: int, options: argparse.Namespace) -> Iterator[str]:
    """``vllm serve`` on loopback; gives its address.

    Args:
        model: Folder of the model.
        most_tokens: Where the server cuts replies, and how long they get if a request doesn't say.
        options: Of the command.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("vllm")), "serve", str(model), "--served-model-name", MODEL]
    command += ["--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(CONTEXT)]
    command += ["--max-num-seqs", str(options.slots), "--dtype", options.dtype, "--enable-prefix-caching"]
    command += ["--override-generation-config", json.dumps({"max_new_tokens": most_tokens})]
    if options.cpu:
        # By default a CPU shares prefixes in blocks of 128 tokens, a GPU in such of 16.
        command += ["--enforce-eager", "--no-enable-chunked-prefill", "--block-size", str(options.block)]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_NO_USAGE_STATS": "1", **os.environ}
    with options.log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, process_group=0, env=environment)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _is_up(f"http://127.0.0.1:{port}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"vllm serve did not start:\n{options.log.read_text()[-3000:]}")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def _counters(url: str) -> dict[str, float]:
    """What the engine has read, reused and written."""
    names = ("prompt_tokens", "generation_tokens", "prefix_cache_hits")
    found = dict.fromkeys(names, 0.0)
    with urllib.request.urlopen(url.removesuffix("/v1") + "/metrics") as answer:
        for line in answer.read().decode().splitlines():
            for name in names:
                if line.startswith(f"vllm:{name}_total{{"):
                    found[name] += float(line.rpartition(" ")[2])
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="folder of a model, instead of random weights")
    parser.add_argument("--shape", choices=SHAPES, default="31M")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--items", type=int, default=256)
    parser.add_argument("--slots", type=int, default=64, help="sequences that the engine runs at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--typical", type=int, default=200, help="tokens of a reply that gives its reasons first"
    )
    parser.add_argument(
        "--block", type=int, default=32, help="tokens of a block of the prefix cache, on a CPU"
    )
    parser.add_argument("--only", nargs="*", default=[""], help="beginnings of the names of the peers")
    parser.add_argument("--shipped", action="store_true", help="the first part alone")
    default = Path.home() / ".cache" / "anchored-explanations" / "peers"
    parser.add_argument("--venvs", type=Path, default=default, help="where the environments lie")
    options = parser.parse_args()
    import torch

    options.cpu = not torch.cuda.is_available()
    return options


if __name__ == "__main__":
    main()
