"""The experiment: several seeds, any strategies, and mixes of easy and hard questions that vary lambda."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from scipy.stats import t as students_t

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pocket.demo import pocket_run, require_own_prompts
from anchor_train.pocket.making.build import TASK
from anchor_train.pocket.outcome import Outcome, outcome_of
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import BASE_MODEL, SFT_MODEL
from judges.errors import DataError
from judges.output.run_log import quiet
from judges.storage.files import replacing, text_hash, write_json
from lm_eval_tasks.pocket.questions import Mix
from lm_eval_tasks.tasks.spec import TASKS

RESULTS = "outcome.json"
USUAL: Mix = "even"
CONFIDENCE = 0.95
# The models of the paper, which are also shown as their own base model judges them.
PAPERS = (BASE_MODEL, SFT_MODEL, "rank", "anchor")
# Stands for all strategies and the recipe's variants of them.
EVERY = ("all",)


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the experiment."""

    mix: Mix
    seed: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Across:
    """A figure over seeds.

    Attributes:
        mean: Mean.
        half: Half the width of its 95% interval by Student's t; None with one seed.
        seeds: How many.
    """

    mean: float
    half: float | None
    seeds: int

    @staticmethod
    def of(values: Sequence[float]) -> Across:
        """Sums up one value a seed."""
        count = len(values)
        if count < 2:
            return Across(fmean(values), None, count)
        quantile = float(students_t.ppf((1 + CONFIDENCE) / 2, count - 1))
        return Across(fmean(values), quantile * stdev(values) / math.sqrt(count), count)


def run_trials(
    folder: Path,
    seeds: Sequence[int],
    mixes: Sequence[Mix],
    overrides: Sequence[str] = (),
    tell: Callable[[str], None] = lambda line: None,
    *,
    verbose: bool = False,
    strategies: Sequence[str] | None = None,
    own_judge: Collection[str] | None = PAPERS,
) -> Iterator[Trial]:
    """Runs (or reads, where it is finished) every mix with every seed.

    A seed draws other training questions, other samples and another order of training; the test questions of
    a mix are always the same.

    Args:
        folder: Gets a run folder for each trial.
        seeds: Which.
        mixes: Mixes of questions.
        overrides: ``dotted.key=value`` over the recipe ``pocket``.
        tell: Takes one line of progress.
        verbose: Whether the user sees what libraries print.
        strategies: What is compared; None takes the recipe's, :data:`EVERY` all strategies and variants.
        own_judge: Models whose replies the pocket base model judges, too; None for all.
    """
    require_own_prompts()
    for mix in mixes:
        task = _task_file(folder, mix)
        for seed in seeds:
            run = pocket_run(folder / mix / f"seed-{seed}", task)
            recipe = run.recipe([f"seed={seed}", *overrides])
            if strategies is not None:
                names = every_strategy(recipe) if strategies == EVERY else strategies
                recipe = run.recipe([f"seed={seed}", *overrides, f"strategies=[{', '.join(names)}]"])
            tell(f"--- {mix}, seed {seed} of {', '.join(map(str, seeds))}")
            with quiet(run.log, verbose=verbose):
                Pipeline(run, recipe, tell).do(redo=True)
                outcome = _outcome(run, recipe, own_judge, tell)
            yield Trial(mix, seed, outcome)


def every_strategy(recipe: Recipe) -> list[str]:
    """All strategies, each with its variants behind it; the paper's baseline before the paper's method."""
    ordered = sorted(STRATEGIES, key=lambda name: name != "rank")
    return [
        name
        for strategy in ordered
        for name in (strategy, *(n for n, v in recipe.variants.items() if v.strategy == strategy))
    ]


def _outcome(
    run: RunFolder, recipe: Recipe, own_judge: Collection[str] | None, tell: Callable[[str], None]
) -> Outcome:
    """What the run shows; read back if nothing has changed since it was last looked at."""
    path = run.path / RESULTS
    contents = [f"{key}: {stage.content}" for key, stage in sorted(run.manifest().stages.items())]
    mark = text_hash(*contents, *recipe.strategies, f"own judge: {own_judge}")
    if path.is_file():
        row = json.loads(path.read_text(encoding="utf-8"))
        if row.get("made_from") == mark:
            return Outcome.from_json(row)
    tell("reading the results; the pocket model judges the same replies")
    outcome = outcome_of(run, recipe, own_judge=own_judge)
    write_json(path, {"made_from": mark, **outcome.to_json()})
    return outcome


def read_trials(folder: Path) -> list[Trial]:
    """The finished trials below a folder.

    Raises:
        DataError: If a trial's results can't be read.
    """
    found = []
    for path in sorted(folder.glob(f"*/seed-*/{RESULTS}")):
        mix: Mix = path.parent.parent.name  # type: ignore[assignment]
        try:
            outcome = Outcome.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}: not results of this version ({error!r}); remove it, and run its seed again"
            ) from None
        found.append(Trial(mix, int(path.parent.name.removeprefix("seed-")), outcome))
    return found


def _task_file(folder: Path, mix: Mix) -> str:
    """The pocket task, or one like it with another mix of questions."""
    if mix == USUAL:
        return TASK
    path = (folder / "tasks" / mix / f"{TASK}.yaml").resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(f"include: {TASKS / TASK}.yaml\ndataset_kwargs: {{pocket_mix: {mix}}}\n")
    return str(path)
