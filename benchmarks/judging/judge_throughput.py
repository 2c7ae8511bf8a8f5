"""Explanations judged per second at an endpoint of known speed, against its ceiling.

    python benchmarks/judging/judge_throughput.py --items 20000
    python benchmarks/judging/judge_throughput.py --items 100000 --faults 0.05 --skip-ceiling     # the soak

In one run: the ceiling as a bare load generator reaches it (raw sockets, ready-made requests), then a judge
with its cache on disk, from the call to the stored verdicts, then the same again from the warm cache. The
accounts are checked against what the server counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from judges import Statement, load_judge
from judges.rubrics.load import load_rubric
from judges.rubrics.prompt import judge_conversation

QUESTION = "Which of these follows from the passage? " + "The passage says this and that. " * 12
EXPLANATION = "Since the passage says so, the second choice follows, and the others do not. " * 10


@contextmanager
def server(latency: float, slots: int, faults: float, reply: dict[str, Any] | None = None) -> Iterator[str]:
    script = Path(__file__).with_name("fixed_latency_server.py")
    options = ["--latency", str(latency), "--slots", str(slots), "--faults", str(faults)]
    options += [] if reply is None else ["--reply", json.dumps(reply)]
    process = subprocess.Popen([sys.executable, str(script), *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/stats") as answer:
        found: dict[str, int] = json.load(answer)
    return found


def statements(items: int) -> Iterator[Statement]:
    return (Statement(QUESTION, f"{k}. {EXPLANATION}") for k in range(items))


def ceiling(url: str, items: int, connections: int) -> float:
    """Replies a second of a client that does nothing but send one ready-made request after the other."""
    address = urlsplit(url)
    conversation = judge_conversation(load_rubric(), Statement(QUESTION, EXPLANATION))
    messages = [{"role": message.role, "content": message.content} for message in conversation]
    body = json.dumps({"model": "judge", "messages": messages}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    left = iter(range(items))

    async def client() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for _ in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    async def all_clients() -> None:
        await asyncio.gather(*(client() for _ in range(connections)))

    start = time.perf_counter()
    asyncio.run(all_clients())
    return items / (time.perf_counter() - start)


def judged(url: str, cache: Path, items: int, concurrency: int) -> None:
    settings = {"backend": "openai", "model": "judge", "base_url": url, "concurrency": concurrency}
    settings |= {"backoff": 0.05}
    with load_judge(settings, cache=cache) as judge:
        start, cpu = time.perf_counter(), time.process_time()
        for done, _ in enumerate(judge.assess(statements(items)), 1):
            if done % max(1, items // 10) == 0:
                print(
                    f"    {done:>9,}: {done / (time.perf_counter() - start):7.1f}/s, {memory():.0f} MiB now"
                )
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(f"  {items / seconds:.1f} judged/s; {cpu / items * 1e3:.2f} ms of CPU a judgement")
        print(f"  {judge.accounts}")
        seen, accounts = stats(url), judge.accounts
    if accounts.asked:
        exact = accounts.requests == seen["asked"] and accounts.answered == seen["answered"]
        print(f"  server saw {seen}; accounts {'agree' if exact else 'DIFFER'}")


def memory() -> float:
    """Resident memory in MiB (Linux), else its peak."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Judged per second, against an endpoint's ceiling.")
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--latency", type=float, default=0.25)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--concurrency", type=int, default=128)
    parser.add_argument("--skip-ceiling", action="store_true")
    options = parser.parse_args()
    if not options.skip_ceiling:
        with server(options.latency, options.slots, 0.0) as url:
            reached = ceiling(url, options.items, options.concurrency)
        print(f"ceiling: {options.slots / options.latency:.1f}/s by design, {reached:.1f}/s by a bare client")
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "replies.sqlite"
        with server(options.latency, options.slots, options.faults) as url:
            print("judge, cold cache:")
            judged(url, cache, options.items, options.concurrency)
            print("judge, warm cache:")
            judged(url, cache, options.items, options.concurrency)


if __name__ == "__main__":
    main()
