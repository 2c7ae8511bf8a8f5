"""A run folder whose sampler, judge and consultant are scripts: the pipeline without a model's whims."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.run.manifest import OutputRecord, StageRecord
from anchor_train.run.run_folder import RunFolder
from anchor_train.training.launch import PRELOAD
from judges.child_process import start_fork_server
from judges.errors import ConfigError

# One reply for each kind of sample; which ones a question gets is drawn by the sampling's seed.
REPLIES = [
    "<explanation>Weigh each choice, so A.</explanation>\n<choice>A</choice>",
    "<explanation>Clearly B, as the steps show.</explanation>\n<choice>B</choice>",
    "<explanation>Only C is left.</explanation>\n<choice>C</choice>",
    "<explanation>Another way leads to A.</explanation>\n<choice>A</choice>",
    "no tags at all",
    "<explanation>A word on it.</explanation> and no choice",
]
ARGUMENT = "It follows from what was asked."
VERDICTS = ("Factual accuracy", "Logical coherence", "Clarity", "Relevance", "Depth of argumentation")


def verdict(name: str) -> str:
    """A judge's reply with the same verdict everywhere."""
    return "\n".join(f"{criterion}: {name}" for criterion in VERDICTS)


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Questions in the shape of ARC's rows."""
    return [
        {
            "id": f"q{number}",
            "question": {
                "stem": f"Which letter stands for number {number}?",
                "choices": [{"text": f"word {number}{label}", "label": label} for label in "ABC"],
            },
            "answerKey": "ABC"[number % 3],
        }
        for number in range(start, start + count)
    ]


def left(path: Path) -> list[dict[str, Any]]:
    """The rows that a stage left in a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_rows(folder: Path, train: int = 12, validation: int = 3) -> Path:
    """A data folder with both splits."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, found in (("train", rows(train)), ("validation", rows(validation, 1000))):
        lines = "".join(json.dumps(row) + "\n" for row in found)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def write_script(path: Path, replies: list[dict[str, Any]]) -> str:
    """A scripted backend's file; returns its one-line name."""
    path.write_text(yaml.safe_dump({"replies": replies}), encoding="utf-8")
    return f"scripted:{path}"


def make_run(folder: Path, model: Path | dict[str, str], *, delay: float = 0.0, **changes: Any) -> RunFolder:
    """A run of 12 questions with 4 samples each, all roles scripted.

    Args:
        folder: Gets scripts, data and the run itself (``folder/run``).
        model: The base model: its folder, or settings.
        delay: Seconds that sampler and judge take for each answer.
        **changes: Top-level keys of the recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sampler = write_script(folder / "sampler.yaml", [{"reply": REPLIES, "order": "seeded", "delay": delay}])
    judge = write_script(
        folder / "judge.yaml",
        [
            {"match": "Clearly", "reply": verdict("EXCELLENT"), "delay": delay},
            {"match": "Only C", "reply": "no verdict at all", "delay": delay},
            {"match": "Another", "reply": verdict("GOOD"), "delay": delay},
            {"reply": verdict("SATISFACTORY"), "delay": delay},
        ],
    )
    consultant = write_script(folder / "consultant.yaml", [{"reply": ARGUMENT}])
    recipe = {
        "model": model if isinstance(model, dict) else str(model),
        "task": "arc_challenge_explain",
        "data_dir": str(write_rows(folder / "data")),
        "reply_form": "asked",
        "strategies": ["anchor", "rank"],
        "engine": "transformers",
        "sampler": {"backend": sampler},
        "judge": judge,
        "consultant": {"backend": consultant},
        "sft": {"lora": {"r": 4}, "max_steps": 2},
        "dpo": {"max_steps": 2, "sample_every": None},
        "evaluate": {"judge": judge, "n": 2, "split": "validation", "max_tokens": 8},
        **changes,
    }
    return RunFolder.create(folder / "run", yaml.safe_dump(recipe))


def finish_sft(run: RunFolder, adapter: Path) -> None:
    """Leaves the run as it is when stages ``questions`` and ``sft`` are finished, with this adapter.

    As after a training, there is the server that the next stages' processes are forked from: in milliseconds.
    """
    start_fork_server(PRELOAD)
    pipeline = Pipeline(run, run.recipe())
    pipeline.do({"questions"})
    stage = next(stage for stage in pipeline.stages if stage.key == "sft")
    target = run.stage("sft") / "adapter"
    target.mkdir(parents=True)
    for file in adapter.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    manifest = run.manifest()
    inputs = {"questions": manifest.stages["questions"].content, **stage.externals}
    outputs = {"adapter": OutputRecord.of(target)}
    summary = {"examples": 12, "steps": 2, "loss": 1.0}
    record = StageRecord(dict(stage.settings), inputs, outputs, summary, "2026-01-01T00:00:00", 1.0, {})
    run.save(manifest.with_stage("sft", record))


def wait_until_unlocked(run: RunFolder) -> None:
    """The stage's own process holds the run until it has noticed that its parent is gone."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with run.lock():
                return
        except ConfigError:
            time.sleep(0.02)
    raise AssertionError("the stage's process outlived its parent")
