"""What this machine hasn't is refused before a model is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from judges import ConfigError
from lm_eval_tasks.harness.engines.machine import check_machine

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@pytest.mark.parametrize(
    ("model", "arguments", "device", "complaint"),
    [
        ("hf", {"dtype": "bflaot16"}, None, r"dtype = 'bflaot16'.*did you mean 'bfloat16'\?"),
        ("hf", {"dtype": "int8"}, None, "no number type of a model"),
        ("vllm", {"dtype": "save"}, None, "no number type of a model"),
        ("hf", {}, "gpu", "no device; cuda"),
        ("hf", {"device": "gpu"}, None, "no device; cuda"),
        pytest.param("hf", {}, "cuda:1", "PyTorch sees no GPU", marks=NO_GPU),
        pytest.param("hf", {}, "mps", "PyTorch sees none", marks=NO_GPU),
        ("hf", {"pretrained": "/no/such/model"}, None, "pretrained = '/no/such/model': no such folder"),
        ("vllm", {"lora_local_path": "./none"}, None, "lora_local_path = './none': no such folder"),
        ("hf", {"pretrained": "~/no/such/model"}, None, "write the home folder out"),
    ],
)
def test_what_is_not_there_is_named(
    model: str, arguments: dict[str, Any], device: str | None, complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        check_machine(model, arguments, device)


def test_all_that_is_wrong_comes_together() -> None:
    with pytest.raises(ConfigError, match=r"no such folder.*no number type.*no device"):
        check_machine("hf", {"pretrained": "./none", "dtype": "x"}, "gpu")


def test_what_is_there_is_let_through(tmp_path: Path) -> None:
    check_machine("hf", {"pretrained": str(tmp_path), "dtype": "float32"}, "cpu")
    check_machine("hf", {"pretrained": "org/model", "dtype": "torch.bfloat16"}, None)
    check_machine("local-completions", {"dtype": "whatever"}, "gpu")


def test_vllm_is_asked_what_it_computes_with(vllm_installed: None) -> None:
    from vllm.platforms import current_platform

    check_machine("vllm", {"dtype": "float"}, None)  # vLLM's name of float32
    missing = {torch.float16, torch.bfloat16, torch.float32} - set(current_platform.supported_dtypes)
    for dtype in missing:
        with pytest.raises(ConfigError, match="vLLM can't compute with it"):
            check_machine("vllm", {"dtype": str(dtype).removeprefix("torch.")}, None)
