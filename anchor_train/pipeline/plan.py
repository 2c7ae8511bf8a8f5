"""The graph of a recipe: which stages there are, what each reads, what each depends on.

Round 1 samples the SFT model once for all strategies; from round 2 on each strategy samples its own newest
model, and trains on from it. What a strategy makes of the replies, its own file says
(:mod:`anchor_train.recipes.strategies`); what a stage's result depends on, the stage's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.strategies.strategy import Strategy, Turn
from anchor_train.run.dependencies import Dependencies
from anchor_train.run.roles import wants_latest
from anchor_train.run.stage import BASE_MODEL, FORM, SFT_MODEL, Stage
from anchor_train.stages.registry import KINDS
from lm_eval_tasks.prompts.reply_form import AUTO


def plan(recipe: Recipe) -> tuple[Stage, ...]:
    """All stages of a recipe in the order in which they run.

    Raises:
        ConfigError: If the task, a judge file or a rubric can't be read.
    """
    of = Dependencies(recipe)
    found = []
    for stage in graph(recipe):
        basis = KINDS[stage.kind].basis(stage, of)
        found.append(replace(stage, settings=basis.settings, externals=basis.externals))
    return tuple(found)


def graph(recipe: Recipe) -> Iterator[Stage]:
    """The same stages, without what they depend on beside each other: nothing is read from disk."""
    piloted = {FORM: FORM} if recipe.reply_form == AUTO else {}
    for stage in _graph(recipe):
        if piloted and KINDS[stage.kind].in_form(recipe):
            stage = replace(stage, needs={**stage.needs, **piloted})
        yield stage


def _graph(recipe: Recipe) -> Iterator[Stage]:
    yield Stage("questions", "questions")
    if recipe.reply_form == AUTO:
        yield Stage(FORM, FORM, {"questions": "questions"})
    yield Stage("sft", "sft", {"questions": "questions"})
    # Strategy -> stages that left its models, round by round.
    models: dict[str, list[str]] = {name: [] for name in recipe.strategies}
    for number in range(1, recipe.rounds + 1):
        yield from _round(recipe, number, models)
    yield from _evaluation(recipe, models)


def aligned_name(strategy: str, number: int, rounds: int) -> str:
    """What an aligned model is called: the last round's by its strategy alone."""
    return strategy if number == rounds else f"{strategy}-round-{number}"


def _strategy(recipe: Recipe, name: str) -> Strategy:
    return STRATEGIES[recipe.strategy_of(name)]


def _round(recipe: Recipe, number: int, models: Mapping[str, list[str]]) -> Iterator[Stage]:
    sharing: list[str] = []
    if number == 1:
        sharing = [
            name
            for name in recipe.strategies
            if _strategy(recipe, name).takes_replies(recipe.as_of(name))
            and not _strategy(recipe, name).starts_from_base(recipe.as_of(name))
        ]
    if sharing:
        yield from _replies(recipe, "round-1", number, {"adapter": "sft"}, "", sharing)
    consulted: set[str] = set()
    for name in recipe.strategies:
        strategy, seen = _strategy(recipe, name), recipe.as_of(name)
        latest = models[name][-1] if models[name] else ""
        from_base = not latest and strategy.starts_from_base(seen)
        start = {} if from_base else {"adapter": latest or "sft"}
        folder = "round-1" if name in sharing else f"round-{number}/{name}"
        whose: dict[str, Any] = {"strategy": name, "method": strategy.name, "round": number}
        if name not in sharing and strategy.takes_replies(seen):
            yield from _replies(recipe, folder, number, start, latest, [name])
        if strategy.consults(seen) and folder not in consulted:
            consulted.add(folder)
            asked = _newest(recipe.consultant.backend, "consulting", latest)
            if seen.consultant.check:  # who judges the replies judges the arguments
                asked |= _newest(recipe.judge, "judging", latest)
            needs = {"scored": f"{folder}/judge", **asked}
            own = {"round": number} if name in sharing else whose
            yield Stage(f"{folder}/consult", "consult", needs, **own)
        turn = Turn(seen, number, name, folder, start, _newest(recipe.judge, "judging", latest))
        key = ""
        for step in strategy.steps(turn):
            key = turn.own(step.kind)
            yield Stage(key, step.kind, step.needs, **whose)
        models[name].append(key)


def _replies(
    recipe: Recipe, folder: str, number: int, start: Mapping[str, str], latest: str, users: Sequence[str]
) -> Iterator[Stage]:
    """Sampling, and judging if one of the strategies that take the samples reads scores."""
    whose: dict[str, Any] = {"round": number}
    if folder != "round-1":
        whose |= {"strategy": users[0], "method": recipe.strategy_of(users[0])}
    shares = {_strategy(recipe, user).shares(recipe.as_of(user)) for user in users}
    yield Stage(
        f"{folder}/sample",
        "sample",
        {"questions": "questions", **start},
        users=tuple(users),
        fresh=len(shares) == 1 and shares != {None},
        **whose,
    )
    if any(_strategy(recipe, user).reads_scores(recipe.as_of(user)) for user in users):
        needs = {"replies": f"{folder}/sample", **_newest(recipe.judge, "judging", latest)}
        yield Stage(f"{folder}/judge", "judge", needs, **whose)


def _newest(asked: object, doing: str, latest: str) -> dict[str, str]:
    """What a stage reads that asks a role, if the newest aligned model plays it and there is one."""
    return {f"{doing} adapter": latest} if latest and wants_latest(asked) else {}


def _evaluation(recipe: Recipe, models: Mapping[str, list[str]]) -> Iterator[Stage]:
    # Model -> what its generation reads, and whether it refines its replies.
    found: dict[str, tuple[dict[str, str], bool]] = {
        BASE_MODEL: ({}, False),
        SFT_MODEL: ({"adapter": "sft"}, False),
    }
    for number in range(1, recipe.rounds + 1):
        for name in recipe.strategies:
            trained = {"adapter": models[name][number - 1]}
            model = aligned_name(name, number, recipe.rounds)
            found[model] = trained, _strategy(recipe, name).refines
    for model, (needs, refined) in found.items():
        generated = f"evaluate/{model}/generate"
        yield Stage(generated, "generate", needs, model=model, refined=refined)
        yield Stage(f"evaluate/{model}/score", "score", {"generated": generated}, model=model)
    yield Stage("evaluate/table", "table", {model: f"evaluate/{model}/score" for model in found})
