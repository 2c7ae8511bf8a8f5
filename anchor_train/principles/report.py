"""What the stages of a round came to: how often a principle helped, how many principles there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from anchor_train.principles.clustering import Cluster
from anchor_train.principles.records import Discovery, NoDiscovery, Refinement
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import Json

CONSTITUTION = "constitution.yaml"


@dataclass(frozen=True, slots=True)
class Effort:
    """What trying principles took.

    Attributes:
        named: Principles that were asked for and came, readable or not.
        unanswered: Requests that got no reply.
        unjudged: Refined replies that the judge was asked about and gave no readable verdicts on.
        asked: Requests of this time, judging aside.
        prompt_tokens: Tokens read.
        completion_tokens: Tokens written.
    """

    named: int = 0
    unanswered: int = 0
    unjudged: int = 0
    asked: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def failed(self) -> int:
        """What ``--retry-failed`` asks for again."""
        return self.unanswered + self.unjudged

    @staticmethod
    def of(principles: Sequence[Json], replies: Sequence[Json], asked: int) -> Effort:
        """Counts the rows of both journals."""
        rows = [*principles, *replies]
        return Effort(
            named=sum(len(row["texts"]) for row in principles),
            unanswered=sum(row["failure"] is not None for row in rows),
            asked=asked,
            prompt_tokens=sum(row["prompt_tokens"] for row in rows),
            completion_tokens=sum(row["completion_tokens"] for row in rows),
        )


@dataclass(frozen=True, slots=True)
class DiscoveryReport(JsonRecord):
    """Counts of one E-step.

    Attributes:
        round: Counted from 1.
        acceptance: ``judge`` or ``rouge``.
        prompts: First replies that were taken up: ``found + sum(without)``.
        found: Those with an accepted principle.
        rate: The discovery rate, ``found / prompts``.
        without: Those without, by reason.
        named: Principles that the model named, unreadable ones and repeats included.
        tried: Distinct principles of a reply that were tried on it, all replies together.
        refined: Refined replies with a readable explanation and choice.
        scored: Those that could be accepted and have a worth.
        better: Those worth more than the first reply.
        by_argument: Accepted principles whose hint was the consultant's argument.
        before: Mean worth of the first replies that have an accepted principle; None without any.
        after: Mean worth of their refined replies.
        unanswered: Requests that got no reply.
        unjudged: Refined replies without readable verdicts.
        prompt_tokens: Tokens read, judging aside.
        completion_tokens: Tokens written, judging aside.
    """

    round: int
    acceptance: str
    prompts: int
    found: int
    rate: float | None
    without: Mapping[str, int]
    named: int
    tried: int
    refined: int
    scored: int
    better: int
    by_argument: int
    before: float | None
    after: float | None
    unanswered: int
    unjudged: int
    prompt_tokens: int
    completion_tokens: int

    @staticmethod
    def of(
        number: int,
        acceptance: str,
        found: Sequence[Discovery],
        without: Sequence[NoDiscovery],
        tried: Mapping[str, Sequence[Refinement]],
        effort: Effort,
    ) -> DiscoveryReport:
        """Counts an E-step.

        Args:
            number: The round.
            acceptance: What the worth is.
            found: Accepted principles.
            without: Replies without one.
            tried: What was tried on each reply.
            effort: What it took.
        """
        refinements = [refinement for found_here in tried.values() for refinement in found_here]
        reasons = Counter(missing.reason for missing in without)
        prompts = len(found) + len(without)
        return DiscoveryReport(
            round=number,
            acceptance=acceptance,
            prompts=prompts,
            found=len(found),
            rate=len(found) / prompts if prompts else None,
            without=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
            named=effort.named,
            tried=len(refinements),
            refined=sum(r.explanation is not None and r.choice is not None for r in refinements),
            scored=sum(refinement.worth is not None for refinement in refinements),
            better=sum(discovery.better for discovery in found),
            by_argument=sum(discovery.source == "consultant" for discovery in found),
            before=fmean(discovery.before for discovery in found) if found else None,
            after=fmean(discovery.after for discovery in found) if found else None,
            unanswered=effort.unanswered,
            unjudged=effort.unjudged,
            prompt_tokens=effort.prompt_tokens,
            completion_tokens=effort.completion_tokens,
        )

    def to_text(self) -> str:
        """The report for people."""
        worth = "score" if self.acceptance == "judge" else "Rouge-L F1"
        lines = [
            f"principles discovered in round {self.round}: {self.line()}",
            f"{self.named} principles named, {self.tried} distinct ones tried: {self.refined} readable "
            f"replies, {self.scored} scored, {self.better} better",
        ]
        if self.before is not None and self.after is not None:
            lines.append(
                f"mean {worth} where one helped: {self.before:.2f} -> {self.after:.2f}; the hint was the "
                f"consultant's argument {self.by_argument} times"
            )
        lines.append(f"without: {self._reasons() or 'none'}")
        return "\n".join(lines)

    def line(self) -> str:
        """The result in a few words."""
        rate = "-" if self.rate is None else f"{self.rate:.1%}"
        return f"{self.found} of {self.prompts} replies improved on ({rate})"

    def why_empty(self) -> str:
        """One line for an E-step that found nothing."""
        advice = (
            "no right reply or usable argument to learn from: sample more replies (sampler.n), or let a "
            "consultant argue (staple.discover.reference=reply_or_argument)"
            if set(self.without) == {"no_reference"}
            else "try more principles (staple.discover.n), or a stronger staple.discover.backend"
        )
        return f"no principle was accepted: {self.prompts} first replies ({self._reasons()}); {advice}"

    def _reasons(self) -> str:
        return ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in self.without.items())


@dataclass(frozen=True, slots=True)
class ConstitutionReport(JsonRecord):
    """What clustering came to.

    Attributes:
        round: Counted from 1.
        accepted: Accepted principles.
        distinct: Different ones among them; case, white space and punctuation aside.
        new: Distinct ones that are farther than the threshold from all principles of earlier rounds.
        new_share: ``new / distinct``: the rate of new principles.
        clusters: Principles of the constitution.
        largest: Accepted principles in the largest cluster.
        alone: Clusters of a single accepted principle.
        embedding: What the distances are made of.
        threshold: Up to which distance clusters were joined.
    """

    round: int
    accepted: int
    distinct: int
    new: int
    new_share: float
    clusters: int
    largest: int
    alone: int
    embedding: str
    threshold: float

    @staticmethod
    def of(
        number: int, clusters: Sequence[Cluster], new: int, embedding: str, threshold: float
    ) -> ConstitutionReport:
        """Counts clusters.

        Args:
            number: The round.
            clusters: At least one.
            new: Distinct principles that no earlier round had.
            embedding: Name of the embedding.
            threshold: Cosine distance.
        """
        distinct = sum(len(cluster.members) for cluster in clusters)
        return ConstitutionReport(
            round=number,
            accepted=sum(cluster.count for cluster in clusters),
            distinct=distinct,
            new=new,
            new_share=new / distinct,
            clusters=len(clusters),
            largest=max(cluster.count for cluster in clusters),
            alone=sum(cluster.count == 1 for cluster in clusters),
            embedding=embedding,
            threshold=threshold,
        )

    def line(self) -> str:
        """The result in a few words."""
        return (
            f"{self.clusters} principles of {self.distinct} distinct ones ({self.accepted} accepted), "
            f"{self.new_share:.1%} of them new"
        )

    def to_text(self) -> str:
        """The report for people."""
        return (
            f"constitution of round {self.round}: {self.line()}\n"
            f"largest cluster {self.largest}, single principles {self.alone}; {self.embedding}, "
            f"threshold {self.threshold:g}"
        )
