"""The experiment: several seeds, and mixes of easy and hard questions that vary lambda."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from scipy.stats import t as students_t

from anchor_train.artifacts import write_json
from anchor_train.pipeline import Pipeline
from anchor_train.pocket.build import TASK
from anchor_train.pocket.demo import pocket_run, require_own_prompts
from anchor_train.pocket.outcome import Outcome, outcome_of
from lm_eval_tasks.judgement_files import replacing
from lm_eval_tasks.pocket.questions import Mix
from lm_eval_tasks.specs import TASKS

RESULTS = "outcome.json"
USUAL: Mix = "even"
CONFIDENCE = 0.95


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
    seeds: int,
    mixes: Sequence[Mix],
    overrides: Sequence[str] = (),
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[Trial]:
    """Runs (or reads, where it is finished) every mix with every seed.

    A seed draws other training questions, other samples and another order of training; the test questions of
    a mix are always the same.

    Args:
        folder: Gets a run folder for each trial.
        seeds: How many; they are 1, 2, 3 ...
        mixes: Mixes of questions.
        overrides: ``dotted.key=value`` over the recipe ``pocket``.
        tell: Takes one line of progress.
    """
    require_own_prompts()
    for mix in mixes:
        task = _task_file(folder, mix)
        for seed in range(1, seeds + 1):
            run = pocket_run(folder / mix / f"seed-{seed}", task)
            recipe = run.recipe([f"seed={seed}", *overrides])
            tell(f"--- {mix}, seed {seed} of {seeds}")
            Pipeline(run, recipe, tell).do()
            outcome = outcome_of(run, recipe)
            write_json(run.path / RESULTS, outcome.to_json())
            yield Trial(mix, seed, outcome)


def read_trials(folder: Path) -> list[Trial]:
    """The finished trials below a folder."""
    found = []
    for path in sorted(folder.glob(f"*/seed-*/{RESULTS}")):
        mix: Mix = path.parent.parent.name  # type: ignore[assignment]
        outcome = Outcome.from_json(json.loads(path.read_text(encoding="utf-8")))
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
