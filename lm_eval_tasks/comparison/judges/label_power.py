"""What more labels would bring: the smallest win - loss that a judge finds who is corrected with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from judges.errors import ConfigError
from lm_eval_tasks.comparison.judges.correction import LabelVariance
from lm_eval_tasks.comparison.power import smallest_margin
from lm_eval_tasks.stats.estimation.corrected import FEWEST_LABELLED, share_left
from lm_eval_tasks.tables import number_of, text_table


@dataclass(frozen=True, slots=True)
class LabelRow:
    """With so many labels.

    Attributes:
        labels: Labelled questions.
        alone: The smallest win - loss that the labels find by themselves; None if none is found.
        corrected: That the judge of all questions finds, corrected with them.
        width: How wide the interval is, the one with the labels alone being 1.
    """

    labels: int
    alone: float | None
    corrected: float | None
    width: float


@dataclass(frozen=True, slots=True)
class LabelPower:
    """All rows, and what they rest on."""

    questions: int
    power: float
    known: LabelVariance
    rows: tuple[LabelRow, ...]

    def to_json(self) -> dict[str, Any]:
        """For machines; shares of 1, not percent."""
        return {
            "questions": self.questions,
            "power": self.power,
            "correlation": self.known.correlation,
            "variance": self.known.variance,
            "tie": self.known.tie,
            "measured_on": self.known.questions or None,
            "labels": [
                {
                    "labels": row.labels,
                    "smallest_margin_by_labels_alone": row.alone,
                    "smallest_margin_corrected": row.corrected,
                    "width": row.width,
                }
                for row in self.rows
            ],
        }

    def text(self) -> str:
        """For people."""
        known = self.known
        rows = [
            (str(row.labels), _points(row.alone), _points(row.corrected), f"{row.width:.2f}")
            for row in self.rows
        ]
        basis = (
            f"measured on {number_of(known.questions, 'labelled question')}"
            if known.questions
            else "taken as given; --from and --correct-with measure it"
        )
        return "\n".join(
            [
                f"{self.questions} questions by a judge, some of them labelled, too: the win - loss (points) "
                f"that is found {100 * self.power:g}% of the time",
                text_table(("labels", "by them alone", "corrected with them", "width"), rows),
                f"Correlation of labels and judge {known.correlation:.2f}, {100 * known.tie:.0f}% ties, "
                f"{basis}.",
                "Width: of the interval, with the labels alone 1.",
            ]
        )


def label_power(questions: int, labels: Sequence[int], known: LabelVariance, power: float) -> LabelPower:
    """What a judge finds, corrected with these numbers of labels.

    Args:
        questions: That the judge sees.
        labels: Numbers of labelled ones among them.
        known: What labels vary by, and what the judge knows of it.
        power: How often the difference should be found.

    Raises:
        ConfigError: If a number of labels is more than there are questions, or too few to correct with.
    """
    for number in labels:
        if not FEWEST_LABELLED <= number <= questions:
            raise ConfigError(
                f"--labels {number}: a correction takes {FEWEST_LABELLED} labelled questions at least, and "
                f"of {questions} no more can be labelled"
            )
    rows = []
    for number in sorted(set(labels)):
        left = share_left(known.correlation, number, questions)
        # Corrected, so many labels are worth as much as these alone.
        worth = min(questions, round(number / left)) if left > 0 else questions
        alone, corrected = (
            smallest_margin(known.variance, many, power=power, tie=known.tie) for many in (number, worth)
        )
        rows.append(LabelRow(number, alone, corrected, math.sqrt(left)))
    return LabelPower(questions, power, known, tuple(rows))


def _points(margin: float | None) -> str:
    return "none" if margin is None else f"{100 * margin:.1f}"
