"""The vocabulary of an audit: probes, their answers, figures, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from judges.records import Statement
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.runs.drawing import Drawn
from lm_eval_tasks.stats.estimation.estimates import Estimate

KINDS = ("consistency", "perturbation", "order", "length", "discrimination", "self-preference")
FEWEST = 30
"""Statements, or pairs of them, below which there is no figure."""
FEWEST_QUESTIONS = 10

By: TypeAlias = Literal["rubric", "reversed criteria"]
"""By what the judge is asked: its rubric, or the same with the criteria in the opposite order."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One statement put to the judge.

    Attributes:
        variant: What was done to it; ``as it is`` for nothing.
        sample: What it was made of.
        statement: What the judge sees.
        by: By what it is asked.
    """

    variant: str
    sample: Drawn
    statement: Statement
    by: By = "rubric"

    @property
    def question(self) -> str:
        """The unit that is resampled."""
        return f"{self.sample.task}/{self.sample.question.id}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the judge made of a probe.

    Attributes:
        probe: The probe.
        score: Its score in points; None if it stayed unjudged.
        places: Criterion key -> place of the verdict on the scale, 0 the worst; None likewise.
    """

    probe: Probe
    score: float | None
    places: Mapping[str, int] | None


AS_IT_IS = "as it is"


def pairs(answers: Sequence[Answer], before: str, after: str) -> list[tuple[Answer, Answer]]:
    """Answers on the same sample in two variants, where both have a verdict."""
    first = {_key(answer): answer for answer in answers if answer.probe.variant == before}
    return [
        (first[_key(answer)], answer)
        for answer in answers
        if answer.probe.variant == after
        and answer.score is not None
        and _key(answer) in first
        and first[_key(answer)].score is not None
    ]


def _key(answer: Answer) -> tuple[str, str]:
    return answer.probe.question, answer.probe.sample.explanation


@dataclass(frozen=True, slots=True)
class Figure(JsonRecord):
    """One figure of an audit.

    Attributes:
        key: For machines, e.g. ``padding.shift``.
        label: For people.
        estimate: With its 95% interval by question; None where there is too little to tell.
        number: Statements or pairs that it rests on.
        unit: ``share`` or ``points``.
        why: Why there is no estimate.
    """

    key: str
    label: str
    estimate: Estimate | None
    number: int
    unit: Literal["share", "points", "correlation"] = "share"
    why: str = "too few"


@dataclass(frozen=True, slots=True)
class Finding(JsonRecord):
    """What the figures say, in one sentence.

    Attributes:
        grade: ``good``, ``doubtful`` or ``bad`` for the judge; ``unknown`` where there is too little to tell.
        text: The sentence.
    """

    grade: Literal["good", "doubtful", "bad", "unknown"]
    text: str


@dataclass(frozen=True, slots=True)
class KindReport(JsonRecord):
    """What one kind of probe found.

    Attributes:
        kind: One of ``KINDS``.
        probes: Statements that the judge was asked about for it.
        judged: Of these, with a verdict.
        figures: The figures.
        findings: What they say, the most important first.
        notes: What a reader should know.
    """

    kind: str
    probes: int
    judged: int
    figures: tuple[Figure, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport(JsonRecord):
    """A whole audit.

    Attributes:
        judge: Name of the judge.
        rubric: The rubric with its version, and the form.
        model: The evaluated model whose explanations were used.
        run: Name of the run.
        tasks: Its tasks.
        date: When it ended, ISO 8601.
        statements: Statements a kind.
        seed: Of the draw.
        kinds: What each kind found.
        calls: Statements that the judge was asked about now; the rest was in its cache.
        price: Of these; None without prices.
        seconds: That it took for them.
        max_score: The best score, in points.
        sources: Samples log -> its hash.
    """

    judge: str
    rubric: str
    model: str
    run: str
    tasks: tuple[str, ...]
    date: str
    statements: int
    seed: int
    kinds: tuple[KindReport, ...]
    calls: int
    price: float | None
    seconds: float
    max_score: float
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        """Those of all kinds, bad ones first."""
        order = ("bad", "doubtful", "unknown", "good")
        found = [finding for kind in self.kinds for finding in kind.findings]
        return sorted(found, key=lambda finding: order.index(finding.grade))
