"""A new stage is one object: the pipeline, the commands and all that looks at a run know it by that alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from click.testing import CliRunner

from anchor_train.cli import main
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.strategies.anchor import Pairs
from anchor_train.recipes.strategies.strategy import Step, Turn
from anchor_train.run.dependencies import Basis
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import StageJob, StageResult
from anchor_train.stages.parts.kind import Example, Planned, StageKind
from anchor_train.stages.registry import KINDS, commands
from anchor_train.stages.sample import read_samples
from judges.errors import ConfigError
from judges.storage.files import write_records
from tests.anchor_train.scripted_run import finish_sft, make_run

SHORTEST = "shortest.jsonl"


def shortest(job: StageJob) -> StageResult:
    rows = [
        {"id": found.question.id, "text": min((c.text for c in found.completions), key=len)}
        for found in read_samples(job.needed("replies"))
    ]
    write_records(job.folder / SHORTEST, rows)
    return StageResult((SHORTEST,), {"kept": len(rows)})


def shown(job: StageJob) -> Iterator[Example]:
    for line in (job.folder / SHORTEST).read_text().splitlines():
        row = json.loads(line)
        yield Example(job.stage.key, row["id"], f"{row['id']}: {row['text']}", row)


def checked(recipe: object) -> None:
    raise ConfigError("shortest: not on Sundays")


KIND = StageKind(
    "shortest",
    work=shortest,
    basis=lambda stage, of: Basis(of.settings("pairs.loser"), of.prompts),
    plan=lambda job, preview: Planned(f"keeps {len(preview.questions)} replies", examples=("so short",)),
    line=lambda found: f"{found['kept']} kept",
    show=shown,
    file=SHORTEST,
)


@dataclass(frozen=True)
class Short(Pairs):
    def steps(self, turn: Turn) -> Iterator[Step]:
        yield Step("shortest", {"replies": turn.shared("sample")})
        yield from super().steps(turn)


@pytest.fixture
def run(tmp_path, tiny_model, tiny_adapter, monkeypatch) -> RunFolder:
    run = make_run(tmp_path, tiny_model, strategies=["rank"])
    finish_sft(run, tiny_adapter)
    assert call("sample", run.path)[0] == 0
    monkeypatch.setitem(KINDS, KIND.name, KIND)
    monkeypatch.setitem(STRATEGIES, "rank", Short("rank", "Short ones.", "dpo", rule="rank"))
    return run


def call(*arguments: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return found.exit_code, found.stdout, found.stderr


def test_a_stage_of_ones_own_is_done_by_its_command_and_seen_everywhere(run):
    assert "keeps 12 replies" in call("run", run.path, "--dry-run")[1]
    assert call("shortest", run.path, "--dry-run")[1].endswith("so short\n")
    code, out, err = call("shortest", run.path)
    assert (code, out.startswith("round-1/rank/shortest: 12 kept, ")) == (0, True), err
    assert run.manifest().stages["round-1/rank/shortest"].settings == {"pairs.loser": "below_top"}
    assert "round-1/rank/shortest" in call("status", run.path)[1]
    code, out, _ = call("show", run.path, "--stage", "shortest", "-n", "2")
    assert (code, out.count(": ")) == (0, 2)
    found = json.loads(call("status", run.path, "--json", "--set", "pairs.loser=minimum")[1])["stages"]
    assert {row["stage"]: row["state"] for row in found}["round-1/rank/shortest"] == "stale"


def test_what_it_can_tell_before_anything_runs_is_told(run, monkeypatch):
    monkeypatch.setitem(KINDS, KIND.name, replace(KIND, check=checked))
    code, _, err = call("run", run.path)
    assert code != 0
    assert err.count("shortest: not on Sundays") == 1


def test_every_kind_is_done_by_some_command_and_can_be_told_of():
    assert {kind for kinds in commands().values() for kind in kinds} == set(KINDS)
    assert all(kind.file for kind in KINDS.values() if kind.show is not None)
    assert commands()["pairs"] == {"consult", "pairs", "probe"}
    assert commands()["evaluate"] == {"form", "generate", "score", "table"}
