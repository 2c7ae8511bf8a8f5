from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from anchor_train.recipes.files import RECIPES, load_recipe, resolved_yaml
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.training_settings import DPO_LOSSES, LoopSettings, OptimiserSettings
from judges.errors import ConfigError

MINIMAL = "model: some/model\ntask: aqua_rat_explain\nengine: transformers\n"


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(MINIMAL, encoding="utf-8")
    return path


def test_what_a_recipe_leaves_out_is_as_in_the_paper(recipe_file):
    recipe = load_recipe(recipe_file)
    assert (recipe.sft.lora.r, recipe.sft.lora.alpha, recipe.sft.lora.dropout) == (256, 128, 0.05)
    assert (recipe.sft.optimiser.learning_rate, recipe.sft.optimiser.batch_size) == (5e-5, 12)
    assert (recipe.sft.epochs, recipe.sft.optimiser.warmup, recipe.sft.optimiser.max_grad_norm) == (
        1,
        0.1,
        0.3,
    )
    assert (recipe.sampler.n, recipe.sampler.temperature, recipe.sampler.top_p) == (4, 0.6, 0.9)
    assert (recipe.consultant.temperature, recipe.consultant.top_p) == (0.5, 0.9)
    assert (recipe.dpo.beta, recipe.dpo.max_steps, recipe.dpo.optimiser.learning_rate) == (0.1, 2600, 5e-7)
    assert recipe.dpo.optimiser.batch_size == 6
    assert recipe.evaluate.n == 16
    assert recipe.pairs.loser == "below_top"


@pytest.mark.parametrize(
    ("task", "overrides", "limit"),
    [
        ("aqua_rat_explain", (), 5000),
        ("logiqa_explain", (), None),  # 7,376 questions, of which the paper leaves none out
        ("logiqa_explain", ("questions.limit=64",), 64),
        ("logiqa_explain", ("questions.limit={logiqa_explain: 32}",), 32),
        ("aqua_rat_explain", ("questions.limit=null",), None),
    ],
)
def test_the_paper_draws_from_aqua_rat_alone(recipe_file, task, overrides, limit):
    recipe = load_recipe(recipe_file, [f"task={task}", *overrides])
    assert recipe.questions.limit == limit
    assert f"limit: {'null' if limit is None else limit}\n" in resolved_yaml(recipe)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_opens_with_its_launch_line(path):
    text = path.read_text(encoding="utf-8")
    assert f"anchor-train init my-run --recipe {path.stem}" in text.split("\n\n")[0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_finds_its_settings_in_every_recipe(recipe_file, strategy):
    for parent in ("paper", "small", "gpu", "aft", "pocket", "staple"):
        recipe_file.write_text(f"{MINIMAL}extends: {parent}\n", encoding="utf-8")
        recipe = load_recipe(recipe_file, [f"strategies={strategy}"])
        assert recipe.strategies == (strategy,)
        assert recipe.strategy_of(strategy) == strategy
        section = getattr(recipe, STRATEGIES[strategy].section)
        assert isinstance(getattr(section, "train", section), LoopSettings)


def test_an_unknown_strategy_is_told_once_with_the_known_ones(recipe_file):
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file, ["strategies=[aftt]"])
    told = "no strategy 'aftt' (did you mean 'aft'? known: aft, anchor, anchor-faithful, grpo, pro"
    assert str(caught.value).count(told) == 1


VARIANTS = """
listwise: {beta: 0.3, max_steps: 7}
variants:
  aft-none: {strategy: aft, listwise: {constraint: none, optimiser: {learning_rate: 0.5}}}
  plain: {strategy: rft}
"""


