"""What a set of groups is made of: how many compare anything, how the better replies differ in length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from anchor_train.preferences.groups import GroupSet
from anchor_train.preferences.pair_report import BEHAVIOURS
from anchor_train.preferences.reasons import advice, reasons_text
from anchor_train.training.rendering import TokenisedGroup
from lm_eval_tasks.json_records import JsonRecord


@dataclass(frozen=True, slots=True)
class GroupReport(JsonRecord):
    """Counts of one strategy over one round.

    Attributes:
        strategy: ``aft``, ``rrhf``, ``pro`` or ``rft``.
        feedback: ``correctness`` or ``score``.
        questions: Questions in all: ``total + sum(without)``.
        total: Groups.
        contrasted: Groups in which some reply is better than another.
        groups: Groups by behaviour of the model on the question.
        without: Questions without a group, by reason.
        good: Replies of their group's highest level.
        bad: All others.
        duplicates: Samples that repeated another one of their group.
        left_out: Samples of no level: unreadable, or without a score where that makes the level.
        mean_good_tokens: Mean length of the good ones; None without any.
        mean_bad_tokens: Mean length of the bad ones; None without any.
        max_length: The training's ``max_length``.
        cut: Groups of which it would cut a reply, and so its choice.
    """

    strategy: str
    feedback: str
    questions: int
    total: int
    contrasted: int
    groups: Mapping[str, int]
    without: Mapping[str, int]
    good: int
    bad: int
    duplicates: int
    left_out: int
    mean_good_tokens: float | None
    mean_bad_tokens: float | None
    max_length: int
    cut: int

    def to_text(self) -> str:
        """The report for people."""
        by_behaviour = [f"{name.replace('_', ' '):<24}{count:>7}" for name, count in self.groups.items()]
        lines = [f"groups by behaviour ({self.strategy}, feedback by {self.feedback})", *by_behaviour]
        lines.append(f"{'all':<24}{self.total:>7}  ({self.contrasted} with better and worse replies)")
        lines.append(
            f"good replies {self.good} ({_tokens(self.mean_good_tokens)}), "
            f"bad {self.bad} ({_tokens(self.mean_bad_tokens)}) · duplicates {self.duplicates}, "
            f"left out {self.left_out} · cut by max_length {self.max_length}: {self.cut}"
        )
        lines.append(
            f"questions {self.questions}, without a group {sum(self.without.values())}{self._reasons()}"
        )
        return "\n".join(lines)

    def why_empty(self) -> str:
        """One line for groups that can't be trained on."""
        counts = f"{self.questions} questions, {self.total} groups{self._reasons()}"
        if not self.total:
            return f"no group could be built: {counts}{advice(self.without)}"
        return f"no group has better and worse replies, so {self.strategy} has nothing to compare: {counts}"

    def _reasons(self) -> str:
        return reasons_text(self.without)


def group_report(
    strategy: str, feedback: str, result: GroupSet, tokenised: Sequence[TokenisedGroup], max_length: int
) -> GroupReport:
    """Counts a set of groups.

    Args:
        strategy: Its strategy.
        feedback: What makes its levels.
        result: Groups and questions without one.
        tokenised: The groups as tokens, in order.
        max_length: Tokens that training keeps of prompt and reply.
    """
    behaviours = Counter(group.behaviour for group in result.groups)
    reasons = Counter(missing.reason for missing in result.without)
    good = [len(ids) for group in tokenised for ids, is_good in group.marked if is_good]
    bad = [len(ids) for group in tokenised for ids, is_good in group.marked if not is_good]
    return GroupReport(
        strategy=strategy,
        feedback=feedback,
        questions=len(result.groups) + len(result.without),
        total=len(result.groups),
        contrasted=result.contrasted,
        groups={behaviour: behaviours[behaviour] for behaviour in BEHAVIOURS},
        without=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        good=len(good),
        bad=len(bad),
        duplicates=sum(group.duplicates for group in result.groups),
        left_out=sum(group.left_out for group in result.groups),
        mean_good_tokens=fmean(good) if good else None,
        mean_bad_tokens=fmean(bad) if bad else None,
        max_length=max_length,
        cut=sum(group.length > max_length for group in tokenised),
    )


def _tokens(mean: float | None) -> str:
    return "-" if mean is None else f"{mean:.1f} tokens"
