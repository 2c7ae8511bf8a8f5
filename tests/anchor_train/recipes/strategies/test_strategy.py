"""A new strategy is one object: with it, a recipe takes the name, and a run has its stages."""

from __future__ import annotations

import json

import pytest

from anchor_train.inspection.dry_run import describe
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.trained import TrainedModel
from anchor_train.publishing.model_card import model_card
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.strategies.anchor import Pairs
from anchor_train.stages.pairs import read_pairs
from judges.errors import ConfigError
from tests.anchor_train.scripted_run import finish_sft, make_run


@pytest.fixture
def by_score(monkeypatch: pytest.MonkeyPatch) -> str:
    strategy = Pairs("by-score", "Pairs by score alone.", "dpo", rule="rank", tag="dpo")
    monkeypatch.setitem(STRATEGIES, strategy.name, strategy)
    return strategy.name


def test_a_recipe_takes_it_with_its_section_and_its_variants(tmp_path, tiny_model, by_score):
    hot = {"strategy": by_score, "dpo": {"beta": 0.5}}
    run = make_run(tmp_path, tiny_model, strategies=[by_score, "hot"], variants={"hot": hot}, rounds=2)
    stages = {stage.key: stage for stage in Pipeline(run, run.recipe()).stages}
    assert stages["round-2/hot/dpo"].needs["adapter"] == "round-1/hot/dpo"
    assert stages["round-2/hot/dpo"].settings["dpo.beta"] == 0.5
    assert stages["evaluate/by-score/generate"].needs == {"adapter": "round-2/by-score/dpo"}
    assert not [key for key in stages if key.endswith("/consult")], "it asks for no arguments"
    with pytest.raises(ConfigError, match="wrong: by-score doesn't train with rft"):
        run.recipe([f"variants.wrong={{strategy: {by_score}, rft: {{max_steps: 1}}}}"])
    with pytest.raises(ConfigError, match="did you mean 'by-score'"):
        run.recipe(["strategies=by-scor"])


def test_its_stages_run_are_described_and_told_of(tmp_path, tiny_model, tiny_adapter, by_score):
    run = make_run(tmp_path, tiny_model, strategies=["rank"])
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({"sample", "judge", "pairs"})
    pipeline = Pipeline(run, run.recipe([f"strategies={json.dumps(['rank', by_score])}"]))
    assert {s.stage.key for s in pipeline.status() if s.state == "missing"} >= {"round-1/by-score/pairs"}
    pipeline.do({"pairs"})
    pairs = {name: read_pairs(run.stage(f"round-1/{name}/pairs")) for name in ("rank", by_score)}
    assert pairs[by_score] == pairs["rank"], "the same rule and the same draw"
    planned = {stage.stage: stage.planned for stage in describe(pipeline, {"dpo"}).stages}
    assert planned["round-1/by-score/dpo"].does.startswith(f"trains 2 steps on {len(pairs['rank'])} pairs")
    (trained,) = [stage for stage in pipeline.stages if stage.key == "round-1/by-score/dpo"]
    card = model_card(pipeline, TrainedModel(by_score, trained, tiny_adapter))
    assert "Pairs by score alone." in card
    assert f"- {len(pairs['rank'])} preference pairs" in card
