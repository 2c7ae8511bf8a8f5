"""Exported folders hold safetensors only and say the same in every engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from anchor_train.publishing.export import export
from anchor_train.recipes.training_settings import ModelSettings
from anchor_train.training.rendering import prompt_ids
from judges.errors import ConfigError
from tests.anchor_train.small_training import prompt
from tests.tiny_models import make_tiny_model

CARD = "# A tiny model\n\nTrained on nothing."
TOKENS = 24


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> ModelSettings:
    return ModelSettings(name=str(tiny_model))


@pytest.fixture(scope="module")
def messy_adapter(tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter in a checkpoint folder as TRL leaves it: pickles, a reference, trainer state."""
    folder = tmp_path_factory.mktemp("checkpoint")
    for path in tiny_adapter.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    torch.save({"lr": 1.0}, folder / "training_args.bin")
    torch.save({"state": {}}, folder / "optimizer.pt")
    (folder / "trainer_state.json").write_text("{}")
    (folder / "ref").mkdir()
    (folder / "ref" / "adapter_config.json").write_text("{}")
    return folder


@pytest.fixture(scope="module")
def exported(
    model: ModelSettings, messy_adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("exports")
    return {
        "adapter": export("adapter", messy_adapter, model, root / "adapter", CARD),
        "merged": export("merged", messy_adapter, model, root / "merged", CARD),
    }


@pytest.fixture(scope="module")
def greedy_text(model: ModelSettings, tiny_adapter: Path) -> str:
    """What the adapter on its base says, by plain transformers and PEFT."""
    base = AutoModelForCausalLM.from_pretrained(model.name)
    return _greedy(PeftModel.from_pretrained(base, tiny_adapter), AutoTokenizer.from_pretrained(model.name))


def test_nothing_but_safetensors_configs_tokenizer_and_card(exported: dict[str, Path]) -> None:
    tokenizer = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "README.md"}
    merged = {"config.json", "generation_config.json", "model.safetensors"}
    assert {path.name for path in exported["merged"].iterdir()} == tokenizer | merged
    assert {path.name for path in exported["adapter"].iterdir()} <= tokenizer | {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    for folder in exported.values():
        assert (folder / "README.md").read_text() == CARD


def test_the_merged_model_says_what_the_adapter_says(
    model: ModelSettings, exported: dict[str, Path], greedy_text: str
) -> None:
    merged = AutoModelForCausalLM.from_pretrained(exported["merged"])
    tokenizer = AutoTokenizer.from_pretrained(exported["merged"])
    assert _greedy(merged, tokenizer) == greedy_text
    assert _greedy(AutoModelForCausalLM.from_pretrained(model.name), tokenizer) != greedy_text


def test_lm_eval_says_the_same_with_either_form(
    model: ModelSettings, exported: dict[str, Path], greedy_text: str
) -> None:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    for options in (
        {"pretrained": str(exported["merged"])},
        {"pretrained": model.name, "peft": str(exported["adapter"])},
    ):
        engine = HFLM(**options, device="cpu", dtype="float32", batch_size=1)
        text = engine.apply_chat_template(
            [{"role": message.role, "content": message.content} for message in prompt("cat")]
        )
        generation = {"max_gen_toks": TOKENS, "do_sample": False, "until": ["<|im_end|>"]}
        request = Instance("generate_until", {}, (text, generation), 0)
        (reply,) = engine.generate_until([request], disable_tqdm=True)
        assert reply.strip() == greedy_text.strip()


@pytest.mark.engine
def test_vllm_says_the_same_with_either_form(
    model: ModelSettings, exported: dict[str, Path], greedy_text: str, tmp_path: Path
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model.name)
    ids = list(prompt_ids(tokenizer, prompt("cat")))
    script = tmp_path / "say.py"
    script.write_text(
        "import json, sys\n"
        "def main():\n"
        "    from vllm import LLM, SamplingParams\n"
        "    from vllm.distributed import cleanup_dist_env_and_memory\n"
        "    from vllm.lora.request import LoRARequest\n"
        "    forms, ids, tokens = json.loads(sys.argv[1])\n"
        "    sampling = SamplingParams(temperature=0, max_tokens=tokens)\n"
        "    for model, adapter in forms:\n"
        "        llm = LLM(model, max_model_len=512, enforce_eager=True, dtype='float32',\n"
        "                  enable_lora=bool(adapter), max_lora_rank=8)\n"
        "        lora = LoRARequest('adapter', 1, adapter) if adapter else None\n"
        "        reply = llm.generate({'prompt_token_ids': ids}, sampling, lora_request=lora)[0]\n"
        "        print('TEXT' + json.dumps(reply.outputs[0].text))\n"
        "        del llm\n"
        "        cleanup_dist_env_and_memory()\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    forms = ((str(exported["merged"]), None), (model.name, str(exported["adapter"])))
    run = subprocess.run(
        [sys.executable, str(script), json.dumps([forms, ids, TOKENS])],
        env={**os.environ, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"},  # starts in half the time
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in run.stdout.splitlines() if line.startswith("TEXT")]
    said = [json.loads(line.removeprefix("TEXT")).strip() for line in lines]
    assert said == [greedy_text.strip()] * len(forms)


def test_a_folder_that_is_there_is_only_replaced_when_asked(
    model: ModelSettings, tiny_adapter: Path, tmp_path: Path
) -> None:
    destination = tmp_path / "out"
    export("adapter", tiny_adapter, model, destination, CARD)
    with pytest.raises(ConfigError, match="is there already"):
        export("adapter", tiny_adapter, model, destination, "new")
    export("adapter", tiny_adapter, model, destination, "new", overwrite=True)
    assert (destination / "README.md").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_export_leaves_nothing(model: ModelSettings, tiny_adapter: Path, tmp_path: Path) -> None:
    other = ModelSettings(name=str(make_tiny_model(tmp_path / "other", seed=1)))
    with pytest.raises(ConfigError, match="belongs to the base model"):
        export("merged", tiny_adapter, other, tmp_path / "out", CARD)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def _greedy(model: Any, tokenizer: Any) -> str:
    ids = torch.tensor([prompt_ids(tokenizer, prompt("cat"))])
    reply = model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=False
    )
    return str(tokenizer.decode(reply[0, ids.shape[1] :], skip_special_tokens=True))
