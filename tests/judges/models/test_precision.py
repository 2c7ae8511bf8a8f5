"""Where nothing says it, a CPU computes in the numbers that it is fast in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from judges.backends.transformers.backend import TransformersBackend, create
from judges.models import precision
from judges.models.precision import dtype_on_cpu, multiplies_bfloat16
from judges.records import Message, Reply, Sampling
from lm_eval_tasks.harness.engines.models import open_model


@pytest.mark.parametrize(
    ("description", "fast"),
    [
        ("flags\t\t: fpu sse2 avx2 avx512f amx_bf16 amx_tile", True),
        ("processor : 0\nflags : fpu avx512_bf16 avx512f\n", True),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("flags\t\t: fpu sse2 avx2 avx512f", False),
        ("model name : a bf16 by name only\nflags : fpu", False),
        ("", False),
    ],
)
def test_processors_that_multiply_bfloat16_are_told_by_their_flags(description: str, fast: bool) -> None:
    assert multiplies_bfloat16(description) is fast


@pytest.fixture(params=[True, False], ids=["fast in bfloat16", "slow in bfloat16"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(precision, "fast_bfloat16", lambda: request.param)
    return bool(request.param)


def folder(path: Path, **config: object) -> str:
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    save_file({"w": torch.zeros(8)}, path / "model.safetensors")
    return str(path)


def test_weights_of_16_bits_become_float32_where_they_are_slow(tmp_path: Path, fast: bool) -> None:
    expected = "auto" if fast else "float32"
    assert dtype_on_cpu(folder(tmp_path, dtype="bfloat16")) == expected
    assert dtype_on_cpu(folder(tmp_path, torch_dtype="float16")) == expected


def test_nothing_is_decided_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "fast_bfloat16", lambda: False)
    assert dtype_on_cpu(folder(tmp_path, dtype="float32")) == "auto"
    assert dtype_on_cpu(folder(tmp_path, dtype="bfloat16", quantization_config={"bits": 4})) == "auto"
    assert dtype_on_cpu("some/model-of-the-hub") == "auto"
    (tmp_path / "config.json").write_text("not JSON")
    assert dtype_on_cpu(str(tmp_path)) == "auto"


def test_a_model_too_large_for_float32_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setattr(precision, "fast_bfloat16", lambda: False)
    model = folder(tmp_path, dtype="bfloat16")
    size = (tmp_path / "model.safetensors").stat().st_size
    for memory, expected in ((4 * size, "float32"), (4 * size - 1, "auto")):
        monkeypatch.setattr(
            psutil, "virtual_memory", lambda total=memory: type("Memory", (), {"total": total})
        )
        assert dtype_on_cpu(model) == expected


@pytest.fixture(scope="module")
def half_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = tmp_path_factory.mktemp("half")
    AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16).save_pretrained(path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(path)
    return path


@pytest.mark.parametrize(("said", "dtype"), [({}, None), ({"dtype": "bfloat16"}, torch.bfloat16)])
def test_a_judge_on_a_cpu_computes_so(
    half_model: Path, fast: bool, said: dict[str, str], dtype: torch.dtype | None
) -> None:
    with create({"model": str(half_model), "device": "cpu", **said}) as backend:
        assert isinstance(backend, TransformersBackend)
        ((_, reply),) = backend.replies([(Message("user", "Why?"),)], Sampling(max_tokens=1))
        assert isinstance(reply, Reply)
        assert backend._model is not None
        assert backend._model._model.dtype == (dtype or (torch.bfloat16 if fast else torch.float32))


@pytest.mark.parametrize("said", [{}, {"dtype": "auto"}, {"dtype": "bfloat16"}])
def test_an_evaluated_model_does_unless_told_otherwise(
    tmp_path: Path, half_model: Path, fast: bool, said: dict[str, str]
) -> None:
    arguments = {"pretrained": str(half_model), **said}
    opened = open_model("hf", arguments, replies=tmp_path / "replies.sqlite", seed=1, device="cpu")
    assert opened.lm.model.dtype == (torch.bfloat16 if fast or said else torch.float32)
