"""The tasks on vLLM: inside the harness, and behind a chat endpoint."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from judges.backends.vllm import cpu as vllm_cpu
from lm_eval_tasks.harness.engines import models
from lm_eval_tasks.records import Question
from tests.conftest import VllmServer
from tests.lm_eval_tasks.running_lm_eval import Outcome, lm_eval

pytestmark = pytest.mark.engine
SHORT = ("--apply_chat_template", "--limit", "2", "--gen_kwargs", "max_gen_toks=24")


def check_samples(outcome: Outcome) -> None:
    """Four replies to each of two questions, all of them parsed, and not one reply four times."""
    rows = outcome.samples["demo_explain"]
    assert len(rows) == 2
    for row in rows:
        (replies,), (parsed,) = row["resps"], row["filtered_resps"]
        assert [json.loads(text)["text"] for text in parsed] == replies
        assert len(set(replies)) > 1
        assert Question.from_json(row["doc"]).gold == row["target"]
    assert {"acc", "acc_spread", "readable"} <= outcome.metrics("demo_explain")
    assert "anchor-eval score RUN_FOLDER" in outcome.messages


def test_the_harness_with_vllm(vllm_installed: None, tmp_path: Path, tiny_model: Path) -> None:
    arguments = f"pretrained={tiny_model},dtype=float32,max_model_len=1024,enforce_eager=True"
    outcome = lm_eval(tmp_path / "run", "vllm", arguments, "demo_explain", {"repeats": 4}, *SHORT)
    check_samples(outcome)


def test_on_a_cpu_a_run_has_vllm_in_one_process(
    vllm_installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vllm.platforms import current_platform

    monkeypatch.setattr(vllm_cpu, "NUMA_NODES", tmp_path)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "put back at the end")
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING")
    models._settle_vllm({})
    expected = "0" if current_platform.is_cpu() else None
    assert os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") == expected


def test_a_chat_endpoint_gives_different_samples(vllm_server: VllmServer, tmp_path: Path) -> None:
    arguments = f"model={vllm_server.model},base_url={vllm_server.base_url}/chat/completions,num_concurrent=4"
    outcome = lm_eval(
        tmp_path / "run", "local-chat-completions", arguments, "demo_explain", {"repeats": 4}, *SHORT
    )
    check_samples(outcome)
