"""What an audit works on: statements of a run, drawn once for all kinds of probes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from judges.errors import DataError
from judges.rubrics.rubric import Rubric
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.runs.drawing import Drawn, drawable, of_strata
from lm_eval_tasks.tasks.spec import TaskSpec

_IN_GROUP = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """The draw.

    Attributes:
        statements: Statements, as many of each stratum.
        right: Statements with the right choice, for errors to be planted in.
        groups: Samples of one question each, right and wrong ones where there are.
        others: Run name -> samples of other runs, for self-preference; the first run's own is among them.
        specs: Tasks by name.
        rubric: By which is judged.
        repeats: How often the same statement is asked about.
        seed: Of everything drawn.
    """

    statements: Sequence[Drawn]
    right: Sequence[Drawn]
    groups: Sequence[Sequence[Drawn]]
    others: Mapping[str, Sequence[Drawn]]
    specs: Mapping[str, TaskSpec]
    rubric: Rubric
    repeats: int = 3
    seed: int = 0

    @property
    def span(self) -> float:
        """From the worst score to the best, in points."""
        points = list(self.rubric.scale.values())
        weights = sum(criterion.weight for criterion in self.rubric.criteria)
        return float((max(points) - min(points)) * weights)

    def draws(self, what: str) -> random.Random:
        """What draws for one purpose; the same draws whatever else is asked for."""
        return random.Random(f"audit/{self.seed}/{what}")


def plan_of(
    runs: Sequence[Run],
    specs: Mapping[str, TaskSpec],
    rubric: Rubric,
    number: int,
    *,
    repeats: int = 3,
    seed: int = 0,
) -> Plan:
    """Draws what is audited with.

    Args:
        runs: The first gives the statements; all of them are compared for self-preference.
        specs: The first run's tasks to use, by name.
        rubric: By which is judged.
        number: Statements for each kind of probe.
        repeats: How often the same statement is asked about.
        seed: Of the draw.

    Raises:
        DataError: If the first run has no readable explanation.
    """
    statements: list[Drawn] = []
    right: list[Drawn] = []
    groups: list[list[Drawn]] = []
    for place, (task, spec) in enumerate(specs.items()):
        rng = random.Random(f"audit/{seed}/{task}")
        share = number // len(specs) + (place < number % len(specs))
        run = runs[0].task(task)
        statements += of_strata(run, spec, share, rng)
        by_question = [list(drawable(spec, scored)) for scored in run.read()]
        rng.shuffle(by_question)
        correct = [[one for one in found if one.sample.correct] for found in by_question]
        right += [rng.choice(found) for found in correct if found][:share]
        mixed = [found for found in by_question if _mixed(found)]
        rest = [found for found in by_question if len(found) > 1 and not _mixed(found)]
        chosen = [*mixed[:share], *rest[: max(1, share // 2)]]
        groups += [_some(found, rng) for found in chosen]
    if not statements:
        raise DataError(f"{runs[0].path}: no readable explanation to audit a judge with")
    others = {run.name: _one_each(run, specs, number, seed) for run in runs if len(runs) > 1}
    return Plan(statements, right, groups, others, specs, rubric, repeats, seed)


def _one_each(run: Run, specs: Mapping[str, TaskSpec], number: int, seed: int) -> list[Drawn]:
    """One sample of a run to each of some questions; the same questions of every run that has them."""
    chosen: list[Drawn] = []
    for task, spec in specs.items():
        if task not in run.tasks:
            continue
        found = [of for scored in run.task(task).read() if (of := list(drawable(spec, scored)))]
        found.sort(key=lambda of: random.Random(f"{seed}/{of[0].question.id}").random())
        rng = random.Random(f"audit/{seed}/{run.name}/{task}")
        chosen += [rng.choice(of) for of in found[: max(1, number // len(specs))]]
    return chosen


def _mixed(found: Sequence[Drawn]) -> bool:
    return len({one.sample.correct for one in found}) == 2


def _some(found: Sequence[Drawn], rng: random.Random) -> list[Drawn]:
    """A few samples of a question, half of them right where there are both."""
    right = [one for one in found if one.sample.correct]
    wrong = [one for one in found if not one.sample.correct]
    rng.shuffle(right)
    rng.shuffle(wrong)
    half = _IN_GROUP // 2
    if not right or not wrong:
        return (right or wrong)[:_IN_GROUP]
    return [*right[: max(half, _IN_GROUP - len(wrong))], *wrong[: max(half, _IN_GROUP - len(right))]]
