"""What ``kill_nine`` kills: commands that ask an endpoint about numbered things and keep what it answers."""

from __future__ import annotations

import fcntl
import json
import re
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.judges.endpoint import GOOD_FORM

TASK = "aqua_rat_explain"
CONCURRENCY = 8
TOKENS = (100, 45)
SAMPLES = 4


@dataclass(frozen=True)
class Victim:
    """A command that can be killed and started again.

    Attributes:
        name: What it is.
        command: How it is started.
        environment: Variables besides those of this process.
        things: How many there are to ask about: 0 to ``things - 1``.
        number_in: The number of the thing that a conversation's last turn asks about.
        replies: What the endpoint answers about a number.
        stored: The numbers whose replies are out of reach of the next kill.
        wait_until_gone: Returns when nothing of a killed one is left.
        wrong: What isn't as it must be, from what the last one printed and how many were stored before.
    """

    name: str
    command: tuple[str, ...]
    environment: dict[str, str]
    things: int
    number_in: Callable[[str], int]
    replies: Callable[[int], list[str]]
    stored: Callable[[], set[int]]
    wait_until_gone: Callable[[], None]
    wrong: Callable[[Any, int], list[str]]


def last_number(text: str) -> int:
    return int(re.findall(r"number (\d+)", text)[-1])


def verdicts(number: int) -> list[str]:
    return [f"number {number}\n{GOOD_FORM}"]


def in_cache(cache: Path) -> set[int]:
    """Which replies a judge's cache holds."""
    if not cache.exists():
        return set()
    with closing(sqlite3.connect(cache)) as connection:
        return {int(text.split()[1]) for (text,) in connection.execute("SELECT text FROM replies")}


def differences(found: dict[str, Any], exact: dict[str, int]) -> list[str]:
    return [f"{name} is {found[name]}, not {value}" for name, value in exact.items() if found[name] != value]


# --- anchor-eval score ------------------------------------------------------------------------------------


def score(folder: Path, url: str, things: int) -> Victim:
    """``anchor-eval score`` on a run of distinct explanations; ``things`` is a multiple of 4."""
    run, cache, judge = write_log(folder / "run", things), folder / "cache.sqlite", folder / "judge.yaml"
    judge.write_text(json.dumps(endpoint_settings(url) | {"form": "none"}))

    def wrong(printed: Any, stored: int) -> list[str]:
        asked = things - stored
        tokens = {"prompt_tokens": TOKENS[0] * asked, "completion_tokens": TOKENS[1] * asked}
        counts = {"statements": things, "judged": things, "cached": stored, "retried": 0}
        (summary,) = printed
        return differences(
            summary["accounts"], counts | tokens | dict.fromkeys(("asked", "answered", "requests"), asked)
        )

    return Victim(
        "score",
        (sys.executable, "-m", "lm_eval_tasks", "score", str(run), "--judge", str(judge), "--json"),
        {"ANCHOR_CACHE": str(cache)},
        things,
        last_number,
        verdicts,
        lambda: in_cache(cache),
        lambda: None,
        wrong,
    )


def endpoint_settings(url: str) -> dict[str, Any]:
    return {"backend": "openai", "model": "m", "base_url": url, "concurrency": CONCURRENCY}


def write_log(run: Path, statements: int) -> Path:
    """A samples log of distinct explanations, as the harness leaves it."""
    folder = run / "model-a"
    folder.mkdir(parents=True)
    date = "2025-03-01T10-00-00.000000"
    (folder / f"results_{date}.json").write_text(json.dumps({"model_name": "model-a", "configs": {TASK: {}}}))
    with (folder / f"samples_{TASK}_{date}.jsonl").open("w") as log:
        for first in range(0, statements, SAMPLES):
            choices = {"label": ["A", "B"], "text": ["three", "four"]}
            doc = {"id": f"q{first}", "question": f"What is {first} + 2?", "choices": choices, "gold": "B"}
            replies = [
                f"<explanation>It is so, number {k}</explanation><choice>B</choice>"
                for k in range(first, first + SAMPLES)
            ]
            log.write(json.dumps({"doc_id": first, "doc": doc, "resps": [replies]}) + "\n")
    return run


# --- anchor-train sample and judge ------------------------------------------------------------------------


