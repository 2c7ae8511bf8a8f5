"""What a finished run on the pocket task shows, by the ground truth and by the pocket model's own judging."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anchor_train.pipeline.plan import plan
from anchor_train.pocket.agreement import agreement
from anchor_train.pocket.likelihoods import assess_models, held_out_groups
from anchor_train.pocket.making.writing import Writing, writing_of
from anchor_train.preferences.behaviour import behaviour_of, candidates
from anchor_train.preferences.pair_report import PairReport
from anchor_train.recipes.config import Recipe
from anchor_train.records import Assessment
from anchor_train.run.manifest import StageRecord
from anchor_train.run.roles import BASE, judge_spec
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import BASE_MODEL, SFT_MODEL, Stage
from anchor_train.stages.evaluate import JUDGEMENTS, LOG, only_task
from anchor_train.stages.parts.paper_table import Table, table_of
from anchor_train.stages.registry import KINDS
from anchor_train.training.job import OutputFolder
from judges.config import load_judge
from judges.rubrics.load import load_rubric
from lm_eval_tasks.records import Json, Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.tasks.load import load_task

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
    """Results of one run; models are named as in its evaluation.

    Attributes:
        truth: Table 1, judged by the ground truth.
        own: Table 1, judged by the pocket base model, of the models it was asked about; None if of none.
        criteria: Model -> criterion key -> mean points by the ground truth (figure 1).
        behaviours: Model -> behaviour -> questions, over the first four replies.
        writing: Model -> what its replies look like.
        held_out: Model -> its assessment of the SFT model's replies to the test questions.
        trained_on: Strategy on groups -> assessment accuracy on groups it trained on, before and after.
        warnings: Aligned model -> signs of a collapse that its training warned of.
        pairs: Strategy on pairs -> what its training pairs were made of.
        kappa: Criterion key -> agreement of the pocket model's verdicts with the ground truth, over the
            replies that both judged; empty if there are none.
        exhibits: Questions to show, of different behaviours of the base model.
    """

    truth: Table
    own: Table | None
    criteria: Mapping[str, Mapping[str, float]]
    behaviours: Mapping[str, Mapping[str, int]]
    writing: Mapping[str, Writing]
    held_out: Mapping[str, Assessment]
    trained_on: Mapping[str, tuple[float, float]]
    warnings: Mapping[str, tuple[str, ...]]
    pairs: Mapping[str, PairReport]
    kappa: Mapping[str, float | None]
    exhibits: tuple[Exhibit, ...]

    @property
    def models(self) -> list[str]:
        """The models, the base model first."""
        return [row.model for row in self.truth.rows]

    def to_json(self) -> Json:
        """The numbers, without the exhibits."""
        return {
            "truth": self.truth.to_json(),
            "own": None if self.own is None else self.own.to_json(),
            "criteria": {model: dict(points) for model, points in self.criteria.items()},
            "behaviours": {model: dict(counts) for model, counts in self.behaviours.items()},
            "writing": {model: found.to_json() for model, found in self.writing.items()},
            "held_out": {model: found.to_json() for model, found in self.held_out.items()},
            "trained_on": {strategy: list(ends) for strategy, ends in self.trained_on.items()},
            "warnings": {model: list(found) for model, found in self.warnings.items()},
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
            writing={model: Writing.from_json(found) for model, found in row["writing"].items()},
            held_out={model: Assessment.from_json(found) for model, found in row["held_out"].items()},
            trained_on={strategy: (ends[0], ends[1]) for strategy, ends in row["trained_on"].items()},
            warnings={model: tuple(found) for model, found in row["warnings"].items()},
            pairs={strategy: PairReport.from_json(report) for strategy, report in row["pairs"].items()},
            kappa=row["kappa"],
            exhibits=(),
        )


def outcome_of(run: RunFolder, recipe: Recipe, *, own_judge: Collection[str] | None = None) -> Outcome:
    """Reads a finished run.

    Args:
        run: The run.
        recipe: Its recipe.
        own_judge: Models whose replies the base model judges, too (taken up where it stopped); None for all.
    """
    task = load_task(recipe.task)
    stages = plan(recipe)
    models = list(stages[-1].needs)  # of the table
    judged = {
        model: only_task(run.stage(f"evaluate/{model}/score") / LOG, judge=JUDGEMENTS) for model in models
    }
    truth = {model: list(found.read()) for model, found in judged.items()}
    own_models = [model for model in models if own_judge is None or model in own_judge]
    own = _judged_by_itself(run, recipe, own_models) if own_models else {}
    records = run.manifest().stages
    trained = [
        (stage, records[stage.key])
        for stage in stages
        if stage.method is not None and KINDS[stage.kind].trains
    ]
    return Outcome(
        truth=table_of(judged, BASE_MODEL),
        own=replace(table_of(own, BASE_MODEL), judge="the pocket base model") if own else None,
        criteria={model: _points(found) for model, found in truth.items()},
        behaviours={model: _behaviours(found) for model, found in truth.items()},
        writing={model: writing_of(found) for model, found in truth.items()},
        held_out=assess_models(
            recipe.model, _adapters(run, stages, models), held_out_groups(task, truth[SFT_MODEL])
        ),
        trained_on=dict(_assessments(trained)),
        warnings={str(stage.strategy): tuple(record.summary["warnings"]) for stage, record in trained},
        pairs={
            str(stage.strategy): PairReport.from_json(records[stage.key].summary)
            for stage in stages
            if stage.kind == "pairs"
        },
        kappa=_kappa(truth, own) if own else {},
        exhibits=tuple(_exhibits(truth)),
    )


def _judged_by_itself(run: RunFolder, recipe: Recipe, models: Sequence[str]) -> dict[str, TaskRun]:
    task = load_task(recipe.task)
    found = {}
    with load_judge(judge_spec(recipe, BASE), cache=run.replies) as judge:
        for model in models:
            log = run.path / "self-judged" / model
            shutil.copytree(run.stage(f"evaluate/{model}/generate") / LOG, log, dirs_exist_ok=True)
            score_task(only_task(log), task, judge, name=OWN_JUDGEMENTS, force=True)
            found[model] = only_task(log, judge=OWN_JUDGEMENTS)
    return found


def _kappa(
    truth: Mapping[str, list[ScoredQuestion]], own: Mapping[str, TaskRun]
) -> Mapping[str, float | None]:
    judged = {model: list(found.read()) for model, found in own.items()}
    return agreement(load_rubric(), _all({model: truth[model] for model in own}), _all(judged))


def _adapters(run: RunFolder, stages: Sequence[Stage], models: Sequence[str]) -> dict[str, Path | None]:
    """Model -> its adapter; None for the base model."""
    needs = {stage.model: stage.needs.get("adapter") for stage in stages if stage.kind == "generate"}
    keys = {model: needs[model] for model in models}
    return {
        model: None if key is None else OutputFolder(run.stage(key)).adapter for model, key in keys.items()
    }


def _assessments(trained: Sequence[tuple[Stage, StageRecord]]) -> Iterator[tuple[str, tuple[float, float]]]:
    for stage, record in trained:
        metrics = record.summary["metrics"]
        if "assessment_accuracy/after" in metrics:
            ends = metrics["assessment_accuracy/before"], metrics["assessment_accuracy/after"]
            yield str(stage.strategy), ends


def _all(runs: Mapping[str, list[ScoredQuestion]]) -> Iterator[ScoredQuestion]:
    """Every model's answers, told apart by the question's id."""
    for model, found in runs.items():
        for scored in found:
            question = scored.question
            named = Question(f"{model}/{question.id}", question.question, question.choices, question.gold)
            yield ScoredQuestion(named, scored.responses)


def _points(found: list[ScoredQuestion]) -> dict[str, float]:
    """Mean points of each criterion over all judged responses; empty if there are none."""
    rubric = load_rubric()
    verdicts = [s.verdicts for scored in found for s in scored.responses if s.verdicts is not None]
    if not verdicts:
        return {}
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
