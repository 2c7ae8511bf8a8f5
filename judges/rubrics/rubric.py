"""What a judge is asked about: criteria, a scale of verdicts with exact points, weights.

Scores are whole numbers. A rubric finds the largest unit in which every weighted sum is a whole number (a
fifth for the built-in rubric, so 0 to 25), and scores are counted in that unit: 0.6 + 0.2 and 0.8 + 0.0 are
both 4 fifths and tie, which sums of floats do not.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal, TypeAlias

from judges.records import Judgement, OutputForm

Extra: TypeAlias = Literal["choice", "right_answer", "reference"]
EXTRAS: dict[Extra, str] = {
    "choice": "the choice",
    "right_answer": "the right answer",
    "reference": "a reference explanation",
}
"""What a judge may be shown beside question and explanation, in a fixed order, and what it is called."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One aspect that is judged."""

    key: str
    name: str
    question: str
    weight: Fraction


@dataclass(frozen=True)
class Rubric:
    """What an explanation is judged by.

    Attributes:
        name: Short name.
        version: Version given by its author.
        scale: Verdict name -> points, best first.
        criteria: In the order in which they are asked.
        system_template: Jinja text of the judge's system turn.
        user_template: Jinja text of the judge's user turn.
        shows: What the judge is shown beside question and explanation, in the order of ``EXTRAS``; the user
            template knows these names.
    """

    name: str
    version: str
    scale: Mapping[str, Fraction]
    criteria: tuple[Criterion, ...]
    system_template: str
    user_template: str
    shows: tuple[Extra, ...] = ()

    @cached_property
    def units(self) -> int:
        """Units a point: the smallest whole number that makes every weighted point value whole (ours: 5)."""
        denominators = [
            (criterion.weight * points).denominator
            for criterion in self.criteria
            for points in self.scale.values()
        ]
        return math.lcm(*denominators)

    @cached_property
    def max_score(self) -> int:
        """The best possible score, in units (ours: 25)."""
        best = max(self.scale.values())
        return int(sum(criterion.weight * best for criterion in self.criteria) * self.units)

    def score(self, judgement: Judgement) -> int:
        """The weighted sum of the verdicts' points, in units: an exact whole number (method section 2.2)."""
        total = sum(
            criterion.weight * self.scale[judgement.verdicts[criterion.key]] for criterion in self.criteria
        )
        return int(total * self.units)

    def median(self, judgements: Sequence[Judgement]) -> Judgement:
        """What several judgements of one statement come to: of each criterion the median verdict.

        Args:
            judgements: At least one. Of the two middle verdicts of an even number the worse counts.
        """
        scale = list(self.scale)
        places = {verdict: place for place, verdict in enumerate(scale)}
        return Judgement(
            {
                c.key: scale[sorted(places[one.verdicts[c.key]] for one in judgements)[len(judgements) // 2]]
                for c in self.criteria
            }
        )

    def points(self, judgement: Judgement) -> dict[str, Fraction]:
        """Unweighted points of each criterion: criterion key -> points."""
        return {c.key: self.scale[judgement.verdicts[c.key]] for c in self.criteria}

    @cached_property
    def form_text(self) -> str:
        """The reply's form as the prompt shows it: one ``Criterion: VERDICT`` line each."""
        return "\n".join(f"{criterion.name}: VERDICT" for criterion in self.criteria)

    @property
    def longest_form(self) -> str:
        """A reply in the form, with the longest verdict everywhere: how much a judge writes at most."""
        longest = max(self.scale, key=len)
        return "\n".join(f"{criterion.name}: {longest}" for criterion in self.criteria)

    @cached_property
    def form(self) -> OutputForm:
        """The reply's form for constrained decoding."""
        verdicts = "|".join(re.escape(verdict).replace(r"\ ", " ") for verdict in self.scale)
        names = [re.escape(criterion.name).replace(r"\ ", " ") for criterion in self.criteria]
        schema = {
            "type": "object",
            "properties": {c.name: {"type": "string", "enum": list(self.scale)} for c in self.criteria},
            "required": [criterion.name for criterion in self.criteria],
            "additionalProperties": False,
        }
        return OutputForm("\\n".join(f"{name}: ({verdicts})" for name in names), json.dumps(schema))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything in it: two runs are comparable only if judged by the same one."""
        content = [
            self.name,
            self.version,
            {verdict: str(points) for verdict, points in self.scale.items()},
            [[c.key, c.name, c.question, str(c.weight)] for c in self.criteria],
            self.system_template,
            self.user_template,
            *([list(self.shows)] if self.shows else []),  # others are known by what they were before
        ]
        return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]
