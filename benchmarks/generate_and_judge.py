"""Generating with vLLM and judging at an endpoint: overlapped or one after the other; and what keeping costs.

    python -m benchmarks.generate_and_judge
    python -m benchmarks.generate_and_judge --questions 64 --samples 16 --rounds 3
    python -m benchmarks.generate_and_judge --model smollm2 --task openbookqa_explain --data DIR --samples 4

The pocket model answers pocket questions, or another one others, on a vLLM engine of this machine. In one
process:

* ``kept``: replies kept on disk as they are finished, each with its own seed, against the harness's own call,
  which hands all of them over at the end and seeds none; in turns;
* ``restart``: the run is cut off when half of the replies are on disk, and a second one writes the rest;
* ``overlap``: a judge at an endpoint that takes about as long as the engine. Replies are judged while others
  are written, to the last judgement, against the sum of generating first and judging then.

Prints a line of JSON for each. The thread that judges shares this process with the engine here; in
``anchor-eval run`` they are two processes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.judging.judge_throughput import server, stats

SLOTS = 16


class CutOff(Exception):
    """The end of a run in its middle."""


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def on_cpu(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds on the clock, and of the processor: these count on a machine that others use, too."""
    start = time.process_time()
    seconds, _ = timed(work)
    return seconds, time.process_time() - start


def asked(lm: Any, given: argparse.Namespace) -> tuple[Any, list[Any]]:
    """The task, and what the harness asks of the model."""
    from lm_eval.tasks import TaskManager

    from lm_eval_tasks.tasks.spec import TASKS

    metadata = {"repeats": given.samples, "judged_later": True}
    if given.data:
        metadata |= {"data_dir": str(given.data), "split": "validation"}
    if given.model:
        metadata |= {"reply_form": "shown"}
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    task = manager.load([given.task])["tasks"][given.task]
    template = lm.apply_chat_template
    task.build_all_requests(limit=given.questions, apply_chat_template=True, chat_template=template)
    return task, [request for request in task.instances for _ in range(given.samples)]


