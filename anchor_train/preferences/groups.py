"""Groups of replies: judged or merely read samples of a question, the better ones told from the worse.

List-wise training (AFT, RRHF, PRO) learns from a question's whole group, rejection sampling fine-tuning (RFT)
from its best replies. Functions of records: nothing here reads a file, asks a model or draws a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from anchor_train.preferences.behaviour import behaviour_of, candidates
from anchor_train.recipes.training_settings import Feedback
from anchor_train.records import (
    Behaviour,
    Candidate,
    SftExample,
)
from judges.records import Conversation
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import ScoredQuestion

NoGroupReason: TypeAlias = Literal[
    "no_samples",
    "no_readable_explanation",
    "no_right_reply",
    "right_ones_unreadable",
    "none_judged",
    "one_reply",
    "all_scores_equal",
    "nothing_scored",  # as earlier versions wrote it
]

# Levels under feedback by correctness, and of an unreadable reply under feedback by score: below any score.
GOOD, BAD = 1, 0
UNREADABLE = -1


@dataclass(frozen=True, slots=True)
class Member:
    """A reply of a group and where it came from.

    Attributes:
        text: The whole reply.
        level: Higher is better, equal levels aren't compared: 1 and 0 by correctness, or the judge's score.
        sample: Its index among the question's samples.
        score: In the rubric's units; None if it wasn't judged.
        correct: Whether it chooses the gold label.
    """

    text: str
    level: int
    sample: int
    score: int | None
    correct: bool


@dataclass(frozen=True, slots=True)
class Group(JsonRecord):
    """The distinct replies to one question, in sample order.

    Attributes:
        question_id: The question.
        feedback: What the levels stand for.
        behaviour: Behaviour of the model on the question.
        members: At least one; those of the highest level are the good ones.
        duplicates: Samples that repeated an earlier one's text.
        left_out: Samples of no level: unreadable, or without a score where that makes the level.
    """

    question_id: str
    feedback: Feedback
    behaviour: Behaviour
    members: tuple[Member, ...]
    duplicates: int
    left_out: int

    @property
    def contrasted(self) -> bool:
        """Whether some reply is better than another; otherwise there is fine-tuning, but no alignment."""
        return len({member.level for member in self.members}) > 1

    def example(self, prompt: Conversation) -> GroupExample:
        """The group as training takes it."""
        return GroupExample(
            self.question_id,
            prompt,
            tuple(member.text for member in self.members),
            tuple(member.level for member in self.members),
        )


@dataclass(frozen=True, slots=True)
class NoGroup(JsonRecord):
    """A question that gave no group, and why; these are counted, never dropped unseen."""

    question_id: str
    behaviour: Behaviour | None
    reason: NoGroupReason


@dataclass(frozen=True, slots=True)
class GroupExample(JsonRecord):
    """What list-wise training learns from: one prompt and several replies.

    Attributes:
        id: The question's id.
        prompt: System and user turn, as evaluation shows them.
        replies: Whole replies, explanation and choice.
        levels: Of the replies; higher is better.
    """

    id: str
    prompt: Conversation
    replies: tuple[str, ...]
    levels: tuple[int, ...]

    @property
    def best(self) -> tuple[SftExample, ...]:
        """The replies of the highest level, as examples to fine-tune on."""
        top = max(self.levels)
        return tuple(
            SftExample(self.id, self.prompt, reply)
            for reply, level in zip(self.replies, self.levels, strict=True)
            if level == top
        )


@dataclass(frozen=True, slots=True)
class GroupSet:
    """What became of a set of questions; every question is in exactly one of the two."""

    groups: tuple[Group, ...]
    without: tuple[NoGroup, ...]

    @property
    def contrasted(self) -> int:
        """Groups in which some reply is better than another."""
        return sum(group.contrasted for group in self.groups)


def build_groups(
    questions: Iterable[ScoredQuestion], feedback: Feedback, *, unreadable_losers: bool = False
) -> GroupSet:
    """:func:`group_of` for every question."""
    found = [group_of(scored, feedback, unreadable_losers=unreadable_losers) for scored in questions]
    return GroupSet(
        tuple(group for group in found if isinstance(group, Group)),
        tuple(missing for missing in found if isinstance(missing, NoGroup)),
    )


def group_of(
    scored: ScoredQuestion, feedback: Feedback, *, unreadable_losers: bool = False
) -> Group | NoGroup:
    """The group of one question.

    By correctness the right replies are good and the wrong ones bad; a question without a right one gives no
    group. By score the judge's score is the level, whatever was chosen; scores that are all equal give no
    group. A reply without a readable explanation is never better than another.

    Args:
        scored: The question and its samples; by correctness these needn't be judged.
        feedback: What makes a reply better.
        unreadable_losers: Whether replies without a readable explanation are in the group, as the worst:
            by correctness only wrong ones, and below every score by score.
    """
    samples = candidates(scored)
    behaviour = behaviour_of(samples)
    if behaviour is None:
        return NoGroup(scored.question.id, None, "no_samples")
    members: dict[str, Member] = {}
    duplicates = left_out = 0
    for sample in samples:
        level = _level(sample, feedback, unreadable_losers)
        text = sample.text.strip()
        if level is None or not text:  # a reply without a text, or a thought alone, teaches nothing
            left_out += 1
        elif text in members:
            duplicates += 1
        else:
            members[text] = Member(sample.text, level, sample.index, sample.score, sample.correct)
    found = tuple(members.values())
    reason = _why_none(found, feedback, samples)
    if reason is not None:
        return NoGroup(scored.question.id, behaviour, reason)
    return Group(scored.question.id, feedback, behaviour, found, duplicates, left_out)


def _level(sample: Candidate, feedback: Feedback, unreadable_losers: bool) -> int | None:
    if feedback == "correctness":
        if sample.readable:
            return GOOD if sample.correct else BAD
        return BAD if unreadable_losers and not sample.correct else None
    if sample.readable:
        return sample.score
    return UNREADABLE if unreadable_losers else None


def _why_none(
    members: Sequence[Member], feedback: Feedback, samples: Sequence[Candidate]
) -> NoGroupReason | None:
    levels = {member.level for member in members}
    readable = any(sample.readable for sample in samples)
    if feedback == "correctness":
        if GOOD in levels:
            return None
        if not readable:
            return "no_readable_explanation"
        return "right_ones_unreadable" if any(sample.correct for sample in samples) else "no_right_reply"
    if not levels - {UNREADABLE}:
        return "none_judged" if readable else "no_readable_explanation"
    if len(members) == 1:
        return "one_reply"
    return "all_scores_equal" if len(levels) == 1 else None
