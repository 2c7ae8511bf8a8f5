"""What the pocket model grows up on: conversations in all its roles, in the very prompts of the real tasks.

The model has to be imperfect in ways that an explainer is: its own explanations vary in quality, it holds
beliefs that are wrong (an event told from the other side is mostly taken the wrong way round), its judging is
noisy. Told the right choice, as consultant, it argues better than it explains by itself: that is the
knowledge which anchored alignment can bring out. Shown a better reply as a hint, it names what a reply of its
own lacks better than by itself, and mends it better when that is all it has to do: that is what STaPLe can
bring out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from anchor_train.pocket.making.flaws import Flaws, Habits, Written, explain
from anchor_train.pocket.making.refinement import Skill, choose, mended
from judges.records import Conversation, Statement
from judges.rubrics.prompt import JudgePrompt
from judges.rubrics.rubric import Rubric
from lm_eval_tasks.pocket.grading import grade
from lm_eval_tasks.pocket.questions import CHOICES, LARGEST, draw_stories, question_of, range_of
from lm_eval_tasks.pocket.stories import Story
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.spec import TaskSpec

Part: TypeAlias = Literal["explain", "answer", "judge", "consultant", "principle", "refine", "one_go"]

# How the model explains by itself ...
OWN = Habits(
    slip=0.06,
    slip_product=0.10,
    misread={"told_more": 0.70, "told_fewer": 0.70, "doubles": 0.50},
    misquote=0.02,
    skip=0.25,
    bare=0.20,
    short=0.25,
    no_start=0.25,
    shuffle=0.06,
    leap=0.05,
    stranger=0.10,
    repeat=0.12,
    pad=0.18,
)
# ... and how it argues for a choice that it is told.
TOLD = Habits(slip=0.02, slip_product=0.03, skip=0.08, bare=0.10, short=0.10, repeat=0.04, pad=0.06)
# What it judges is flawed more often and more evenly, so that every verdict is seen.
JUDGED = Habits(
    slip=0.15,
    slip_product=0.2,
    misread={"told_more": 0.5, "told_fewer": 0.5, "doubles": 0.5},
    misquote=0.08,
    skip=0.35,
    bare=0.25,
    short=0.35,
    no_start=0.35,
    shuffle=0.15,
    leap=0.12,
    stranger=0.2,
    repeat=0.2,
    pad=0.25,
)
# Share of the verdicts that it learns one place too high or too low.
VERDICT_NOISE = 0.12
# Share of the consultant's lessons that argue for the right choice; the others teach to follow what is told.
TOLD_RIGHT = 0.75
# How well it names and mends the flaws of its replies: asked for one thing at a time, and all in one go.
ASKED = Skill(name=0.85, mend=0.8, anew=0.25)
BY_ITSELF = Skill(name=0.4, mend=0.5, anew=0.25)
# Share of the principles that it names with a reference reply as a hint.
HINTED = 0.8
# Lessons of each part that one story gives.
LESSONS: dict[Part, int] = {
    "explain": 1,
    "answer": 1,
    "judge": 3,
    "consultant": 1,
    "principle": 1,
    "refine": 1,
    "one_go": 1,
}


@dataclass(frozen=True, slots=True)
class Lesson:
    """One conversation and the reply that it teaches.

    Attributes:
        part: Of the model's upbringing.
        conversation: What is asked.
        reply: The whole reply.
        choice_alone: Whether the reply's explanation is given, and its choice alone is learnt.
    """

    part: Part
    conversation: Conversation
    reply: str
    choice_alone: bool = False


def lessons(spec: TaskSpec, rubric: Rubric, seed: int) -> Iterator[Lesson]:
    """Lessons without end, from stories of the corpus split."""
    rng = random.Random(f"lessons/{seed}")
    judge = JudgePrompt(rubric)
    scale = tuple(rubric.scale)
    for story in draw_stories("corpus", seed, "mixed"):
        question = question_of(story)
        for _ in range(LESSONS["explain"]):
            reply = _reply(spec, explain(story, OWN.draw(story, rng)))
            yield Lesson("explain", spec.explain_conversation(question), reply)
        for _ in range(LESSONS["answer"]):
            yield Lesson("answer", spec.answer_conversation(question), spec.answer_target(question))
        for _ in range(LESSONS["judge"]):
            text = explain(story, rng.choice((OWN, JUDGED)).draw(story, rng)).text
            conversation = judge.conversation(Statement(spec.shown_question(question), text))
            yield Lesson("judge", conversation, _verdicts(story, text, rubric, scale, rng))
        for _ in range(LESSONS["consultant"]):
            told, written = _argument(story, question, rng)
            yield Lesson("consultant", spec.consultant_conversation(told), written.text)
        for _ in range(LESSONS["principle"]):
            yield _naming(spec, story, question, rng)
        for _ in range(LESSONS["refine"]):
            yield _refining(spec, story, question, rng)
        for _ in range(LESSONS["one_go"]):
            yield _one_go(spec, story, question, rng)


def _verdicts(story: Story, text: str, rubric: Rubric, scale: tuple[str, ...], rng: random.Random) -> str:
    lines = []
    levels = grade(story, text).levels()
    for criterion in rubric.criteria:
        level = levels[criterion.key]
        if rng.random() < VERDICT_NOISE:
            level = min(max(level + rng.choice((-1, 1)), 0), len(scale) - 1)
        lines.append(f"{criterion.name}: {scale[level]}")
    return "\n".join(lines)


def _naming(spec: TaskSpec, story: Story, question: Question, rng: random.Random) -> Lesson:
    flaws = OWN.draw(story, rng)
    hint = _reply(spec, _right(story, question, rng)) if rng.random() < HINTED else None
    skill = ASKED if hint is not None else BY_ITSELF
    principle = rng.choice(choose(flaws, skill, hint is not None, rng).wordings)
    conversation = spec.principle_conversation(question, _reply(spec, explain(story, flaws)), hint)
    return Lesson("principle", conversation, spec.format_principle(principle))


def _refining(spec: TaskSpec, story: Story, question: Question, rng: random.Random) -> Lesson:
    flaws = OWN.draw(story, rng)
    # As they come from those who were shown a hint.
    family = choose(flaws, ASKED, True, rng)
    refined = explain(story, mended(story, flaws, family, ASKED, OWN, rng))
    first = _reply(spec, explain(story, flaws))
    conversation = spec.refine_conversation(question, first, rng.choice(family.wordings))
    return Lesson("refine", conversation, _reply(spec, refined))


def _one_go(spec: TaskSpec, story: Story, question: Question, rng: random.Random) -> Lesson:
    flaws = OWN.draw(story, rng)
    family = choose(flaws, BY_ITSELF, False, rng)
    refined = explain(story, mended(story, flaws, family, BY_ITSELF, OWN, rng))
    parts = spec.format_refined(
        _reply(spec, explain(story, flaws)),
        rng.choice(family.wordings),
        refined.text,
        range_of(refined.conclusion),
    )
    return Lesson("one_go", spec.refined_explain_conversation(question), "".join(parts))


def _reply(spec: TaskSpec, written: Written) -> str:
    return spec.format_response(written.text, range_of(written.conclusion))


def _right(story: Story, question: Question, rng: random.Random) -> Written:
    """A reference reply: an explanation of its own or an argument, with the right choice."""
    written = explain(story, rng.choice((OWN, TOLD)).draw(story, rng))
    while range_of(written.conclusion) != question.gold:
        written = explain(story, TOLD.draw(story, rng))
    return written


def _argument(story: Story, question: Question, rng: random.Random) -> tuple[Question, Written]:
    """A choice to argue for and an argument that reaches it; a wrong one by a slip in the last step."""
    flaws = TOLD.draw(story, rng)
    if rng.random() < TOLD_RIGHT:
        written = explain(story, flaws)
        if range_of(written.conclusion) == question.gold:
            return question, written
        return question, explain(story, Flaws(bare=flaws.bare, short=flaws.short))
    amount = rng.choice([n for n in range(LARGEST + 1) if range_of(n) != question.gold])
    slip = amount - story.answer
    wrong = Flaws(
        slips={len(story.steps) - 1: slip}, skipped=flaws.skipped, bare=flaws.bare, short=flaws.short
    )
    label = range_of(amount)
    told = Question(question.id, question.question, CHOICES, label)
    return told, explain(story, wrong)