def measure(given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """What each part found, one after the other."""
    from lm_eval_tasks.harness.engines.models import open_model
    from lm_eval_tasks.harness.kept import KeptReplies, identity_of
    from lm_eval_tasks.pocket import model_folder

    pretrained = str(given.model or model_folder())
    arguments = {"pretrained": pretrained, "dtype": "float32"}
    arguments |= {"max_model_len": 2048 if given.model else 1024}
    arguments |= {"max_num_seqs": given.sequences}
    lm = open_model("vllm", arguments, replies=folder / "unused.sqlite", seed=1).lm
    task, requests = asked(lm, given)
    harness = partial(type(lm).__mro__[1].generate_until, lm)

    def kept(name: str, engine: Any = lm, seed: int | None = 1) -> KeptReplies:
        identity = identity_of("vllm", arguments)
        return KeptReplies(engine, "vllm", identity, seed=seed, path=folder / f"{name}.sqlite")

    harness(requests[:SLOTS], True)  # warm
    yield {"replies": len(requests), "at_once": given.sequences}
    if "overlap" in given.parts:
        yield {"overlap": overlap(task, kept, requests, folder)}
    if "restart" in given.parts:
        yield {"restart": restart(lm, kept, requests)}
    if "kept" in given.parts:
        yield {"kept": keeping(harness, kept, requests, given.rounds)}


def keeping(harness: Any, kept: Callable[..., Any], requests: list[Any], rounds: int) -> dict[str, Any]:
    own, streamed, unseeded = [], [], []
    for number in range(rounds):
        own.append(on_cpu(lambda: harness(requests, True)))
        streamed.append(on_cpu(lambda n=number: kept(f"kept{n}").generate_until(requests, True)))
        unseeded.append(on_cpu(lambda n=number: kept(f"free{n}", seed=None).generate_until(requests, True)))
    return {
        "seconds": {
            "harness": rounded(own),
            "kept": rounded(streamed),
            "kept_without_seeds": rounded(unseeded),
        },
        "throughput": ratios(own, streamed),
        "throughput_without_seeds": ratios(own, unseeded),
    }


def rounded(times: list[tuple[float, float]]) -> list[list[float]]:
    return [[round(seconds, 2) for seconds in pair] for pair in times]


def ratios(before: list[tuple[float, float]], after: list[tuple[float, float]]) -> list[float]:
    """By the clock, and by the processor's time."""
    medians = [
        [statistics.median(column) for column in zip(*times, strict=True)] for times in (before, after)
    ]
    return [round(one / two, 3) for one, two in zip(*medians, strict=True)]


def restart(lm: Any, kept: Callable[..., Any], requests: list[Any]) -> dict[str, Any]:
    class Mortal:
        def __getattr__(self, name: str) -> Any:
            return getattr(lm, name)

        def finished(self, missing: list[Any]) -> Iterator[tuple[int, str]]:
            for done, reply in enumerate(lm.finished(missing)):
                if done == len(requests) // 2:
                    raise CutOff
                yield reply

    def first() -> None:
        try:
            kept("restart", Mortal()).generate_until(requests, True)
        except CutOff:
            return

    before, _ = timed(first)
    after, texts = timed(lambda: kept("restart").generate_until(requests, True))
    anew, whole = timed(lambda: kept("anew").generate_until(requests, True))
    return {
        "until_cut_off": round(before, 2),
        "rest": round(after, 2),
        "from_the_start": round(anew, 2),
        "saved": round(1 - after / anew, 3),
        "same_replies": sum(one == two for one, two in zip(texts, whole, strict=True)) / len(texts),
    }


def overlap(task: Any, kept: Callable[..., Any], requests: list[Any], folder: Path) -> dict[str, Any]:
    from judges import load_judge
    from lm_eval_tasks.runs.judging.ahead import Report, judging_ahead

    def judge(url: str, name: str) -> Any:
        settings = {"backend": "openai", "model": "m", "base_url": f"{url}/v1", "form": "none"}
        return load_judge({**settings, "concurrency": SLOTS}, cache=folder / f"{name}.sqlite")

    def shown(texts: list[str]) -> list[Any]:
        found = (task.statement(request, text) for request, text in zip(requests, texts, strict=True))
        return [statement for statement in found if statement is not None]

    first, texts = timed(lambda: kept("first").generate_until(requests, True))
    latency = SLOTS * first / len(set(shown(texts)))  # copies are asked about once
    with server(latency, SLOTS, 0.0) as url:
        with judge(url, "then") as then:
            judging, _ = timed(lambda: then.assess_all(shown(texts), progress=False))
        alone = stats(url)["arrived"]

        def both() -> None:
            with judge(url, "ahead") as one:
                with judging_ahead(one) as ahead:
                    assert ahead.path is not None
                    report = Report(ahead.path)
                    model = kept("second")

                    def add(request: Any, text: str) -> None:
                        if (statement := task.statement(request, text)) is not None:
                            report.add(task.spec.name, statement)

                    model.on_reply = add
                    again = model.generate_until(requests, True)
                one.assess_all(shown(again), progress=False)

        together, _ = timed(both)
        asked_for = stats(url)["arrived"] - alone
    return {
        "judgements": alone,
        "asked_in_overlap": asked_for,
        "latency": round(latency, 4),
        "generating": round(first, 2),
        "judging": round(judging, 2),
        "one_after_the_other": round(first + judging, 2),
        "overlapped": round(together, 2),
        "faster": round((first + judging) / together, 2),
        "of_the_longer": round(together / max(first, judging), 2),
    }


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--questions", type=int, default=64)
    arguments.add_argument("--samples", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--sequences", type=int, default=64, help="That the engine runs at once.")
    arguments.add_argument("--model", type=Path, help="Folder of a model, instead of the pocket model's.")
    arguments.add_argument("--task", default="pocket_explain")
    arguments.add_argument("--data", type=Path, help="Folder with its questions.")
    arguments.add_argument("--parts", nargs="+", default=["overlap", "restart", "kept"])
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for found in measure(given, Path(folder)):
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
