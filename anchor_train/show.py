"""Examples of what a stage made, rendered for people, each with where it came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from anchor_train.consultant import read_arguments
from anchor_train.grouping import GROUPS, read_groups
from anchor_train.groups import Group, GroupExample, Member
from anchor_train.judging import read_scored
from anchor_train.pairing import PAIRS, read_pairs
from anchor_train.pipeline import Pipeline
from anchor_train.questions import read_questions
from anchor_train.records import (
    PreferenceExample,
    PreferencePair,
    SampledQuestion,
    SftExample,
    Side,
)
from anchor_train.sampling import read_samples
from anchor_train.stages import Stage
from anchor_train.training import read_examples
from judges.errors import ConfigError
from judges.settings import nearest
from lm_eval_tasks.records import Json, Question, ScoredResponse
from lm_eval_tasks.specs import load_task


@dataclass(frozen=True, slots=True)
class Example:
    """One example.

    Attributes:
        id: The question's id.
        text: For people.
        row: For machines.
    """

    id: str
    text: str
    row: Json


def examples(pipeline: Pipeline, stage: str, count: int, ids: Sequence[str] = ()) -> list[Example]:
    """The first examples of a stage.

    Args:
        pipeline: The run.
        stage: Kind of stage (its last one that has run), or its key.
        count: How many at most.
        ids: Only these questions.

    Raises:
        ConfigError: If there is no such stage, it hasn't run, or has nothing to show.
    """
    found = _find(pipeline, stage)
    folder = pipeline.run.stage(found.key)
    if not any((folder / name).exists() for name in _FILES[found.kind]):
        raise ConfigError(f"{pipeline.run.path}: {found.key} hasn't run yet (anchor-train status)")
    every = _READERS[found.kind](pipeline, found, folder)
    wanted = (example for example in every if not ids or example.id in ids)
    chosen = list(islice(wanted, count))
    if not chosen:
        what = f"nothing of question {', '.join(ids)}" if ids else "nothing to show"
        raise ConfigError(f"{pipeline.run.path}: {found.key} has {what}")
    return chosen


def _find(pipeline: Pipeline, name: str) -> Stage:
    shown = [stage for stage in pipeline.stages if stage.kind in _READERS]
    by_key = [stage for stage in shown if stage.key == name]
    if by_key:
        return by_key[0]
    of_kind = [stage for stage in shown if stage.kind == name]
    if not of_kind:
        known = sorted({*(stage.kind for stage in shown), *(stage.key for stage in shown)})
        raise ConfigError(f"no stage {name!r} to show: {nearest(name, known)}")
    run = [
        stage
        for stage in of_kind
        if any((pipeline.run.stage(stage.key) / file).exists() for file in _FILES[stage.kind])
    ]
    return run[-1] if run else of_kind[0]


def _questions(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    spec = load_task(pipeline.recipe.task)
    for question in read_questions(folder):
        text = f"question {question.id}, gold {question.gold}\n{spec.shown_question(question)}"
        yield Example(question.id, text, question.to_json())


def _sft(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for example in read_examples(folder, SftExample.from_json):
        yield Example(example.id, f"{_prompt(example)}\n--- target\n{example.target}", example.to_json())


def _samples(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for sampled in read_samples(folder):
        yield Example(sampled.question.id, _sampled_text(pipeline, sampled), sampled.to_json())


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
        yield Example(scored.question.id, "\n".join(lines), scored.to_json())


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
        yield Example(argument.question_id, f"{head}\n{text}", argument.to_json())


def _pairs(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    scored = {found.question.id: found for found in read_scored(pipeline.run.stage(stage.needs["scored"]))}
    for pair in read_pairs(folder):
        question = scored[pair.question_id].question
        text = f"{_headline(pipeline, question)}\n{pair_text(pair)}"
        yield Example(pair.question_id, text, pair.to_json())


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
        yield Example(group.question_id, text, group.to_json())


def group_text(group: Group) -> str:
    """A group with its provenance, the better replies first."""
    head = (
        f"{group.behaviour.replace('_', ' ')}, feedback by {group.feedback}; "
        f"{group.duplicates} duplicates, {group.left_out} left out"
    )
    members = sorted(group.members, key=lambda member: -member.level)
    return "\n".join([head, *(f"--- level {m.level}: {_origin(m)}\n{m.text}" for m in members)])


def _aligned(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for example in read_examples(folder, GroupExample.from_json):
        replies = [
            f"--- level {level}\n{reply}"
            for level, reply in zip(example.levels, example.replies, strict=True)
        ]
        yield Example(example.id, "\n".join([_prompt(example), *replies]), example.to_json())


def _preferences(pipeline: Pipeline, stage: Stage, folder: Path) -> Iterator[Example]:
    for example in read_examples(folder, PreferenceExample.from_json):
        text = f"{_prompt(example)}\n--- chosen\n{example.chosen}\n--- rejected\n{example.rejected}"
        yield Example(example.id, text, example.to_json())


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
}
