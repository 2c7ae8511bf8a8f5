"""The graph of strategy ``staple``: what each round reads, which questions are fresh, where it starts."""

from __future__ import annotations

import json

import pytest

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.plan import plan
from anchor_train.stages.cluster import read_members
from anchor_train.stages.questions import ids_of_round
from anchor_train.stages.sample import read_samples
from judges.errors import ConfigError
from tests.anchor_train.principles.scripted_staple import make_staple

DISCOVER, CLUSTER, TRAIN = (f"round-1/staple/{name}" for name in ("discover", "cluster", "train"))
TO_CLUSTER = {"sample", "judge", "consult", "discover", "cluster"}


def test_a_round_reads_what_it_should(tmp_path, tiny_model):
    run = make_staple(tmp_path, tiny_model, strategies=["anchor", "staple"], rounds=2)
    stages = {stage.key: stage for stage in plan(run.recipe())}
    assert [key for key in stages if key.endswith("/consult")] == [
        "round-1/consult",
        "round-2/anchor/consult",
        "round-2/staple/consult",
    ]
    assert stages[DISCOVER].needs["scored"] == "round-1/judge"
    assert stages[DISCOVER].needs["adapter"] == stages[TRAIN].needs["adapter"] == "sft"
    assert stages["round-2/staple/sample"].needs["adapter"] == TRAIN
    assert stages["round-2/staple/train"].needs["adapter"] == TRAIN
    assert stages["round-2/staple/cluster"].needs["round 1"] == CLUSTER
    assert not stages["round-1/sample"].fresh, "anchor takes all questions"
    assert stages["round-2/staple/sample"].fresh
    assert not stages["round-2/anchor/sample"].fresh
    evaluated = {stage.model: stage.needs.get("adapter") for stage in stages.values() if stage.model}
    assert {"staple-round-1", "staple", "anchor-round-1", "anchor"} <= set(evaluated)


def test_beside_other_strategies_it_leaves_them_as_they_were(tmp_path, tiny_model):
    before = make_staple(tmp_path / "before", tiny_model, strategies=["anchor", "rft"])
    after = make_staple(tmp_path / "after", tiny_model, strategies=["anchor", "staple", "rft"])
    with_staple = {stage.key: stage for stage in plan(after.recipe())}
    for stage in plan(before.recipe()):
        if stage.kind != "table":
            same = with_staple[stage.key]
            assert (same.needs, same.settings.keys()) == (stage.needs, stage.settings.keys())


def test_without_arguments_as_hints_no_consultant_is_asked(tmp_path, tiny_model):
    run = make_staple(tmp_path, tiny_model, staple={"discover": {"n": 3, "reference": "reply"}})
    stages = {stage.key: stage for stage in plan(run.recipe())}
    assert "round-1/consult" not in stages
    assert "arguments" not in stages[DISCOVER].needs


def test_from_the_base_model_it_samples_for_itself(tmp_path, tiny_model):
    run = make_staple(tmp_path, tiny_model, strategies=["anchor", "staple"], staple={"start": "base"})
    stages = {stage.key: stage for stage in plan(run.recipe())}
    assert "adapter" not in stages["round-1/staple/sample"].needs
    assert stages[DISCOVER].needs["scored"] == "round-1/staple/judge"
    assert "adapter" not in stages[TRAIN].needs
    assert "sft.lora.r" in stages[TRAIN].settings
    assert stages["round-1/sample"].needs["adapter"] == "sft"


def test_two_rounds_from_the_base_model(tmp_path, tiny_model):
    run = make_staple(
        tmp_path,
        tiny_model,
        rounds=2,
        staple={
            "start": "base",
            "discover": {"n": 4, "first_replies": 4, "questions": [8, 4]},
            "cluster": {"threshold": 0.7, "allow_one": True},
        },
    )
    pipeline = Pipeline(run, run.recipe())
    pipeline.do({"questions", *TO_CLUSTER})
    pipeline.do({"train"})
    pipeline.do(TO_CLUSTER)
    # Round 1 trained an adapter of its own, without the fine-tuning on answers.
    assert "sft" not in run.manifest().stages
    assert run.manifest().stages[TRAIN].summary["stage"] == "sft"
    first = run.manifest().stages[TRAIN].content
    assert run.manifest().stages["round-2/staple/sample"].inputs["adapter"] == first
    # Each round took fresh questions, and the second knows the first one's principles.
    taken = [
        {sample.question.id for sample in read_samples(run.stage(f"round-{number}/staple/sample"))}
        for number in (1, 2)
    ]
    assert [len(ids) for ids in taken] == [8, 4]
    assert not taken[0] & taken[1]
    reports = [
        json.loads((run.stage(f"round-{number}/staple/cluster") / "report.json").read_text())
        for number in (1, 2)
    ]
    assert (reports[0]["new"], reports[0]["new_share"]) == (reports[0]["distinct"], 1.0)
    known = set(read_members(run.stage(CLUSTER)))
    new = [text for text in read_members(run.stage("round-2/staple/cluster")) if text not in known]
    assert (reports[1]["round"], reports[1]["new"]) == (2, len(new))


def test_rounds_without_fresh_questions_are_told_in_the_first(tmp_path, tiny_model):
    run = make_staple(tmp_path, tiny_model, rounds=2)
    ids = [f"q{number}" for number in range(12)]
    parts = [ids_of_round(run.recipe(), number, ids) for number in (1, 2)]
    assert [len(part) for part in parts] == [6, 6]
    assert parts[0] | parts[1] == set(ids)
    assert [ids_of_round(run.recipe(), number, ids[::-1]) for number in (1, 2)] == parts, (
        "whatever their order"
    )
    greedy = run.recipe(["staple.discover.questions=[12, 4]"])
    with pytest.raises(ConfigError, match="round 2 has no fresh questions: 12 are drawn"):
        ids_of_round(greedy, 1, ids)
    with pytest.raises(ConfigError, match=r"discover.questions has 2 number\(s\) for 3 rounds"):
        run.recipe(["staple.discover.questions=[12, 4]", "rounds=3"])


def test_the_consultant_is_asked_anew_when_its_guide_says_something_else(tmp_path, tiny_model):
    guide = tmp_path / "guide.yaml"
    guide.write_text("principles: [{text: Say why.}]")
    run = make_staple(tmp_path / "r", tiny_model)
    (plain,) = [stage for stage in plan(run.recipe()) if stage.kind == "consult"]
    found = []
    for text in ("Say why.", "Say why. # twice", "Say how."):
        guide.write_text(f"principles: [{{text: {text}\n}}]")
        (consult,) = [s for s in plan(run.recipe([f"consultant.guide={guide}"])) if s.kind == "consult"]
        found.append(consult.externals["guide"])
    assert found[0] == found[1] != found[2], "a comment says nothing"
    assert "guide" not in plain.externals