def test_a_variant_is_a_strategy_with_some_settings_of_its_own(recipe_file, tmp_path):
    recipe_file.write_text(f"{MINIMAL}extends: aft\n{VARIANTS}", encoding="utf-8")
    recipe = load_recipe(
        recipe_file, ["strategies=[aft, aft-none]", "variants.aft-none.listwise.max_steps=9"]
    )
    assert [recipe.strategy_of(name) for name in recipe.strategies] == ["aft", "aft"]
    own, rest = recipe.as_of("aft-none").listwise, recipe.as_of("aft").listwise
    assert (own.constraint, own.beta, own.max_steps, own.optimiser.learning_rate) == ("none", 0.3, 9, 0.5)
    assert (rest.constraint, rest.beta, rest.max_steps) == ("boundary", 0.3, 7)
    assert own.optimiser.batch_size == rest.optimiser.batch_size
    assert recipe.as_of("plain") == recipe.as_of(None) == recipe
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(resolved_yaml(recipe), encoding="utf-8")
    assert load_recipe(resolved) == recipe


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("variants.base={strategy: aft}", "name 'base' is taken"),
        ("variants.rank={strategy: aft}", "name 'rank' is taken"),
        ("variants.aft-round-1={strategy: aft}", "name 'aft-round-1' is taken"),
        ("variants.Aft={strategy: aft}", "lower-case letters"),
        ("variants.x={strategy: aft, dpo: {beta: 1}}", "x: aft doesn't train with dpo"),
        ("variants.x={strategy: aftt}", "variants.x.strategy = 'aftt'"),
        ("variants.x={strategy: aft, listwise: {bta: 1}}", "'variants.x.listwise.bta' (did you mean 'beta'?"),
        ("variants.x={listwise: {beta: 1}}", "'variants.x.strategy' is missing"),
        ("variants.x={strategy: aft, sft: {}}", "unknown key 'variants.x.sft'"),
        ("variants.x={strategy: anchor, pairs: {unreadable_losers: true}}", "the same for all strategies"),
        (
            "variants.x={strategy: rft, rft: {optimiser: {batch_size: 7}}}",
            "variants.x.rft: optimiser.batch_size 7 is no multiple",
        ),
    ],
)
def test_what_a_variant_cannot_be_is_told(recipe_file, override, message):
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file, [override])
    assert message in str(caught.value)


def test_a_mistake_in_a_section_is_not_told_again_for_its_variants(recipe_file):
    with pytest.raises(ConfigError) as caught:
        load_recipe(
            recipe_file, ["listwise.bta=1", "variants.x={strategy: aft, listwise: {constraint: none}}"]
        )
    assert str(caught.value).count("bta") == 1


def test_a_batch_is_checked_where_a_strategy_trains_with_it(recipe_file):
    changes = ["listwise.optimiser.batch_size=3", "listwise.optimiser.per_device_batch_size=2"]
    load_recipe(recipe_file, [*changes, "strategies=[anchor, rft]"])
    with pytest.raises(ConfigError, match=r"listwise.*batch_size 3 is no multiple"):
        load_recipe(recipe_file, [*changes, "strategies=[pro]"])


