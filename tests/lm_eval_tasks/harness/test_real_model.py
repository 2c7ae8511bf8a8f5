"""A real instruct model, from its first reply to a comparison: what reply forms do for it.

Four questions that come with the package, a reply each: enough to tell whether replies can be read, but not
how well the model does (docs/real_model.md).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from lm_eval_tasks.runs.discovery import TaskRun, load_run
from tests.lm_eval_tasks.running_lm_eval import lm_eval
from tests.lm_eval_tasks.test_cli import AnchorEval

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]
QUESTIONS = 4
SAMPLING = "max_gen_toks=110"


@dataclass(frozen=True)
class RealRun:
    """A run of the real model, with what the command said."""

    anchor_eval: AnchorEval
    folder: Path
    said: str

    @property
    def task(self) -> TaskRun:
        return load_run(self.folder).task("demo_explain")


def readable(task: TaskRun) -> tuple[float, float]:
    """Shares of the replies with a readable explanation, and with a readable choice."""
    replies = [scored.response for question in task.read() for scored in question.responses]
    assert len(replies) == QUESTIONS
    explanations = sum(reply.explanation is not None for reply in replies)
    return explanations / len(replies), sum(reply.choice is not None for reply in replies) / len(replies)


def evaluate(anchor_eval: AnchorEval, model: Path, *options: object) -> str:
    done = anchor_eval(
        *("run", "--model", "hf", "--model-args", f"pretrained={model},dtype=float32"),
        *("--tasks", "demo_explain", "--limit", QUESTIONS, "--repeats", 1, "--gen-kwargs", SAMPLING),
        *options,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def real_run(real_model: Path, tmp_path_factory: pytest.TempPathFactory) -> RealRun:
    anchor_eval = AnchorEval(tmp_path_factory.mktemp("real"))
    said = evaluate(anchor_eval, real_model, "-o", "runs/hf")
    return RealRun(anchor_eval, anchor_eval.folder / "runs" / "hf", said)


def test_auto_finds_that_the_model_must_be_shown_the_form(real_run: RealRun, real_model: Path) -> None:
    (line,) = [line for line in real_run.said.splitlines() if line.startswith("reply form ")]
    assert f"(auto: replies readable with asked 0% of {QUESTIONS} (" in line
    before = real_run.task
    assert before.reply_form in ("shown:2", "shown:2+held")
    assert min(readable(before)) >= 0.5

    again = evaluate(real_run.anchor_eval, real_model, "-o", "runs/hf")
    assert "generated before" in again
    assert "chosen before in this run folder" in again
    assert (real_run.task.date, real_run.task.reply_form) == (before.date, before.reply_form)


def test_what_was_written_is_judged_shown_and_compared(real_run: RealRun, real_model: Path) -> None:
    judge = ("--judge", f"transformers:{real_model}", "--verdict-form", "compact")
    scored = real_run.anchor_eval("score", "runs/hf", *judge)
    assert scored.returncode == 0, scored.stderr[-3000:]
    assert real_run.task.summary is not None
    assert real_run.task.summary.judged >= 2
    shown = real_run.anchor_eval("show", "runs/hf", "--json")
    assert shown.returncode == 0, shown.stderr[-3000:]
    assert "<choice>" in shown.stdout

    evaluate(real_run.anchor_eval, real_model, "--reply-form", "shown+held", *judge, "-o", "runs/held")
    held = load_run(real_run.anchor_eval.folder / "runs" / "held").task("demo_explain")
    assert held.reply_form == "shown:2+held"
    assert min(readable(held)) >= 0.75
    done = real_run.anchor_eval("compare", "runs/hf", "runs/held")
    assert "reply form" in done.stdout + done.stderr


def test_plain_lm_eval_with_vllm_takes_the_same_setting(
    vllm_installed: None, real_model: Path, tmp_path: Path
) -> None:
    arguments = f"pretrained={real_model},dtype=float32,max_model_len=2048,enforce_eager=True"
    outcome = lm_eval(
        *(tmp_path / "run", "vllm", arguments, "demo_explain", {"repeats": 1, "reply_form": "shown+held"}),
        *("--apply_chat_template", "--limit", str(QUESTIONS), "--gen_kwargs", SAMPLING),
    )
    config = outcome.results["configs"]["demo_explain"]
    assert config["metadata"]["reply_form"] == "shown:2+held"
    assert min(readable(load_run(tmp_path / "run").task("demo_explain"))) >= 0.75
    asked = json.dumps(outcome.samples["demo_explain"][0]["arguments"])
    assert "small ice cube" in asked
