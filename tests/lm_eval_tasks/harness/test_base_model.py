"""A base model, without a chat template: `anchor-eval run` evaluates it without a flag that one must find."""

from __future__ import annotations

import json
from pathlib import Path

from lm_eval_tasks.harness.pilot import FILE
from lm_eval_tasks.runs.discovery import load_run
from tests.lm_eval_tasks.test_cli import AnchorEval, anchor_eval
from tests.tiny_models import make_tiny_model

__all__ = ["anchor_eval"]


def test_a_base_model_is_shown_the_form_as_plain_text(
    anchor_eval: AnchorEval, fork_server: None, tmp_path: Path
) -> None:
    model = make_tiny_model(tmp_path / "base", chat_template=None)
    done = anchor_eval(
        *("run", "--model", "hf", "--model-args", f"pretrained={model},dtype=float32", "-o", "run"),
        *("--tasks", "demo_explain", "--limit", 2, "--repeats", 2, "--gen-kwargs", "max_gen_toks=16"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    # Random weights never close a tag: the pilot says so, and goes on with the better of what can be tried.
    assert "warning: reply form shown:2 (auto: replies readable with shown:2 0% of 2 " in done.stderr
    assert "shown:2+held 0%" in done.stderr
    run = load_run(tmp_path / "run")
    assert run.task("demo_explain").reply_form == "shown:2"
    assert json.loads((tmp_path / "run" / FILE).read_text())["warning"] is True
    log = run.task("demo_explain").samples_file.read_text(encoding="utf-8").splitlines()
    for row in map(json.loads, log):
        prompt, generation = row["arguments"]["gen_args_0"].values()
        assert prompt.startswith("You will see a question")
        assert "small ice cube" in prompt
        assert "<|im_start|>" not in prompt
        assert generation["until"] == ["</choice>"]
