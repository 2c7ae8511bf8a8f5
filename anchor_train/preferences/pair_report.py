"""What a set of pairs is made of: the paper's Table 9, lambda, the consultant's share, lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

from anchor_train.preferences.pairs import PairSet
from anchor_train.preferences.reasons import advice, reasons_text
from anchor_train.records import Behaviour, PreferencePair
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import Json, ScoredQuestion

BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)


@dataclass(frozen=True, slots=True)
class PairLength:
    """Tokens of both sides, each with its prompt; ``prompt`` alone counts in both."""

    prompt: int
    chosen: int
    rejected: int

    @property
    def longest(self) -> int:
        """Tokens of the longer sequence."""
        return self.prompt + max(self.chosen, self.rejected)


# From which share of the winners on they are what a training mostly learns.
MOSTLY = 0.5
# From which factor on winners are told from losers by their length alone.
FAR = 2.0


@dataclass(frozen=True, slots=True)
class ConsultantWinners(JsonRecord):
    """The pairs that the consultant's arguments win.

    Attributes:
        tokens: Mean length of the arguments, as whole replies.
        loser_tokens: Mean length of what they win against.
        score: Mean score in units of those that were judged; None if none was.
        loser_score: Mean score of what they win against; None if none has one.
    """

    tokens: float
    loser_tokens: float
    score: float | None
    loser_score: float | None

    def lines(self, share: float) -> list[str]:
        """For people, with warnings.

        Args:
            share: Of all winners.
        """
        checked = "not judged" if self.score is None else f"mean score {self.score:.1f}"
        against = "none" if self.loser_score is None else f"{self.loser_score:.1f}"
        found = [
            f"the consultant's winners: {self.tokens:.1f} tokens, {checked}; "
            f"what they win against: {self.loser_tokens:.1f} tokens, score {against}"
        ]
        if share > MOSTLY:
            found.append(
                f"warning: the consultant wrote {100 * share:.0f}% of the winners, so its way of writing is "
                "most of what is learnt"
            )
        if not 1 / FAR < self.tokens / max(1.0, self.loser_tokens) < FAR:
            how = "shorter" if self.tokens < self.loser_tokens else "longer"
            found.append(
                f"warning: the consultant's winners are far {how} than what they win against, so length "
                "alone tells them apart"
            )
        if self.score is not None and self.loser_score is not None and self.score < self.loser_score:
            found.append("warning: the consultant's winners score lower than what they win against")
        return found


@dataclass(frozen=True, slots=True)
class PairReport(JsonRecord):
    """Counts of one strategy over one round.

    Attributes:
        strategy: ``anchor`` or ``rank``.
        questions: Questions in all: ``sum(pairs) + sum(without)``.
        pairs: Pairs by behaviour (the paper's Table 9).
        without: Questions without a pair, by reason.
        consultant_winners: Pairs whose winner the consultant wrote.
        mean_chosen_tokens: Mean length of the winners; None without pairs.
        mean_rejected_tokens: Mean length of the losers; None without pairs.
        max_length: ``dpo.max_length``.
        cut: Pairs of which ``max_length`` would cut a side, and so its choice.
        thoughts_left_out: Sides whose reply has a thought, which isn't trained on.
        consultant: What the consultant's winners are like; None without any, and in reports of before.
    """

    strategy: str
    questions: int
    pairs: Mapping[str, int]
    without: Mapping[str, int]
    consultant_winners: int
    mean_chosen_tokens: float | None
    mean_rejected_tokens: float | None
    max_length: int
    cut: int
    thoughts_left_out: int = 0
    consultant: ConsultantWinners | None = None

    @property
    def total(self) -> int:
        """Pairs in all."""
        return sum(self.pairs.values())

    @property
    def lopsided_share(self) -> float | None:
        """The paper's lambda: share of pairs from variable or consistently incorrect questions."""
        if not self.total:
            return None
        return (self.pairs["variable"] + self.pairs["consistently_incorrect"]) / self.total

    @property
    def consultant_share(self) -> float | None:
        """Share of pairs whose winner the consultant wrote."""
        return self.consultant_winners / self.total if self.total else None

    @property
    def length_gap(self) -> float | None:
        """Mean tokens of the winners less that of the losers."""
        if self.mean_chosen_tokens is None or self.mean_rejected_tokens is None:
            return None
        return self.mean_chosen_tokens - self.mean_rejected_tokens

    def to_json(self) -> Json:
        """Attributes and derived shares."""
        return {
            **JsonRecord.to_json(self),
            "total": self.total,
            "lambda": self.lopsided_share,
            "consultant_share": self.consultant_share,
            "length_gap": self.length_gap,
        }

    def to_text(self) -> str:
        """The report for people."""
        rows = [
            f"{behaviour.replace('_', ' '):<24}{count:>7}  ({_percent(count, self.total)})"
            for behaviour, count in self.pairs.items()
        ]
        lines = [f"pairs by behaviour ({self.strategy})", *rows, f"{'all':<24}{self.total:>7}"]
        if self.total:
            lines.append(
                f"lambda {self.lopsided_share:.3f} · consultant wrote {self.consultant_winners} winners "
                f"({_percent(self.consultant_winners, self.total)}) · winners "
                f"{self.mean_chosen_tokens:.1f} tokens, losers {self.mean_rejected_tokens:.1f} "
                f"(gap {self.length_gap:+.1f}) · cut by max_length {self.max_length}: {self.cut}"
            )
        if self.consultant is not None:
            lines += self.consultant.lines(self.consultant_share or 0.0)
        if self.thoughts_left_out:
            lines.append(
                f"thoughts of {self.thoughts_left_out} of {2 * self.total} replies are left out: what is "
                "trained is the reply behind them"
            )
        lines.append(
            f"questions {self.questions}, without a pair {sum(self.without.values())}{self._reasons()}"
        )
        return "\n".join(lines)

    def why_empty(self) -> str:
        """One line for an empty set of pairs."""
        return f"no pair could be built: {self.questions} questions{self._reasons()}{advice(self.without)}"

    def _reasons(self) -> str:
        return reasons_text(self.without)


def pair_report(
    strategy: str,
    result: PairSet,
    lengths: Sequence[PairLength],
    max_length: int,
    thoughts_left_out: int = 0,
) -> PairReport:
    """Counts a set of pairs and measures them.

    Args:
        strategy: Its strategy.
        result: Pairs and questions without one.
        lengths: Of each pair, in order.
        max_length: Tokens that training keeps of prompt and reply.
        thoughts_left_out: Sides whose reply has a thought.
    """
    behaviours = Counter(pair.behaviour for pair in result.pairs)
    reasons = Counter(missing.reason for missing in result.without)
    return PairReport(
        strategy=strategy,
        questions=len(result.pairs) + len(result.without),
        pairs={behaviour: behaviours[behaviour] for behaviour in BEHAVIOURS},
        without=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        consultant_winners=sum(_by_consultant(pair) for pair in result.pairs),
        mean_chosen_tokens=fmean(length.chosen for length in lengths) if lengths else None,
        mean_rejected_tokens=fmean(length.rejected for length in lengths) if lengths else None,
        max_length=max_length,
        cut=sum(length.longest > max_length for length in lengths),
        thoughts_left_out=thoughts_left_out,
        consultant=_consultant_winners(result.pairs, lengths),
    )


def _consultant_winners(
    pairs: Sequence[PreferencePair], lengths: Sequence[PairLength]
) -> ConsultantWinners | None:
    found = [(pair, length) for pair, length in zip(pairs, lengths, strict=True) if _by_consultant(pair)]
    if not found:
        return None
    scores = [pair.chosen.score for pair, _ in found if pair.chosen.score is not None]
    beaten = [pair.rejected.score for pair, _ in found if pair.rejected.score is not None]
    return ConsultantWinners(
        tokens=fmean(length.chosen for _, length in found),
        loser_tokens=fmean(length.rejected for _, length in found),
        score=fmean(scores) if scores else None,
        loser_score=fmean(beaten) if beaten else None,
    )


def thoughts_left_out(scored: Sequence[ScoredQuestion], result: PairSet) -> int:
    """Sides of the pairs whose reply said more than the side does: a thought."""
    generated = {
        (found.question.id, index): sample.response.text
        for found in scored
        for index, sample in enumerate(found.responses)
    }
    sides = [(pair.question_id, side) for pair in result.pairs for side in (pair.chosen, pair.rejected)]
    return sum(
        generated[question_id, side.sample] != side.text
        for question_id, side in sides
        if side.sample is not None
    )


def _by_consultant(pair: PreferencePair) -> bool:
    return pair.chosen.source == "consultant"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}%" if whole else "-"
