"""What a samples log says of the prompts, in the forms in which the harness logs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lm_eval_tasks.runs.sample_logs import read_prompts
from tests.lm_eval_tasks.run_folders import question

TURNS = [{"role": "system", "content": "Explain."}, {"role": "user", "content": "What is 2 + 2?"}]
PARTS = [
    {"role": "user", "content": [{"type": "text", "text": "What is "}, {"type": "text", "text": "2 + 2?"}]}
]


@pytest.mark.parametrize(
    ("arguments", "turns"),
    [
        (
            {"gen_args_0": {"arg_0": [json.dumps(TURNS)], "arg_1": {"until": []}}},
            (("system", "Explain."), ("user", "What is 2 + 2?")),
        ),
        ({"gen_args_0": {"arg_0": "<|user|>What?", "arg_1": {}}}, (("prompt", "<|user|>What?"),)),
        ([["[1, 2] is a list", {"until": []}]], (("prompt", "[1, 2] is a list"),)),
        ({"gen_args_0": {"arg_0": json.dumps(PARTS)}}, (("user", "What is 2 + 2?"),)),
        (None, None),
        ({}, None),
        ({"gen_args_0": {"arg_0": ""}}, None),
    ],
)
def test_prompts_are_read_as_they_were_sent(tmp_path: Path, arguments: Any, turns: Any) -> None:
    row = {"doc": question(7).to_json(), "arguments": arguments, "resps": [["..."]]}
    (tmp_path / "log.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    assert dict(read_prompts(tmp_path / "log.jsonl")) == ({} if turns is None else {"q7": turns})
