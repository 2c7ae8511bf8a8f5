"""What a run folder holds: rows of earlier versions are read, and written again as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from anchor_train.preferences.groups import Group, GroupExample, NoGroup
from anchor_train.preferences.pair_report import PairReport
from anchor_train.principles.records import Discovery, NoDiscovery
from anchor_train.principles.report import ConstitutionReport, DiscoveryReport
from anchor_train.records import (
    Argument,
    Assessment,
    NoPair,
    PreferenceExample,
    PreferencePair,
    SampledQuestion,
    SftExample,
)
from anchor_train.run.manifest import Manifest
from anchor_train.stages.cluster import Member
from anchor_train.stages.parts.group_report import GroupReport
from anchor_train.stages.parts.paper_table import Table
from anchor_train.training.collapse import Sample
from anchor_train.training.job import TrainingJob, TrainingReport
from lm_eval_tasks.records import ScoredQuestion

TRAINING = Path(__file__).resolve().parents[1] / "fixtures" / "earlier_version" / "training"

FILES = {
    "sft/examples.jsonl": SftExample,
    "sft/report.json": TrainingReport,
    "round-1/sample/replies.jsonl": SampledQuestion,
    "round-1/judge/scored.jsonl": ScoredQuestion,
    "round-1/consult/arguments.jsonl": Argument,
    "round-1/anchor/pairs/pairs.jsonl": PreferencePair,
    "round-1/anchor/pairs/without.jsonl": NoPair,
    "round-1/anchor/pairs/report.json": PairReport,
    "round-1/anchor/dpo/examples.jsonl": PreferenceExample,
    "round-1/anchor/dpo/report.json": TrainingReport,
    "round-1/aft-detached/groups/groups.jsonl": Group,
    "round-1/aft-detached/groups/without.jsonl": NoGroup,
    "round-1/aft-detached/groups/report.json": GroupReport,
    "round-1/aft-detached/align/examples.jsonl": GroupExample,
    "round-1/aft-detached/align/samples.jsonl": Sample,
    "round-1/aft-detached/align/assessments.jsonl": Assessment,
    "round-1/aft-detached/align/job.json": TrainingJob,
    "round-1/staple/discover/discoveries.jsonl": Discovery,
    "round-1/staple/discover/without.jsonl": NoDiscovery,
    "round-1/staple/discover/report.json": DiscoveryReport,
    "round-1/staple/cluster/members.jsonl": Member,
    "round-1/staple/cluster/report.json": ConstitutionReport,
    "round-1/staple/train/examples.jsonl": SftExample,
    "evaluate/table/table.json": Table,
}
LATER = {"thoughts_left_out", "consultant", "compared", "baseline", "beside", "beside_rows", "sft_target"}
"""Keys that this version writes and that one didn't."""


@pytest.mark.parametrize("file", FILES)
def test_rows_of_an_earlier_version_are_written_as_they_were_read(file: str) -> None:
    text = (TRAINING / file).read_text(encoding="utf-8")
    rows = [json.loads(row) for row in (text.splitlines() if file.endswith("l") else [text])]
    assert rows
    for row in rows:
        written = FILES[file].from_json(row).to_json()
        assert json.dumps(_without_later(written, row)) == json.dumps(row)


def _without_later(written: Any, row: Any) -> Any:
    """What is written, without the keys of :data:`LATER` that the row didn't have."""
    if isinstance(written, list) and isinstance(row, list):
        return [_without_later(one, other) for one, other in zip(written, row, strict=True)]
    if not isinstance(written, dict) or not isinstance(row, dict):
        return written
    return {
        key: _without_later(value, row.get(key))
        for key, value in written.items()
        if key in row or key not in LATER
    }


def test_a_manifest_is_written_as_it_was_read(tmp_path: Path) -> None:
    manifest = Manifest.load(TRAINING / "manifest.json")
    manifest.save(tmp_path / "manifest.json")
    assert (tmp_path / "manifest.json").read_bytes() == (TRAINING / "manifest.json").read_bytes()
