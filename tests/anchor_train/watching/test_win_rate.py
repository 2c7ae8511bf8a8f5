"""WinRateCallback in a trainer of transformers' own, on the pocket model, judged by its ground truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from anchor_train.watching import WinRateCallback
from judges.config import load_judge
from judges.errors import ConfigError, DataError
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.tasks.load import load_task
from tests.anchor_train.few_questions import NAME as TASK
from tests.anchor_train.few_questions import POCKET, small_task
from tests.docs.blocks import block_with
from tests.lm_eval_tasks.run_folders import level, question, write_run

RATES = ("win", "tie", "loss")


def trainer_of(folder: Path, **changes: Any) -> Trainer:
    """Three steps that unlearn: random tokens, at a large rate, with dropout's draws."""
    model = AutoModelForCausalLM.from_pretrained(POCKET, dtype="float32", attention_dropout=0.1)
    dice = torch.Generator().manual_seed(1)
    rows = [
        {"input_ids": ids, "labels": ids} for ids in torch.randint(10, 200, (6, 24), generator=dice).tolist()
    ]
    values = {
        "max_steps": 3,
        "per_device_train_batch_size": 2,
        "learning_rate": 5e-3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "seed": 3,
    }
    arguments = TrainingArguments(str(folder), **(values | changes))
    return Trainer(
        model, arguments, train_dataset=rows, processing_class=AutoTokenizer.from_pretrained(POCKET)
    )


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_task(tmp_path_factory.mktemp("task"))


def watch(trainer: Trainer, task: Path, **changes: Any) -> WinRateCallback:
    judge = load_judge("pocket-oracle:ground-truth", cache=None)
    values: dict[str, Any] = {"every": 2, "questions": 6, "samples": 2, "max_tokens": 110}
    return WinRateCallback(trainer, judge, task, **(values | changes))


def looks(trainer: Trainer) -> list[dict[str, float]]:
    return [row for row in trainer.state.log_history if "explanations/judged" in row]


def test_a_training_that_unlearns_loses_and_makes_the_steps_that_it_would_have_made(
    tmp_path: Path, task: Path
) -> None:
    plain = trainer_of(tmp_path)
    plain.train()
    watched = trainer_of(tmp_path)
    watched.add_callback(watch(watched, task))
    watched.train()
    losses = [[row["loss"] for row in one.state.log_history if "loss" in row] for one in (plain, watched)]
    assert losses[0] == losses[1]
    begin, *later = looks(watched)
    assert [row["step"] for row in (begin, *later)] == [0, 2, 3], "every second step, and the last"
    assert not any(f"explanations/{name}" in begin for name in RATES)
    assert begin["explanations/judged"] > 0.5
    assert later[-1]["explanations/accuracy"] < begin["explanations/accuracy"]
    for row in later:
        if "explanations/win" in row:
            assert sum(row[f"explanations/{name}"] for name in RATES) == pytest.approx(1)
            margin = row["explanations/win"] - row["explanations/loss"]
            assert row["explanations/win_minus_loss"] == pytest.approx(margin)
            assert row["explanations/win_minus_loss_low"] <= margin <= row["explanations/win_minus_loss_high"]
    assert watched.model.training


def test_the_line_of_the_docs_watches_a_training(tmp_path: Path, task: Path) -> None:
    """docs/training.md: its 50 questions are those six that there are."""
    trainer = trainer_of(tmp_path, max_steps=1)
    shown = block_with("docs/training.md", "WinRateCallback(").text
    judge = load_judge("pocket-oracle:ground-truth", cache=None)
    exec(shown.replace("aqua_rat_explain", str(task)), {"trainer": trainer, "judge": judge})
    trainer.train()
    assert [row["step"] for row in looks(trainer)] == [0, 1], "before the first step, and after the last"


def test_against_a_run_that_is_there(tmp_path: Path, task: Path) -> None:
    trainer = trainer_of(tmp_path / "out", max_steps=1, learning_rate=0.0)
    questions = load_task(task).load_questions("test")[:4]
    worst = [ScoredQuestion(one, (replace(level(4, choice=one.gold), correct=True),)) for one in questions]
    run = write_run(tmp_path / "base", {TASK: worst})
    callback = watch(trainer, task, baseline=run)
    trainer.add_callback(callback)
    trainer.train()
    (row,) = looks(trainer)
    assert row["step"] == 1
    assert row["explanations/win"] > 0.5, "anything beats the worst verdicts"
    assert row["explanations/loss"] == 0


def test_what_cannot_be_watched_is_said_at_once(tmp_path: Path, task: Path) -> None:
    trainer = trainer_of(tmp_path / "out")
    with pytest.raises(ConfigError, match="every = 0"):
        watch(trainer, task, every=0)
    with pytest.raises(ConfigError, match="shown:K"):
        watch(trainer, task, reply_form="shown+held")
    other = write_run(
        tmp_path / "other", {TASK: [ScoredQuestion(question(n), (level(0),)) for n in range(3)]}
    )
    with pytest.raises(DataError, match="has 0 of the callback's questions"):
        watch(trainer, task, baseline=other)
    unjudged = write_run(tmp_path / "raw", {TASK: [ScoredQuestion(question(0), (level(0),))]}, judged=False)
    with pytest.raises(DataError, match="judged by nobody"):
        watch(trainer, task, baseline=unjudged)
