"""What is trained here and what a plain script of TRL trains on the same examples: the same, step by step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.records import conversation_to_json
from tests.anchor_train import small_training as small

STEPS = 6
SEED = 42


def shared(folder: Path) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "seed": SEED,
        "data_seed": SEED,
        "learning_rate": 1e-2,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "max_grad_norm": 0.3,
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "max_steps": STEPS,
        "max_length": None,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "fp16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }


def trained(trainer: Any) -> list[tuple[float, float]]:
    trainer.train()
    return [(row["loss"], row["grad_norm"]) for row in trainer.state.log_history if "loss" in row]


def logged(folder: Path) -> list[tuple[float, float]]:
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(row["loss"], row["grad_norm"]) for row in rows]


def same(ours: Sequence[tuple[float, float]], theirs: Sequence[tuple[float, float]]) -> None:
    assert len(ours) == len(theirs) == STEPS
    for mine, yours in zip(ours, theirs, strict=True):
        assert mine == pytest.approx(yours, rel=1e-4)
    assert len({loss for loss, _ in ours}) >= STEPS - 1, "something was learnt on the way"


def turn(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_fine_tuning(tiny_model, tmp_path):
    examples = small.sft_examples()
    rows = [{"prompt": conversation_to_json(e.prompt), "completion": turn(e.target)} for e in examples]
    set_seed(SEED)
    plain = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model, dtype="float32"),
        args=SFTConfig(**shared(tmp_path / "plain")),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
        peft_config=LoraConfig(
            r=4, lora_alpha=8, lora_dropout=0.05, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )
    theirs = trained(plain)
    set_seed(SEED)
    model = ModelSettings(name=str(tiny_model), dtype="float32")
    small.train(small.sft_settings(max_steps=STEPS), model, examples, tmp_path / "ours", seed=SEED)
    same(logged(tmp_path / "ours"), theirs)


def test_preference_training(tiny_model, tiny_adapter, tmp_path):
    examples = small.preference_examples()
    rows = [
        {"prompt": conversation_to_json(e.prompt), "chosen": turn(e.chosen), "rejected": turn(e.rejected)}
        for e in examples
    ]
    base = AutoModelForCausalLM.from_pretrained(tiny_model, dtype="float32")
    plain = DPOTrainer(
        model=PeftModel.from_pretrained(base, str(tiny_adapter), is_trainable=True),
        args=DPOConfig(**shared(tmp_path / "plain"), beta=0.1, loss_type=["sigmoid"]),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
    )
    theirs = trained(plain)
    model = ModelSettings(name=str(tiny_model), dtype="float32")
    settings = small.dpo_settings(max_steps=STEPS, sample_every=None)
    small.train(settings, model, examples, tmp_path / "ours", tiny_adapter, seed=SEED)
    same(logged(tmp_path / "ours"), theirs)
    assert theirs[0][0] == pytest.approx(0.6931, abs=1e-4)
