"""``kill -9`` of generation at random moments: no finished reply is lost, none is written twice.

    python -m benchmarks.kills.generation --kills 50
    python -m benchmarks.kills.generation --kills 5 --engine vllm

A process with the libraries loaded forks one that opens a model as ``anchor-eval run`` does and asks for
``--replies`` replies; that one is killed when a random part of what is left is on disk, again and again, and
then left to finish. After each kill the file of replies tells what is stored, and a log what the model was
asked for. In the end the texts must be those of a run that nobody killed. Prints a line of JSON; exit code 1
if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.tiny_models import make_tiny_model

SAMPLES = 4
BATCH = 16
_LONGEST = 600.0


@dataclass
class Report:
    """What happened.

    Attributes:
        engine: The harness's model type.
        kills: How often its process was killed.
        replies: How many were asked for in all.
        stored_at_kills: Replies on disk after each kill.
        lost: Replies that were on disk and then weren't, or were others: must be none.
        asked: Replies that the model was asked for, in all starts.
        under_way: Of these, not on disk when it died: what the kills cost.
        wrong: What isn't as it must be.
    """

    engine: str
    kills: int
    replies: int
    stored_at_kills: list[int] = field(default_factory=list)
    lost: int = 0
    asked: int = 0
    under_way: int = 0
    wrong: list[str] = field(default_factory=list)


def requests(replies: int) -> list[Any]:
    """As the harness asks: each request as often as it is to be sampled."""
    from lm_eval.api.instance import Instance

    settings = {"until": [], "max_gen_toks": 24, "do_sample": True, "temperature": 1.0}
    found = []
    for number in range(replies // SAMPLES):
        prompt = f"Question {number}: " + "which of these is a metal? " * (1 + number % 5)
        request = Instance("generate_until", {}, (prompt, settings), number, ("t", number, SAMPLES))
        found += [request] * SAMPLES
    return found


def generate(engine: str, model: Path, folder: Path, replies: int) -> None:
    """The process that is killed."""
    from lm_eval_tasks.harness.engines.models import open_model

    arguments = {"pretrained": str(model), "dtype": "float32"}
    if engine == "vllm":
        arguments |= {"max_model_len": 1024}
    options = {"batch_size": str(BATCH), "device": "cpu"} if engine == "hf" else {}
    lm = open_model(engine, arguments, replies=folder / "replies.sqlite", seed=1, **options).lm
    log = (folder / "asked").open("a", buffering=1)
    if engine == "hf":
        own = lm._model_generate

        def counted(context: Any, *given: Any, **settings: Any) -> Any:
            log.write(f"{len(context)}\n")
            return own(context, *given, **settings)

        lm._model_generate = counted
    else:
        finished = lm.finished

        def streamed(missing: list[Any]) -> Iterator[tuple[int, str]]:
            log.write(f"{len(missing)}\n")
            yield from finished(missing)

        lm.finished = streamed
    texts = lm.generate_until(requests(replies), disable_tqdm=True)
    (folder / "texts.json").write_text(json.dumps(texts))


def stored(folder: Path) -> dict[bytes, str]:
    """What is on disk."""
    path = folder / "replies.sqlite"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        try:
            return dict(connection.execute("SELECT key, text FROM replies"))
        except sqlite3.OperationalError:  # killed while it was being made
            return {}


def count(folder: Path) -> int:
    """How many replies are on disk."""
    path = folder / "replies.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM replies").fetchone()[0])
        except sqlite3.OperationalError:
            return 0


def asked(folder: Path) -> int:
    """How many replies the model was asked for, in all starts."""
    path = folder / "asked"
    return sum(map(int, path.read_text().split())) if path.exists() else 0


def forked(work: Callable[..., object], *arguments: object) -> int:
    """Starts a process that does this work and nothing else; the one that forks never computes."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        work(*arguments)
        code = 0
    finally:
        os._exit(code)


def kill_and_resume(
    folder: Path, kills: int, replies: int, engine: Literal["hf", "vllm"] = "hf", seed: int = 0
) -> Report:
    """Kills generation at random moments, then lets it finish.

    Args:
        folder: Empty folder to work in.
        kills: How often.
        replies: How many are asked for; a multiple of 4.
        engine: The harness's model type.
        seed: Of the moments.
    """
    if engine == "hf":
        _load_what_generates()

    dice = random.Random(seed)
    report = Report(engine, kills, replies)
    model = folder / "model"
    os.waitpid(forked(make_tiny_model, model), 0)
    whole, cut = folder / "whole", folder / "cut"
    whole.mkdir()
    cut.mkdir()
    if os.waitpid(forked(generate, engine, model, whole, replies), 0)[1]:
        raise SystemExit("the run that nobody kills failed")
    kept: dict[bytes, str] = {}
    for left in range(kills, 0, -1):
        before = asked(cut)
        missing = replies - len(kept)  # of which something is left for the kills to come, and for this one
        share = max(1, min(2 * missing // (left + 1), missing - 4 * BATCH))
        enough = len(kept) + dice.randint(0, share)
        pid = forked(generate, engine, model, cut, replies)
        deadline = time.monotonic() + _LONGEST
        while asked(cut) == before or count(cut) < enough:
            if os.waitpid(pid, os.WNOHANG)[0] or time.monotonic() > deadline:
                raise SystemExit(f"generation ended by itself with {count(cut)} replies")
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.02))
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found = stored(cut)
        report.lost += sum(found.get(key) != text for key, text in kept.items())
        under_way = asked(cut) - before - (len(found) - len(kept))
        if engine == "hf" and not 0 <= under_way <= BATCH:
            report.wrong.append(f"kill {kills - left + 1}: {under_way} replies under way, at most {BATCH}")
        report.under_way += under_way
        report.stored_at_kills.append(len(found))
        kept = found
    if os.waitpid(forked(generate, engine, model, cut, replies), 0)[1]:
        raise SystemExit("the last run failed")
    report.asked = asked(cut)
    texts = [json.loads((run / "texts.json").read_text()) for run in (whole, cut)]
    report.lost += sum(stored(cut).get(key) != text for key, text in kept.items())
    if texts[0] != texts[1]:
        others = sum(one != two for one, two in zip(*texts, strict=True))
        report.wrong.append(f"{others} replies aren't those of the run that nobody killed")
    if report.lost:
        report.wrong.append(f"{report.lost} replies lost")
    if report.asked != replies + report.under_way:
        report.wrong.append(
            f"asked for {report.asked}, not {replies} + {report.under_way} under way at kills"
        )
    return report


def _load_what_generates() -> None:
    """Imports what the forked processes then needn't import again; nothing is computed."""
    from lm_eval.models.huggingface import HFLM  # noqa: F401
    from transformers import AutoModelForCausalLM, LlamaForCausalLM  # noqa: F401  parts come on demand

    from lm_eval_tasks.harness.kept import KeptReplies  # noqa: F401


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--kills", type=int, default=50)
    arguments.add_argument("--replies", type=int, default=2000)
    arguments.add_argument("--engine", choices=["hf", "vllm"], default="hf")
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = kill_and_resume(Path(folder), given.kills, given.replies, given.engine, given.seed)
    print(json.dumps(asdict(report)), flush=True)
    sys.exit(bool(report.wrong))


if __name__ == "__main__":
    main()
