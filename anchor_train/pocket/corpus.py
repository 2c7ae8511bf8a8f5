"""What the pocket model grows up on: conversations in its four roles, in the very prompts of the real tasks.

The model has to be imperfect in ways that an explainer is: its own explanations vary in quality, it holds
beliefs that are wrong (an event told from the other side is mostly taken the wrong way round), its judging is
noisy. Told the right choice, as consultant, it argues better than it explains by itself: that is the
knowledge which anchored alignment can bring out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from anchor_train.pocket.flaws import Flaws, Habits, Written, explain
from judges.prompt import JudgePrompt
from judges.records import Conversation, Statement
from judges.rubric import Rubric
from lm_eval_tasks.pocket.grading import grade
from lm_eval_tasks.pocket.questions import CHOICES, LARGEST, draw_stories, question_of, range_of
from lm_eval_tasks.pocket.stories import Story
from lm_eval_tasks.records import Question
from lm_eval_tasks.specs import TaskSpec

Part: TypeAlias = Literal["explain", "answer", "judge", "consultant"]

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
# Lessons of each part that one story gives.
LESSONS: dict[Part, int] = {"explain": 2, "answer": 1, "judge": 3, "consultant": 1}


@dataclass(frozen=True, slots=True)
class Lesson:
    """One conversation and the reply that it teaches."""

    part: Part
    conversation: Conversation
    reply: str


def lessons(spec: TaskSpec, rubric: Rubric, seed: int) -> Iterator[Lesson]:
    """Lessons without end, from stories of the corpus split."""
    rng = random.Random(f"lessons/{seed}")
    judge = JudgePrompt(rubric)
    scale = tuple(rubric.scale)
    for story in draw_stories("corpus", seed, "mixed"):
        question = question_of(story)
        for _ in range(LESSONS["explain"]):
            written = explain(story, OWN.draw(story, rng))
            reply = spec.format_response(written.text, range_of(written.conclusion))
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


def _verdicts(story: Story, text: str, rubric: Rubric, scale: tuple[str, ...], rng: random.Random) -> str:
    lines = []
    levels = grade(story, text).levels()
    for criterion in rubric.criteria:
        level = levels[criterion.key]
        if rng.random() < VERDICT_NOISE:
            level = min(max(level + rng.choice((-1, 1)), 0), len(scale) - 1)
        lines.append(f"{criterion.name}: {scale[level]}")
    return "\n".join(lines)


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