def test_all_mistakes_are_told_at_once_with_the_nearest_names(recipe_file):
    recipe_file.write_text(
        MINIMAL + "dpo: {bta: 0.2, loss: sigmod}\nstrategys: [anchor]\nsampler: {n: 4, temperature: 0}\n"
        "sft: {optimiser: {batch_size: 13}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file)
    message = str(caught.value)
    for part in ("'dpo.bta'", "'beta'", "'sigmoid'", "'strategies'", "would all be the same", "no multiple"):
        assert part in message
    assert "\n" not in message


def test_settings_are_overridden_by_name(recipe_file):
    recipe = load_recipe(recipe_file, ["dpo.beta=0.2", "strategies=[rank]", "sft.lora.r=8"])
    assert (recipe.dpo.beta, recipe.strategies, recipe.sft.lora.r) == (0.2, ("rank",), 8)
    assert recipe.sft.lora.alpha == 128


def test_one_key_can_be_set_where_the_recipe_has_a_short_form(recipe_file):
    recipe = load_recipe(recipe_file, ["model.dtype=float32", "engine.batch_size=4"])
    assert (recipe.model.name, recipe.model.dtype) == ("some/model", "float32")
    assert recipe.engine == {"backend": "transformers", "batch_size": 4}


@pytest.mark.parametrize("override", ["dpo.beta", "=3", "dpo..beta=1", "dpo.beta=[1"])
def test_a_malformed_override_is_refused(recipe_file, override):
    with pytest.raises(ConfigError, match="--set"):
        load_recipe(recipe_file, [override])


def test_a_judge_is_replaced_as_a_whole(recipe_file):
    first = {"backend": "openai", "model": "m", "base_url": "http://x"}
    parent = recipe_file.with_name("parent.yaml")
    parent.write_text(MINIMAL + f"judge: {first}\n", encoding="utf-8")
    recipe_file.write_text("extends: parent.yaml\njudge: {backend: vllm, model: n}\n", encoding="utf-8")
    assert load_recipe(recipe_file).judge == {"backend": "vllm", "model": "n"}


def test_a_recipe_that_extends_itself_is_refused(recipe_file):
    recipe_file.write_text("extends: recipe.yaml\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="extends itself"):
        load_recipe(recipe_file)


def test_an_engine_names_no_model(recipe_file):
    with pytest.raises(ConfigError, match="adapter, model is set by each role"):
        load_recipe(recipe_file, ["engine={backend: vllm, model: m, adapter: a}"])


def test_the_resolved_recipe_reads_back_the_same(recipe_file, tmp_path):
    recipe = load_recipe(recipe_file, ["rounds=2", "strategies=[anchor, rank]"])
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(resolved_yaml(recipe), encoding="utf-8")
    assert load_recipe(resolved) == recipe
    assert set(yaml.safe_load(resolved.read_text())) >= {"model", "sft", "dpo", "evaluate"}


def test_the_effective_batch_is_kept_over_processes():
    optimiser = OptimiserSettings(
        learning_rate=1e-4, warmup=0.1, max_grad_norm=1.0, batch_size=12, per_device_batch_size=2
    )
    assert [optimiser.accumulation_steps(processes) for processes in (1, 2, 3)] == [6, 3, 2]
    # A share of 3 isn't held in parts of 2: in threes it would be more at once than asked for.
    assert (optimiser.at_once(4), optimiser.accumulation_steps(4)) == (1, 3)
    with pytest.raises(ConfigError, match=r"launch.processes 5: .* batch_size 10 and 15, or 4 processes"):
        optimiser.accumulation_steps(5)


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 6, 8])
def test_the_batch_is_the_same_on_any_number_of_processes_that_can_share_it(processes):
    optimiser = OptimiserSettings(
        learning_rate=1e-4, warmup=0.1, max_grad_norm=1.0, batch_size=24, per_device_batch_size=4
    )
    at_once = optimiser.at_once(processes)
    assert at_once * optimiser.accumulation_steps(processes) * processes == 24
    assert at_once <= 4


def test_the_losses_are_trls_own():
    spec = find_spec("trl")
    assert spec is not None
    assert spec.origin is not None
    trainer = (Path(spec.origin).parent / "trainer" / "dpo_trainer.py").read_text(encoding="utf-8")
    assert set(re.findall(r'loss_type == "(\w+)"', trainer)) == set(DPO_LOSSES)


@pytest.mark.parametrize("role", ["sampler", "consultant", "evaluate", "staple.discover"])
def test_tokens_for_thoughts_leave_no_trace_where_there_are_none(recipe_file, role):
    """Stages that were finished before there was the setting stay so."""
    plain = load_recipe(recipe_file)
    thinking = load_recipe(recipe_file, [f"{role}.thinking_tokens=500"])
    section, other = plain, thinking
    for name in role.split("."):
        section, other = getattr(section, name), getattr(other, name)
    assert "thinking_tokens" not in section.model_dump(mode="json")
    assert other.model_dump(mode="json") == {**section.model_dump(mode="json"), "thinking_tokens": 500}
    assert "thinking_tokens" not in resolved_yaml(plain)
    assert "thinking_tokens: 500" in resolved_yaml(thinking)
