"""Time and memory of a judgement while its cache grows from 10^3 to 10^6 replies.

    python -m benchmarks.judging.judge_growth --most 1000000

A judge whose replies come from a file, so that nothing is waited for, assesses distinct texts in a stream.
At each power of ten: time of a judgement that is asked for and stored, and of one that is found in the cache
(by a judge of its own, at random places), resident memory, size of the cache on disk. The replies in between
are put into the cache directly, as the judge would.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from benchmarks.judging.judge_throughput import memory
from judges import Completion, Judge, Reply, ReplyCache, Statement, Usage, load_judge
from judges.rubrics.prompt import JudgePrompt
from tests.judges.endpoint import GOOD_FORM

QUESTION = "Which of these follows from the passage? " + "The passage says this and that. " * 12
EXPLANATION = "Since the passage says so, the second choice follows, and the others do not. " * 10
SAMPLE = 1000


def statement(number: int) -> Statement:
    return Statement(QUESTION, f"{number}. {EXPLANATION}")


def milliseconds_each(judge: Judge, statements: Iterable[Statement]) -> str:
    """Time of a judgement and the CPU's part in it; they are taken one after the other, and none is kept."""
    start, cpu, done = time.perf_counter(), time.process_time(), 0
    for _ in judge.assess(statements):
        done += 1
    each = (time.perf_counter() - start) / done, (time.process_time() - cpu) / done
    return f"{1000 * each[0]:6.3f} {1000 * each[1]:6.3f}"


def fill(path: Path, judge: Judge, statements: Iterable[Statement]) -> None:
    """Stores a reply to each statement under the key that the judge will look for."""
    prompt, reply = JudgePrompt(judge.rubric), Reply((Completion(GOOD_FORM),), Usage(400, 32))
    with ReplyCache(path) as cache:
        asking = cache.asking(judge.backend.identity, judge.sampling, judge.rubric.fingerprint)
        for found in statements:
            cache.put(asking, asking.key(prompt.conversation(found)), reply, has_verdict=True)


def marks(most: int) -> Iterator[int]:
    mark = 1000
    while mark <= most:
        yield mark
        mark *= 10


def main() -> None:
    parser = argparse.ArgumentParser(description="A judgement's time and memory while the cache grows.")
    parser.add_argument("--most", type=int, default=1_000_000)
    options = parser.parse_args()
    dice = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        script, cache = Path(folder) / "replies.json", Path(folder) / "replies.sqlite"
        script.write_text(json.dumps({"replies": [{"reply": GOOD_FORM}]}))
        print("  replies   asked, ms (CPU)   cached, ms (CPU)   memory, MiB   cache, MiB")
        with load_judge(f"scripted:{script}", cache=cache) as judge:
            stream = (statement(number) for number in range(options.most))
            done = 0
            for mark in marks(options.most):
                fill(cache, judge, islice(stream, mark - SAMPLE - done))
                asked = milliseconds_each(judge, islice(stream, SAMPLE))
                done = mark
                with load_judge(f"scripted:{script}", cache=cache) as other:
                    known = (statement(dice.randrange(mark)) for _ in range(SAMPLE))
                    cached = milliseconds_each(other, known)
                size = sum(file.stat().st_size for file in Path(folder).glob("replies.sqlite*")) / 2**20
                row = f"{mark:>9,}   {asked:>15}   {cached:>16}   {memory():11.0f}   {size:10.0f}"
                print(row, flush=True)


if __name__ == "__main__":
    main()
