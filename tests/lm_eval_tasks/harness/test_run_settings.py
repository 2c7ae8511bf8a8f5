"""``anchor-eval run``: what doesn't fit is refused before the model is loaded, what doesn't hold is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from lm_eval.api.instance import Instance

from lm_eval_tasks.cli import main
from lm_eval_tasks.harness.engines.models import open_model
from tests.judges.endpoint import Endpoint, Handler

GOOD = "<explanation>\nFor a reason.\n</explanation>\n<choice>\nA\n</choice>"


@pytest.fixture(autouse=True)
def no_key(fork_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def run(folder: Path, *options: str) -> Any:
    size = ["--tasks", "demo_explain", "--limit", "2", "--repeats", "2", "--reply-form", "asked"]
    return CliRunner().invoke(main, ["run", *size, "-o", str(folder), *options])


@pytest.fixture
def no_weights(tiny_model: Path, tmp_path: Path) -> Path:
    """A model that can't be loaded, but whose tokenizer and settings can."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    for weights in folder.glob("*.safetensors"):
        weights.unlink()
    return folder


def test_lengths_are_counted_before_the_model_is_loaded(no_weights: Path, tmp_path: Path) -> None:
    model = ["--model", "hf", "--model-args", f"pretrained={no_weights},max_length=300", "--device", "cpu"]
    done = run(tmp_path / "run", *model, "--gen-kwargs", "max_tokens=290")
    assert done.exit_code == 1
    assert "2 of 2 prompts don't fit the model's context of 300 tokens" in done.stderr
    assert "its reply may have 290" in done.stderr
    assert "--cut-prompts" in done.stderr
    assert "safetensors" not in done.stderr  # the weights are what it would ask for next


def test_what_an_endpoint_does_nothing_with_is_said_and_recorded(tmp_path: Path) -> None:
    """Options without a meaning there, and a seed that it refuses."""

    def behave(k: int, body: dict[str, Any], handler: Handler) -> None:
        if "seed" in body:
            handler.error(400, "Unsupported parameter: 'seed'", param="seed", code="unsupported_parameter")
        else:
            handler.reply(GOOD)

    with Endpoint(behave, owned_by=None) as endpoint:
        arguments = f"model=m,base_url={endpoint.url}/chat/completions,dtype=float16"
        model = ["--model", "local-chat-completions", "--model-args", arguments]
        done = run(tmp_path / "run", *model, "--device", "cpu", "--batch-size", "4")
    assert done.exit_code == 0, done.output
    assert "warning: --device cpu has no effect" in done.stderr
    assert "warning: --batch-size 4 has no effect: num_concurrent=N" in done.stderr
    assert "warning: seed had no effect: the endpoint refused it" in done.stderr
    (results,) = (tmp_path / "run").rglob("results_*.json")
    recorded = json.loads(results.read_text())["config"]["without_effect"]
    assert set(recorded) == {"--device cpu", "--batch-size 4", "dtype=float16 of --model-args", "seed"}


def test_seeds_at_an_endpoint_differ_by_sample_and_hold_from_run_to_run(tmp_path: Path) -> None:
    with Endpoint(lambda k, body, handler: handler.reply(GOOD), owned_by=None) as endpoint:

        def seeds(name: str, seed: int | None, **settings: Any) -> list[int | None]:
            before = len(endpoint.bodies)
            arguments = {"model": "m", "base_url": endpoint.url}
            opened = open_model("local-chat-completions", arguments, replies=tmp_path / name, seed=seed)
            prompt = opened.lm.apply_chat_template([{"role": "user", "content": "Why?"}])
            given = {"until": [], "max_gen_toks": 9, "temperature": 0.7, "seed": None, **settings}
            request = Instance("generate_until", {}, (prompt, given), 0)
            assert opened.lm.generate_until([request] * 4, disable_tqdm=True) == [GOOD] * 4
            return sorted((body.get("seed") for body in endpoint.bodies[before:]), key=str)

        first = seeds("a", 1)
        assert len(set(first)) == 4
        assert seeds("b", 1) == first
        assert not set(seeds("c", 2)) & set(first)
        assert seeds("d", None) == seeds("e", 1, temperature=0.0) == [None] * 4
        assert seeds("a", 1) == []
