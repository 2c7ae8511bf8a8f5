"""A model that thinks and a chat template that cuts thoughts: sampled, judged, paired, grouped, trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.groups import read_groups
from anchor_train.stages.pairs import read_pairs
from anchor_train.training.job import OutputFolder
from tests.anchor_train.scripted_run import REPLIES, finish_sft, make_run, write_script
from tests.chat_templates import DEEPSEEK_R1_DISTILLED

# As an endpoint gives them whose template opened the block, as one that keeps it, and cut before its end.
THOUGHTS = [
    f"I weigh A, <choice>B</choice> and C.\n</think>\n\n{REPLIES[0]}",
    f"<think>\nClearly, clearly.\n</think>\n\n{REPLIES[1]}",
    f"[THINK]Only C?[/THINK]{REPLIES[2]}",
    REPLIES[3],
    "<think>\nThis takes a while",
]
ARGUMENT = "<think>\nThey want me to argue.\n</think>\n\nIt follows from what was asked."


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_adapter: Path) -> RunFolder:
    """A run up to its trained model, its sampler and consultant scripted, all else real. Read only."""
    folder = tmp_path_factory.mktemp("thinking")
    template = folder / "chat.jinja"
    template.write_text(DEEPSEEK_R1_DISTILLED)
    sampler = write_script(folder / "thoughts.yaml", [{"reply": THOUGHTS, "order": "seeded"}])
    consultant = write_script(folder / "argument.yaml", [{"reply": ARGUMENT}])
    run = make_run(
        folder,
        {"name": str(tiny_model), "chat_template": str(template)},
        strategies=["anchor", "rft"],
        sampler={"backend": sampler, "thinking_tokens": 100},
        consultant={"backend": consultant},
        dpo={"max_steps": 1, "sample_every": None},
    )
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({"sample", "judge", "consult", "pairs", "groups", "dpo"})
    return run


def test_pairs_and_groups_hold_replies_without_their_thoughts(done: RunFolder) -> None:
    pairs = read_pairs(done.stage("round-1/anchor/pairs"))
    said = {side.text for pair in pairs for side in (pair.chosen, pair.rejected) if side.sample is not None}
    assert said
    assert said <= set(REPLIES[:4])
    argued = [pair.chosen.text for pair in pairs if pair.chosen.source == "consultant"]
    assert argued
    assert all("It follows" in text and "They want" not in text for text in argued)
    groups = read_groups(done.stage("round-1/rft/groups"))
    assert {member.text for group in groups for member in group.members} <= set(REPLIES[:4])
    report = json.loads((done.stage("round-1/anchor/pairs") / "report.json").read_text())
    assert 0 < report["thoughts_left_out"] <= 2 * report["total"]


def test_it_is_trained_on_them(done: RunFolder) -> None:
    report = OutputFolder(done.stage("round-1/anchor/dpo")).read_report()
    assert report is not None
    assert report.steps == 1
