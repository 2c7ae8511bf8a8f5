"""Which recipes' stages may be forked: those that bring up neither vLLM nor a Ray cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchor_train.run.roles import may_be_forked
from tests.anchor_train.scripted_run import make_run


@pytest.mark.parametrize(
    ("setting", "may"),
    [
        ("judge=openai:m@http://localhost:1/v1", True),
        ("judge=base", True),
        ("judge={model: latest, temperature: 0}", True),
        ("judge=transformers:another", True),
        ("judge=vllm:another", False),
        ("judge=file.yaml", False),
        ("judge={backend: openai, model: m, executor: ray}", False),
        ("judge=theirs:of-another-package", False),
        ("evaluate.judge=pocket-oracle:ground-truth", True),
        ("engine={backend: vllm}", False),
        ("evaluate.engine=vllm", False),
        ("evaluate.judge=vllm:another", False),
        ("consultant.backend=vllm:another", False),
        ("staple.discover.backend=vllm:another", False),
        ("executor=ray", False),
        ("executor=local", True),
    ],
)
def test_a_stage_is_forked_unless_something_wants_a_fresh_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, may: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.yaml").write_text("{backend: vllm, model: another}")
    run = make_run(tmp_path, tmp_path)
    assert may_be_forked(run.recipe())
    assert may_be_forked(run.recipe([setting])) is may
