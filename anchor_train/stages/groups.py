"""Stage ``groups``: the replies to each question, the better ones told from the worse, with a report."""

from __future__ import annotations

from pathlib import Path

from anchor_train.preferences.groups import Group, GroupExample, GroupSet, NoGroup, build_groups
from anchor_train.recipes.strategies import STRATEGIES, feedback_of
from anchor_train.run.stage import StageJob, StageResult
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.group_report import group_report
from anchor_train.stages.judge import read_scored
from anchor_train.stages.sample import read_samples
from anchor_train.training.rendering import TokenisedGroup
from judges.errors import ConfigError, DataError
from judges.files import read_records, write_json, write_records
from lm_eval_tasks.records import Question, ScoredQuestion
from lm_eval_tasks.runs.scoring import read_replies

GROUPS = "groups.jsonl"
WITHOUT = "without.jsonl"
REPORT = "report.json"


def group_up(job: StageJob) -> StageResult:
    """Does the stage.

    Raises:
        DataError: If no group could be built, or none that compares anything, with the counts why.
        ConfigError: If the training's ``max_length`` would cut replies and that isn't allowed.
    """
    recipe = job.recipe
    name, strategy = job.stage.strategy, job.stage.method
    assert name is not None
    assert strategy is not None
    traits = STRATEGIES[strategy]
    settings = recipe.rft if traits.section == "rft" else recipe.listwise
    feedback = feedback_of(strategy, recipe)
    scored = _questions(job)
    result = build_groups(scored, feedback, unreadable_losers=recipe.pairs.unreadable_losers)
    write_records(job.folder / WITHOUT, (row.to_json() for row in result.without))
    tokenised = _tokenised(job, result, {found.question.id: found.question for found in scored})
    report = group_report(name, feedback, result, tokenised, settings.max_length)
    write_json(job.folder / REPORT, report.to_json())
    if not report.total or (traits.loss is not None and not report.contrasted):
        raise DataError(report.why_empty())
    if report.cut and not settings.allow_cut:
        raise ConfigError(
            f"{traits.section}.max_length {settings.max_length} would cut replies of {report.cut} of "
            f"{report.total} groups, and with the end of a reply its choice: raise it, or allow it with "
            f"{traits.section}.allow_cut=true"
        )
    write_records(job.folder / GROUPS, (group.to_json() for group in result.groups))
    return StageResult((GROUPS,), report.to_json())


def read_groups(folder: Path) -> list[Group]:
    """The groups that the stage left."""
    return list(read_records(folder / GROUPS, Group.from_json))


def read_questions_without(folder: Path) -> list[NoGroup]:
    """The questions without a group."""
    return list(read_records(folder / WITHOUT, NoGroup.from_json))


def _questions(job: StageJob) -> list[ScoredQuestion]:
    """The questions with their replies: judged ones where scores make the levels, else only read."""
    if "scored" in job.stage.needs:
        return read_scored(job.needed("scored"))
    sampled = read_samples(job.needed("replies"))
    return [read_replies(found.question, [c.text for c in found.completions]) for found in sampled]


def _tokenised(job: StageJob, result: GroupSet, questions: dict[str, Question]) -> list[TokenisedGroup]:
    if not result.groups:
        return []
    from anchor_train.training.base_model import load_tokenizer
    from anchor_train.training.rendering import tokenise_group

    spec, tokenizer = asked_in_form(job.run, job.recipe), load_tokenizer(job.recipe.model)

    def example(group: Group) -> GroupExample:
        return group.example(spec.explain_conversation(questions[group.question_id]))

    return [tokenise_group(tokenizer, example(group)) for group in result.groups]
