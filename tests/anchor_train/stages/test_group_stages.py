"""Strategies on groups of replies: the graph, its stages in real processes, what users see of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchor_train.cli import main
from anchor_train.inspection.dry_run import describe
from anchor_train.inspection.show import examples
from anchor_train.inspection.status import results_text, status_text
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.plan import plan
from anchor_train.pipeline.trained import trained_model, trained_models
from anchor_train.publishing.model_card import model_card
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.groups import WITHOUT, read_groups
from anchor_train.stages.sample import read_samples
from judges.errors import ConfigError, DataError
from tests.anchor_train.scripted_run import finish_sft, left, make_run, write_script

SMALL = {
    "listwise": {"max_steps": 2, "sample_every": None},
    "rft": {"max_steps": 2},
    "variants": {"aft-none": {"strategy": "aft", "listwise": {"constraint": "none"}}},
}


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_model, tiny_adapter) -> RunFolder:
    """A run with everything up to its groups. Read only."""
    run = make_run(tmp_path_factory.mktemp("done"), tiny_model, strategies=["aft", "pro", "rft"], **SMALL)
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({"sample", "groups"})
    return run


@pytest.fixture(scope="module")
def aligned(tmp_path_factory, tiny_model, tiny_adapter) -> RunFolder:
    """A run whose models are trained. Read only."""
    strategies = ["aft", "rft", "aft-none"]
    run = make_run(tmp_path_factory.mktemp("aligned"), tiny_model, strategies=strategies, **SMALL)
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({"sample", "groups", "align"})
    return run


def stale(run: RunFolder, *overrides: str) -> set[str]:
    statuses = Pipeline(run, run.recipe(overrides)).status()
    return {found.stage.key for found in statuses if found.state == "stale"}


def test_every_question_and_every_reply_is_accounted_for(done):
    samples = {found.question.id: found for found in read_samples(done.stage("round-1/sample"))}
    for strategy in ("aft", "pro", "rft"):
        folder = done.stage(f"round-1/{strategy}/groups")
        groups, without = read_groups(folder), left(folder / WITHOUT)
        assert {g.question_id for g in groups} | {row["question_id"] for row in without} == set(samples)
        assert len(groups) + len(without) == 12
        for group in groups:
            texts = [completion.text for completion in samples[group.question_id].completions]
            assert [texts[member.sample] for member in group.members] == [m.text for m in group.members]
            assert len(group.members) + group.duplicates + group.left_out == 4
            gold = samples[group.question_id].question.gold
            assert all((f"<choice>{gold}" in m.text) == m.correct == (m.level == 1) for m in group.members)


def test_groups_by_correctness_need_no_judge(done):
    assert "round-1/judge" not in {stage.key for stage in plan(done.recipe())}
    with pytest.raises(ConfigError, match="no stage judge in a run with strategies aft, pro, rft"):
        Pipeline(done, done.recipe()).do({"judge"})
    with pytest.raises(ConfigError, match="no stage dpo in a run with"):
        Pipeline(done, done.recipe()).do({"dpo"})


def test_a_ranking_needs_the_judge_and_rft_takes_right_replies_all_the_same(done):
    stages = {stage.key: stage for stage in plan(done.recipe(["listwise.feedback=score"]))}
    assert stages["round-1/aft/groups"].needs == {"scored": "round-1/judge"}
    assert stages["round-1/rft/groups"].needs == {"replies": "round-1/sample"}
    assert "round-1/judge" in stages


def test_a_variant_differs_from_its_strategy_by_its_settings_alone(aligned):
    one, other = (aligned.stage(f"round-1/{name}") for name in ("aft", "aft-none"))
    assert read_groups(one / "groups") == read_groups(other / "groups")
    jobs = [json.loads((folder / "align" / "job.json").read_text()) for folder in (one, other)]
    assert jobs[0]["seed"] == jobs[1]["seed"]
    assert [job["settings"].pop("constraint") for job in jobs] == ["boundary", "none"]
    assert jobs[0]["settings"] == jobs[1]["settings"]
    weights = [(folder / "align/adapter/adapter_model.safetensors").read_bytes() for folder in (one, other)]
    assert weights[0] != weights[1]


def test_variants_of_anchor_share_the_consultant_until_they_go_their_own_ways(tmp_path, tiny_model):
    minimum = {"strategy": "anchor", "pairs": {"loser": "minimum"}}
    run = make_run(
        tmp_path, tiny_model, rounds=2, strategies=["anchor", "lowest"], variants={"lowest": minimum}
    )
    stages = {stage.key: stage for stage in plan(run.recipe())}
    assert [key for key in stages if key.endswith("consult")] == [
        "round-1/consult",
        "round-2/anchor/consult",
        "round-2/lowest/consult",
    ]
    assert stages["round-1/lowest/pairs"].needs["arguments"] == "round-1/consult"
    assert stages["round-1/lowest/pairs"].settings["pairs.loser"] == "minimum"
    assert stages["round-2/lowest/sample"].draws == "round-2/anchor/sample"


def test_a_setting_makes_stale_what_reads_it_and_nothing_else(aligned):
    both = {"round-1/aft/align", "round-1/aft-none/align"}
    assert stale(aligned, "listwise.beta=0.3", "dpo.beta=0.3") == both
    assert stale(aligned, "variants.aft-none.listwise.beta=0.3") == {"round-1/aft-none/align"}
    assert stale(aligned, "rft.max_steps=3") == {"round-1/rft/align"}
    lengths = {"round-1/aft/groups", "round-1/aft-none/groups"}
    assert stale(aligned, "listwise.max_length=900") == lengths
    assert not stale(aligned, "listwise.assess_questions=3", "rft.log_every=1", "pairs.loser=minimum")


def test_the_constraint_of_aft_is_nothing_to_the_other_losses(done):
    stages = {stage.key: stage for stage in plan(done.recipe())}
    assert "listwise.beta" in stages["round-1/aft/align"].settings
    assert "listwise.sft_weight" in stages["round-1/pro/align"].settings
    assert not {"listwise.beta", "listwise.constraint"} & set(stages["round-1/pro/align"].settings)


def test_strategies_on_groups_leave_those_on_pairs_as_they_were(tmp_path, tiny_model):
    before = make_run(tmp_path / "before", tiny_model)
    after = make_run(tmp_path / "after", tiny_model, strategies=["anchor", "rank", "aft", "rft"])
    for stage in plan(before.recipe()):
        if stage.kind not in ("table",):
            (same,) = [found for found in plan(after.recipe()) if found.key == stage.key]
            assert (same.needs, same.settings.keys()) == (stage.needs, stage.settings.keys())


def test_from_round_two_on_each_strategy_goes_its_own_way(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, rounds=2, strategies=["aft", "rank"])
    stages = {stage.key: stage for stage in plan(run.recipe())}
    assert stages["round-2/aft/sample"].needs["adapter"] == "round-1/aft/align"
    assert "round-2/aft/judge" not in stages
    assert stages["round-2/rank/judge"].needs["replies"] == "round-2/rank/sample"
    assert stages["round-2/aft/align"].needs["adapter"] == "round-1/aft/align"
    evaluated = {stage.model: stage.needs.get("adapter") for stage in stages.values() if stage.model}
    assert {"aft-round-1", "aft", "rank-round-1", "rank"} <= set(evaluated)
    assert stages["evaluate/aft/generate"].needs["adapter"] == "round-2/aft/align"


def test_replies_that_are_never_right_leave_nothing_to_train_on(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model, strategies=["rft"])
    finish_sft(run, tiny_adapter)
    write_script(tmp_path / "sampler.yaml", [{"reply": "no tags"}])
    recipe = run.recipe(["sampler.stop_unreadable=null"])
    cause = r"no group could be built: 12 questions.*no readable explanation 12\); reply_form=shown\+held"
    with pytest.raises(DataError, match=cause):
        Pipeline(run, recipe).do({"sample", "groups"})


def test_replies_that_are_all_right_are_for_rft_alone(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model, strategies=["rft", "aft"], questions={"limit": 1}, sampler={"n": 2})
    finish_sft(run, tiny_adapter)
    gold = json.loads((run.stage("questions") / "questions.jsonl").read_text())["gold"]
    right = f"<explanation>So it is.</explanation><choice>{gold}</choice>"
    write_script(tmp_path / "sampler.yaml", [{"reply": right}])
    recipe = run.recipe([f"sampler.backend=scripted:{tmp_path / 'sampler.yaml'}"])
    with pytest.raises(DataError, match="so aft has nothing to compare: 1 questions, 1 groups"):
        Pipeline(run, recipe).do({"sample", "groups"})
    assert len(read_groups(run.stage("round-1/rft/groups"))) == 1


def test_groups_that_would_be_cut_are_refused_unless_allowed(done):
    with pytest.raises(ConfigError, match=r"would cut replies of \d+ of \d+ groups.*rft.allow_cut=true"):
        Pipeline(done, done.recipe(["rft.max_length=100"])).do({"groups"})
    Pipeline(done, done.recipe()).do({"groups"})


def test_a_dry_run_shows_groups_with_their_levels(done):
    found = describe(Pipeline(done, done.recipe()))
    planned = {stage.stage: stage for stage in found.stages}
    assert planned["round-1/aft/align"].planned.steps == 2
    assert "groups" in planned["round-1/aft/align"].planned.does
    assert "replies" in planned["round-1/rft/align"].planned.does
    assert any("round-1/aft/align group" in text and "level 1" in text for text in found.examples)


def test_aligned_models_are_shown_counted_and_described(aligned):
    pipeline = Pipeline(aligned, aligned.recipe())
    statuses = list(pipeline.status())
    text = status_text(statuses, aligned)
    assert "groups of 12 questions" in text
    assert "assessment accuracy" in text
    assert "groups by behaviour (aft, feedback by correctness)" in results_text(statuses, aligned)
    for stage in ("groups", "align", "round-1/aft/groups", "round-1/rft/align"):
        shown = examples(pipeline, stage, 1)
        assert len(shown) == (1 if "/" in stage else 3)
        assert all("--- level 1" in example.text for example in shown)
    models = trained_models(pipeline)
    assert set(models) == {"sft", "aft", "rft", "aft-none"}
    assert trained_model(pipeline).name == "aft"
    cards = {name: model_card(pipeline, trained) for name, trained in models.items()}
    assert "2309.02144" in cards["aft"]
    assert "groups of replies" in cards["aft"]
    assert "variant" not in cards["aft"].split("## Settings")[0]
    assert "This is `aft-none`, a variant of `aft`" in cards["aft-none"]
    assert "constraint: none" in cards["aft-none"].split("variants:")[1].split("\nlistwise:")[1]
    assert "Rejection sampling" in cards["rft"]
    report = aligned.manifest().stages["round-1/aft/align"].summary
    assert report["stage"] == "listwise"
    assert {"assessment_accuracy/before", "assessment_accuracy/after"} <= set(report["metrics"])


def test_an_aligned_run_is_passed_over_by_its_commands(aligned):
    for command in ("groups", "align"):
        found = CliRunner().invoke(main, [command, str(aligned.path), "--json"])
        assert found.exit_code == 0, found.stderr
        assert "started" not in found.stderr
        rows = json.loads(found.stdout)["stages"]
        assert {(row["kind"], row["state"]) for row in rows} == {(command, "finished")}
    assert Path(aligned.stage("round-1/rft/align") / "adapter").is_dir()
