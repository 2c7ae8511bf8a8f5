"""What a finished run on the pocket task shows, by the ground truth and by the pocket model's own judging."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from anchor_train.behaviour import behaviour_of, candidates
from anchor_train.config import Recipe
from anchor_train.evaluation import JUDGEMENTS, LOG
from anchor_train.pair_report import PairReport
from anchor_train.plan import BASE_MODEL, SFT_MODEL
from anchor_train.pocket.agreement import agreement
from anchor_train.roles import BASE, judge_spec
from anchor_train.run_folder import RunFolder
from anchor_train.table import Table, table_of
from judges.config import load_judge
from judges.rubric import load_rubric
from lm_eval_tasks.records import Json, Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.rescoring import score_task
from lm_eval_tasks.runs import TaskRun, load_run
from lm_eval_tasks.specs import load_task

# In the order of the paper's Table 1.
MODELS = (BASE_MODEL, SFT_MODEL, "rank", "anchor")
OWN_JUDGEMENTS = "pocket"
# Replies that a behaviour is told from, as in training.
BEHAVIOUR_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One question with the first reply of each model, scored by the ground truth."""

    question: Question
    replies: Mapping[str, ScoredResponse]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Results of one run.

    Attributes:
        truth: Table 1, judged by the ground truth.
        own: Table 1, judged by the pocket base model; None if it wasn't asked.
        criteria: Model -> criterion key -> mean points by the ground truth (figure 1).
        behaviours: Model -> behaviour -> questions, over the first four replies.
        pairs: Strategy -> what its training pairs were made of.
        kappa: Criterion key -> agreement of the pocket model's verdicts with the ground truth.
        exhibits: Questions to show, of different behaviours of the base model.
    """

    truth: Table
    own: Table | None
    criteria: Mapping[str, Mapping[str, float]]
    behaviours: Mapping[str, Mapping[str, int]]
    pairs: Mapping[str, PairReport]
    kappa: Mapping[str, float | None]
    exhibits: tuple[Exhibit, ...]

    def to_json(self) -> Json:
        """The numbers, without the exhibits."""
        return {
            "truth": self.truth.to_json(),
            "own": None if self.own is None else self.own.to_json(),
            "criteria": {model: dict(points) for model, points in self.criteria.items()},
            "behaviours": {model: dict(counts) for model, counts in self.behaviours.items()},
            "pairs": {strategy: report.to_json() for strategy, report in self.pairs.items()},
            "kappa": dict(self.kappa),
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> Outcome:
        """Reads the numbers back."""
        return Outcome(
            truth=Table.from_json(row["truth"]),
            own=None if row["own"] is None else Table.from_json(row["own"]),
            criteria=row["criteria"],
            behaviours=row["behaviours"],
            pairs={strategy: PairReport.from_json(report) for strategy, report in row["pairs"].items()},
            kappa=row["kappa"],
            exhibits=(),
        )


def outcome_of(run: RunFolder, recipe: Recipe) -> Outcome:
    """Reads a finished run; has the base model judge all replies too, which is taken up where it stopped."""
    task = load_task(recipe.task)
    judged = {
        model: load_run(run.stage(f"evaluate/{model}/score") / LOG, judge=JUDGEMENTS).task(task.name)
        for model in MODELS
    }
    own = _judged_by_itself(run, recipe)
    stages = run.manifest().stages
    rubric = load_rubric()
    truth, self_judged = ({m: list(runs[m].read()) for m in MODELS} for runs in (judged, own))
    return Outcome(
        truth=table_of(judged, BASE_MODEL),
        own=replace(table_of(own, BASE_MODEL), judge="the pocket base model"),
        criteria={model: _points(found) for model, found in truth.items()},
        behaviours={model: _behaviours(found) for model, found in truth.items()},
        pairs={
            strategy: PairReport.from_json(stages[f"round-1/{strategy}/pairs"].summary)
            for strategy in ("rank", "anchor")
        },
        kappa=agreement(rubric, _all(truth), _all(self_judged)),
        exhibits=tuple(_exhibits(truth)),
    )


def _judged_by_itself(run: RunFolder, recipe: Recipe) -> dict[str, TaskRun]:
    task = load_task(recipe.task)
    found = {}
    with load_judge(judge_spec(recipe, BASE), cache=run.replies) as judge:
        for model in MODELS:
            log = run.path / "self-judged" / model
            shutil.copytree(run.stage(f"evaluate/{model}/generate") / LOG, log, dirs_exist_ok=True)
            score_task(load_run(log).task(task.name), task, judge, name=OWN_JUDGEMENTS, force=True)
            found[model] = load_run(log, judge=OWN_JUDGEMENTS).task(task.name)
    return found


def _all(runs: Mapping[str, list[ScoredQuestion]]) -> Iterator[ScoredQuestion]:
    """Every model's answers, told apart by the question's id."""
    for model, found in runs.items():
        for scored in found:
            question = scored.question
            named = Question(f"{model}/{question.id}", question.question, question.choices, question.gold)
            yield ScoredQuestion(named, scored.responses)


def _points(found: list[ScoredQuestion]) -> dict[str, float]:
    """Mean points of each criterion over all judged responses."""
    rubric = load_rubric()
    verdicts = [s.verdicts for scored in found for s in scored.responses if s.verdicts is not None]
    return {
        criterion.key: float(
            sum(rubric.scale[verdict[criterion.key]] for verdict in verdicts) / len(verdicts)
        )
        for criterion in rubric.criteria
    }


def _behaviours(found: list[ScoredQuestion]) -> dict[str, int]:
    counts = Counter(
        behaviour_of(candidates(ScoredQuestion(scored.question, scored.responses[:BEHAVIOUR_SAMPLES])))
        for scored in found
    )
    return {str(behaviour): count for behaviour, count in counts.most_common()}


def _exhibits(truth: Mapping[str, list[ScoredQuestion]]) -> Iterator[Exhibit]:
    """For each behaviour of the base model, the question on which the first replies differ most."""
    by_model = {model: {scored.question.id: scored for scored in found} for model, found in truth.items()}
    best: dict[str, tuple[int, Exhibit]] = {}
    for scored in truth[BASE_MODEL]:
        replies = {model: found[scored.question.id].responses[0] for model, found in by_model.items()}
        different = len({(reply.score, reply.correct) for reply in replies.values()})
        behaviour = str(behaviour_of(candidates(scored)))
        if different > best.get(behaviour, (0, None))[0]:
            best[behaviour] = (different, Exhibit(scored.question, replies))
    yield from (exhibit for _, exhibit in best.values())
