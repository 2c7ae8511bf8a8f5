"""Stage ``groups``: the replies to each question, the better ones told from the worse, with a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anchor_train.preferences.groups import Group, GroupExample, GroupSet, build_groups
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.strategies.groups import Groups
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.stage import Stage, StageJob, StageResult
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.judge import read_scored
from anchor_train.stages.parts.group_report import GroupReport, group_report
from anchor_train.stages.parts.kind import Example, Planned, StageKind, Summary, always
from anchor_train.stages.parts.showing import headline, origin
from anchor_train.stages.questions import questions_of
from anchor_train.stages.sample import read_samples
from anchor_train.training.rendering import TokenisedGroup
from judges.errors import ConfigError, DataError
from judges.storage.files import read_records, write_json, write_records
from lm_eval_tasks.records import Question, ScoredQuestion
from lm_eval_tasks.runs.judging.scoring import read_replies

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
    strategy = _strategy(job.stage)
    settings = getattr(recipe, strategy.section)
    feedback = strategy.feedback(recipe)
    scored = _questions(job)
    result = build_groups(scored, feedback, unreadable_losers=recipe.pairs.unreadable_losers)
    write_records(job.folder / WITHOUT, (row.to_json() for row in result.without))
    tokenised = _tokenised(job, result, {found.question.id: found.question for found in scored})
    report = group_report(str(job.stage.strategy), feedback, result, tokenised, settings.max_length)
    write_json(job.folder / REPORT, report.to_json())
    if not report.total or (strategy.loss is not None and not report.contrasted):
        raise DataError(report.why_empty())
    if report.cut and not settings.allow_cut:
        raise ConfigError(
            f"{strategy.section}.max_length {settings.max_length} would cut replies of {report.cut} of "
            f"{report.total} groups, and with the end of a reply its choice: raise it, or allow it with "
            f"{strategy.section}.allow_cut=true"
        )
    write_records(job.folder / GROUPS, (group.to_json() for group in result.groups))
    return StageResult((GROUPS,), report.to_json())


def read_groups(folder: Path) -> list[Group]:
    """The groups that the stage left."""
    return list(read_records(folder / GROUPS, Group.from_json))


def _strategy(stage: Stage) -> Groups:
    strategy = STRATEGIES[stage.method or ""]
    assert isinstance(strategy, Groups)
    return strategy


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


def _basis(stage: Stage, of: Dependencies) -> Basis:
    strategy = _strategy(stage)
    feedback = ("listwise.feedback",) if strategy.loss is not None else ()
    lengths = (f"{strategy.section}.max_length", f"{strategy.section}.allow_cut")
    settings = of.settings(*feedback, "pairs.unreadable_losers", *lengths, "model", of=stage.strategy)
    return Basis(settings, {**of.model, **of.prompts})


def _line(found: Summary) -> str:
    return (
        f"{found['total']} groups of {found['questions']} questions, {found['contrasted']} with better and "
        f"worse replies"
    )


def _show(job: StageJob) -> Iterator[Example]:
    questions = questions_of(job)
    for group in read_groups(job.folder):
        text = f"{headline(job, questions[group.question_id])}\n{group_text(group)}"
        yield Example(job.stage.key, group.question_id, text, group.to_json())


def group_text(group: Group) -> str:
    """A group with its provenance, the better replies first."""
    head = (
        f"{group.behaviour.replace('_', ' ')}, feedback by {group.feedback}; "
        f"{group.duplicates} duplicates, {group.left_out} left out"
    )
    members = sorted(group.members, key=lambda member: -member.level)
    return "\n".join([head, *(f"--- level {m.level}: {origin(m)}\n{m.text}" for m in members)])


KIND = StageKind(
    "groups",
    work=group_up,
    basis=_basis,
    plan=lambda job, preview: Planned(f"makes up to {len(preview.questions)} groups ({job.stage.strategy})"),
    line=_line,
    report=lambda found, _: GroupReport.from_json(found).to_text(),
    card=lambda found, _: f"{found['total']} groups of replies",
    show=_show,
    file=GROUPS,
    makes_data=True,
    in_form=always,
)
