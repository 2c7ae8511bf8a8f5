"""Examples of what a stage made, rendered for people, each with where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.preferences.groups import Group, GroupExample, Member
from anchor_train.records import (
    PreferenceExample,
    PreferencePair,
    SampledQuestion,
    SftExample,
    Side,
)
from anchor_train.run.stage import Stage
from anchor_train.stages.cluster import MEMBERS, read_constitution
from anchor_train.stages.consult import read_arguments
from anchor_train.stages.discover import FILE as DISCOVERIES
from anchor_train.stages.discover import read_discoveries
from anchor_train.stages.groups import GROUPS, read_groups
from anchor_train.stages.judge import read_scored
from anchor_train.stages.pairs import PAIRS, read_pairs
from anchor_train.stages.questions import read_questions
from anchor_train.stages.sample import read_samples
from anchor_train.stages.train import read_examples
from judges.errors import ConfigError
from judges.settings import nearest
from lm_eval_tasks.records import Json, Question, ScoredResponse
from lm_eval_tasks.tasks.spec import load_task


@dataclass(frozen=True, slots=True)
class Example:
    """One example.

    Attributes:
        stage: Key of the stage that made it.
        id: The question's id.
        text: For people.
        row: For machines.
    """

    stage: str
    id: str
    text: str
    row: Json


def examples(pipeline: Pipeline, stage: str | None, count: int, ids: Sequence[str] = ()) -> list[Example]:
    """The first examples of a stage.

    Args:
        pipeline: The run.
        stage: Kind of stage (those of all strategies, in the last round in which one has run), or a stage's
            key; None for pairs, or groups where a run has no pairs, or what was discovered.
        count: How many at most of each stage.
        ids: Only these questions.

    Raises:
        ConfigError: If there is no such stage, it hasn't run, or has nothing to show.
    """
    chosen: list[Example] = []
    found = _find(pipeline, stage)
    for each in found:
        every = _READERS[each.kind](pipeline, each, pipeline.run.stage(each.key))
        chosen += islice((example for example in every if not ids or example.id in ids), count)
    if not chosen:
        what = f"nothing of question {', '.join(ids)}" if ids else "nothing to show"
        raise ConfigError(f"{pipeline.run.path}: {' and '.join(each.key for each in found)} has {what}")
    return chosen


def _find(pipeline: Pipeline, name: str | None) -> list[Stage]:
    """The stages of that name that have run."""
    shown = [stage for stage in pipeline.stages if stage.kind in _READERS]
    if name is None:
        kinds = {stage.kind for stage in shown}
        name = next(kind for kind in ("pairs", "groups", "discover") if kind in kinds)
    named = [stage for stage in shown if name in (stage.key, stage.kind)]
    if not named:
        known = sorted({*(stage.kind for stage in shown), *(stage.key for stage in shown)})
        raise ConfigError(f"no stage {name!r} to show: {nearest(name, known)}")
    run = [stage for stage in named if _has_run(pipeline, stage)]
    if not run:
        raise ConfigError(f"{pipeline.run.path}: {named[0].key} hasn't run yet (anchor-train status)")
    newest = max(stage.round for stage in run)
    return [stage for stage in run if stage.round == newest]


def _has_run(pipeline: Pipeline, stage: Stage) -> bool:
    folder = pipeline.run.stage(stage.key)
    return any((folder / file).exists() for file in _FILES[stage.kind])


def _questions(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    spec = load_task(pipeline.recipe.task)
    for question in read_questions(folder):
        text = f"question {question.id}, gold {question.gold}\n{spec.shown_question(question)}"
        yield Example(stage.key, question.id, text, question.to_json())


def _sft(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for example in read_examples(folder, SftExample.from_json):
        yield Example(
            stage.key, example.id, f"{_prompt(example)}\n--- target\n{example.target}", example.to_json()
        )


def _samples(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for sampled in read_samples(folder):
        yield Example(stage.key, sampled.question.id, _sampled_text(pipeline, sampled), sampled.to_json())


def _sampled_text(pipeline: Pipeline, sampled: SampledQuestion) -> str:
    lines = [_headline(pipeline, sampled.question)]
    if sampled.failure is not None:
        lines.append(f"--- no reply: {sampled.failure}")
    for index, completion in enumerate(sampled.completions):
        lines.append(f"--- sample {index} (ended: {completion.finish_reason})\n{completion.text}")
    return "\n".join(lines)


def _scored(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for scored in read_scored(folder):
        lines = [_headline(pipeline, scored.question)]
        lines += [_scored_text(index, sample) for index, sample in enumerate(scored.responses)]
        yield Example(stage.key, scored.question.id, "\n".join(lines), scored.to_json())


def _scored_text(index: int, sample: ScoredResponse) -> str:
    choice = sample.response.choice or f"unreadable: {sample.response.choice_problem}"
    head = f"--- sample {index}: chose {choice} ({'right' if sample.correct else 'wrong'}), {_marks(sample)}"
    return f"{head}\n{sample.response.text}"


def _marks(sample: ScoredResponse) -> str:
    if sample.verdicts is not None:
        verdicts = ", ".join(f"{name} {verdict}" for name, verdict in sample.verdicts.items())
        return f"score {sample.score} ({verdicts})"
    if sample.assessment is None:
        return f"no explanation to judge ({sample.response.explanation_problem})"
    return f"unjudged: {sample.assessment.outcome}"


def _arguments(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for argument in read_arguments(folder).values():
        text = argument.text or ""
        problem = f" (not used: {argument.failure})" if argument.failure else ""
        head = f"question {argument.question_id}: the consultant's argument{problem}"
        yield Example(stage.key, argument.question_id, f"{head}\n{text}", argument.to_json())


def _pairs(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    scored = {found.question.id: found for found in read_scored(pipeline.run.stage(stage.needs["scored"]))}
    for pair in read_pairs(folder):
        question = scored[pair.question_id].question
        text = f"{_headline(pipeline, question)}\n{pair_text(pair)}"
        yield Example(stage.key, pair.question_id, text, pair.to_json())


def pair_text(pair: PreferencePair) -> str:
    """A pair with its provenance."""
    scores = ", ".join(
        f"{index}: {'-' if score is None else score} {'right' if right else 'wrong'}"
        for index, (score, right) in enumerate(zip(pair.scores, pair.correct, strict=True))
    )
    winners = "the consultant" if pair.chosen.source == "consultant" else _listed(pair.winners)
    return "\n".join(
        [
            f"{pair.behaviour.replace('_', ' ')}, strategy {pair.strategy}; samples {scores}",
            f"winner one of {winners}; loser one of {_listed(pair.losers)}",
            f"--- chosen: {_origin(pair.chosen)}\n{pair.chosen.text}",
            f"--- rejected: {_origin(pair.rejected)}\n{pair.rejected.text}",
        ]
    )


def _groups(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    questions = {question.id: question for question in read_questions(pipeline.run.stage("questions"))}
    for group in read_groups(folder):
        text = f"{_headline(pipeline, questions[group.question_id])}\n{group_text(group)}"
        yield Example(stage.key, group.question_id, text, group.to_json())


def group_text(group: Group) -> str:
    """A group with its provenance, the better replies first."""
    head = (
        f"{group.behaviour.replace('_', ' ')}, feedback by {group.feedback}; "
        f"{group.duplicates} duplicates, {group.left_out} left out"
    )
    members = sorted(group.members, key=lambda member: -member.level)
    return "\n".join([head, *(f"--- level {m.level}: {_origin(m)}\n{m.text}" for m in members)])


def _discoveries(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    spec = load_task(pipeline.recipe.task)
    questions = {question.id: question for question in read_questions(pipeline.run.stage("questions"))}
    for found in read_discoveries(folder):
        hint = "the consultant's argument" if found.source == "consultant" else "a right sample"
        lines = [
            _headline(pipeline, questions[found.question_id]),
            f"best of {found.tried} principles tried, {found.better} of which helped; hint: {hint}",
            f"--- sample {found.sample}, worth {found.before:g}\n{found.first}",
            f"--- principle\n{found.principle}",
            f"--- refined, worth {found.after:g}\n{spec.format_response(found.explanation, found.choice)}",
        ]
        yield Example(stage.key, found.question_id, "\n".join(lines), found.to_json())


def _principles(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for number, principle in enumerate(read_constitution(folder).principles, 1):
        members = "\n".join(f"    {member}" for member in principle.members)
        text = f"=== principle {number}, helped {principle.count} times\n{principle.text}\n{members}"
        yield Example(stage.key, str(number), text, principle.model_dump(mode="json"))


def _refinements(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for example in read_examples(folder, SftExample.from_json):
        text = f"{_prompt(example)}\n--- given, without loss\n{example.given}\n--- target{example.target}"
        yield Example(stage.key, example.id, text, example.to_json())


def _aligned(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for example in read_examples(folder, GroupExample.from_json):
        replies = [
            f"--- level {level}\n{reply}"
            for level, reply in zip(example.levels, example.replies, strict=True)
        ]
        yield Example(stage.key, example.id, "\n".join([_prompt(example), *replies]), example.to_json())


def _preferences(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for example in read_examples(folder, PreferenceExample.from_json):
        text = f"{_prompt(example)}\n--- chosen\n{example.chosen}\n--- rejected\n{example.rejected}"
        yield Example(stage.key, example.id, text, example.to_json())


def _headline(pipeline: Pipeline, question: Question) -> str:
    shown = load_task(pipeline.recipe.task).shown_question(question)
    return f"=== question {question.id}, gold {question.gold}\n{shown}"


def _prompt(example: SftExample | PreferenceExample | GroupExample) -> str:
    turns = "\n".join(f"--- {message.role}\n{message.content}" for message in example.prompt)
    return f"=== question {example.id}\n{turns}"


def _origin(side: Side | Member) -> str:
    if isinstance(side, Side) and side.source == "consultant":
        return "the consultant's argument for the gold label"
    score = "no score" if side.score is None else f"score {side.score}"
    return f"sample {side.sample}, {score}, {'right' if side.correct else 'wrong'}"


def _listed(indices: Iterable[int]) -> str:
    return f"samples {', '.join(map(str, indices))}"


_READERS: Mapping[str, Callable[[Pipeline, Stage, Path], Iterator[Example]]] = {
    "questions": _questions,
    "sft": _sft,
    "sample": _samples,
    "judge": _scored,
    "consult": _arguments,
    "pairs": _pairs,
    "dpo": _preferences,
    "groups": _groups,
    "align": _aligned,
    "discover": _discoveries,
    "cluster": _principles,
    "train": _refinements,
}
_FILES: Mapping[str, tuple[str, ...]] = {
    "questions": ("questions.jsonl",),
    "sft": ("examples.jsonl",),
    "sample": ("replies.jsonl",),
    "judge": ("scored.jsonl",),
    "consult": ("arguments.jsonl",),
    "pairs": (PAIRS,),
    "dpo": ("examples.jsonl",),
    "groups": (GROUPS,),
    "align": ("examples.jsonl",),
    "discover": (DISCOVERIES,),
    "cluster": (MEMBERS,),
    "train": ("examples.jsonl",),
}
