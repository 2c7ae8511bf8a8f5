"""Who judged, by what: what stands beside every score, so that only like is compared with like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from judges.records import VerdictForm
from judges.rubrics.rubric import EXTRAS, Extra


@dataclass(frozen=True, slots=True)
class JudgeInfo:
    """Who judged, by what: stands beside every score, so that only like is compared with like.

    Attributes:
        name: Short name for tables: the judge's model and where it runs.
        backend: Kind of backend.
        model: The judge model's name or path.
        rubric: The rubric's name.
        rubric_version: Its version as its author gives it.
        rubric_fingerprint: Hash of everything in it.
        units: Units a point; scores are whole numbers of these.
        max_score: The best score, in units.
        criteria: Criterion key -> name, in order.
        sampling: Temperature, top_p, max_tokens and seed of the replies.
        constrained: Whether replies were held to the form; None if not known (nothing was asked).
        scale: Verdict -> points as an exact number or fraction, best first.
        verdict_form: In which form the verdicts were asked for.
        left_out: What of ``sampling`` the endpoint refuses, so that its own holds instead; known once it was
            asked.
        shows: What it was shown beside question and explanation.
    """

    name: str
    backend: str
    model: str
    rubric: str
    rubric_version: str
    rubric_fingerprint: str
    units: int
    max_score: int
    criteria: Mapping[str, str]
    sampling: Mapping[str, float | int | None]
    constrained: bool | None = None
    scale: Mapping[str, str] = field(default_factory=dict)
    verdict_form: VerdictForm = "full"  # files without it are older than the compact form
    left_out: tuple[str, ...] = ()
    shows: tuple[Extra, ...] = ()

    @property
    def slug(self) -> str:
        """The name as part of a file name, unique to the judge's model, address, rubric and verdict form."""
        form = "" if self.verdict_form == "full" else f"-{self.verdict_form}"
        return re.sub(r"[^A-Za-z0-9.]+", "-", f"{self.name}-{self.rubric}{form}").strip("-.")

    @property
    def yardstick(self) -> tuple[str, VerdictForm]:
        """What two judgements must share so that their scores can be compared: rubric and verdict form."""
        return self.rubric_fingerprint, self.verdict_form

    @property
    def asked(self) -> str:
        """The rubric with its version, what it shows, and the form if it isn't the full one: for people."""
        form = "" if self.verdict_form == "full" else f", {self.verdict_form} form"
        shows = f", shown {' and '.join(EXTRAS[name] for name in self.shows)}" if self.shows else ""
        return f"{self.rubric} {self.rubric_version}{shows}{form}"

    @property
    def points_range(self) -> tuple[float, float]:
        """Points of the worst verdict and of the best; from 0 to 1 where these aren't known to differ."""
        points = [float(Fraction(text)) for text in self.scale.values()]
        return (min(points), max(points)) if len(set(points)) > 1 else (0.0, 1.0)

    @property
    def score_range(self) -> tuple[float, float]:
        """The worst possible score and the best, in points."""
        worst, best = self.points_range
        high = self.max_score / self.units
        return high * worst / best, high

    def to_json(self) -> dict[str, Any]:
        """For summary files."""
        return {
            "name": self.name,
            "backend": self.backend,
            "model": self.model,
            "rubric": self.rubric,
            "rubric_version": self.rubric_version,
            "rubric_fingerprint": self.rubric_fingerprint,
            "units": self.units,
            "max_score": self.max_score,
            "criteria": dict(self.criteria),
            "sampling": dict(self.sampling),
            "constrained": self.constrained,
            "scale": dict(self.scale),
            "verdict_form": self.verdict_form,
            **({"left_out": list(self.left_out)} if self.left_out else {}),
            **({"shows": list(self.shows)} if self.shows else {}),
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> JudgeInfo:
        """Reads the form back."""
        listed = {name: tuple(row.get(name, ())) for name in ("left_out", "shows")}
        return JudgeInfo(**{**row, **listed})