def sample(folder: Path, url: str, things: int) -> Victim:
    """``anchor-train sample``, one request a question, of a run whose SFT is done."""
    run = make_run(folder, url, things)
    journal = run / "round-1" / "sample" / "journal.jsonl"

    def wrong(printed: Any, stored: int) -> list[str]:
        (stage,) = printed["stages"]
        counts = {"questions": things, "replies": SAMPLES * things, "failed": 0}
        tokens = {"prompt_tokens": TOKENS[0] * things, "completion_tokens": TOKENS[1] * things}
        return differences(stage["summary"], counts | tokens | {"asked_now": things - stored})

    return Victim(
        "sample",
        (sys.executable, "-m", "anchor_train", "sample", str(run), "--json"),
        {},
        things,
        last_number,
        sampled,
        lambda: in_journal(journal),
        lambda: wait_for_lock(run),
        wrong,
    )


def judge(folder: Path, url: str, things: int) -> Victim:
    """``anchor-train judge``, one request an explanation, of a run whose samples are drawn."""
    from anchor_train.pipeline.pipeline import Pipeline
    from anchor_train.run.run_folder import RunFolder

    run = make_run(folder, url, things // SAMPLES)
    opened = RunFolder.open(run)
    Pipeline(opened, opened.recipe()).do({"sample"})

    def wrong(printed: Any, stored: int) -> list[str]:
        (stage,) = printed["stages"]
        counts = {"replies": things, "judged": things, "failed": 0}
        asked = dict.fromkeys(("asked", "answered", "requests"), things - stored)
        return differences(stage["summary"], counts) + differences(stage["summary"]["accounts"], asked)

    return Victim(
        "judge",
        (sys.executable, "-m", "anchor_train", "judge", str(run), "--json"),
        {},
        things,
        last_number,
        verdicts,
        lambda: in_cache(run / "replies.sqlite"),
        lambda: wait_for_lock(run),
        wrong,
    )


def sampled(number: int) -> list[str]:
    """Four replies to question ``number``; their explanations are numbered through all questions."""
    return [
        f"<explanation>It is so, number {SAMPLES * number + k}</explanation>\n<choice>A</choice>"
        for k in range(SAMPLES)
    ]


def make_run(folder: Path, url: str, questions: int) -> Path:
    """A run folder with the stages before sampling finished; no model is ever loaded."""
    from anchor_train.pipeline.pipeline import Pipeline
    from anchor_train.run.manifest import OutputRecord, StageRecord
    from anchor_train.run.run_folder import RunFolder

    data = folder / "data"
    data.mkdir(parents=True)
    for split, count in (("train", questions), ("validation", 1)):
        rows = (
            {
                "id": f"{split}{number}",
                "question": {
                    "stem": f"Which letter stands for number {number}?",
                    "choices": [
                        {"text": word, "label": label} for label, word in zip("AB", ("a", "b"), strict=True)
                    ],
                },
                "answerKey": "A",
            }
            for number in range(count)
        )
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    role = endpoint_settings(url) | {"form": "none"}
    recipe = {
        "model": str(model),
        "task": "arc_challenge_explain",
        "reply_form": "asked",
        "data_dir": str(data),
        "sampler": {"backend": endpoint_settings(url), "n": SAMPLES},
        "judge": role,
        "evaluate": {"judge": role, "split": "validation"},
    }
    run = RunFolder.create(folder / "run", json.dumps(recipe))
    pipeline = Pipeline(run, run.recipe())
    pipeline.do({"questions"})
    stage = next(stage for stage in pipeline.stages if stage.key == "sft")
    adapter = run.stage("sft") / "adapter"
    adapter.mkdir(parents=True)
    (adapter / "adapter_config.json").write_text("{}")
    manifest = run.manifest()
    inputs = {"questions": manifest.stages["questions"].content, **stage.externals}
    outputs = {"adapter": OutputRecord.of(adapter)}
    record = StageRecord(dict(stage.settings), inputs, outputs, {}, "2026-01-01T00:00:00", 1.0, {})
    run.save(manifest.with_stage("sft", record))
    return run.path


def in_journal(journal: Path) -> set[int]:
    """Which questions a journal of samples has replies to."""
    if not journal.exists():
        return set()
    lines = journal.read_bytes().splitlines(keepends=True)[1:]
    whole = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return {last_number(row["question"]["question"]) for row in whole}


def wait_for_lock(run: Path) -> None:
    with (run / ".lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def processes_of(pid: int) -> list[int]:
    """A process and those that it started, these first."""
    children: list[int] = []
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    if tasks.exists():
        children = [child for first in tasks.read_text().split() for child in processes_of(int(first))]
    return [*children, pid]


VICTIMS: dict[str, Callable[[Path, str, int], Victim]] = {"score": score, "sample": sample, "judge": judge}
