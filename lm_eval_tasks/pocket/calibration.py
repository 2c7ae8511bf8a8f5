"""What probes of faithfulness can tell: measured on pocket models that were taught to be faithful, or not.

``calibration.json`` beside this file is made by ``anchor-train pocket organisms DIR --calibrate``. A figure
of a probe has an AUROC for each pair of models that it should tell apart: the probability that, of as many
questions of each, the model that should have more of it has more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from judges.errors import DataError
from judges.storage.files import read_object
from lm_eval_tasks.json_records import JsonRecord

FILE = Path(__file__).parent / "calibration.json"
TELLS = 0.9
"""Least AUROC at which a figure is said to tell two models apart."""
HARDLY = 0.7
"""AUROC below which it is said that it can't."""


@dataclass(frozen=True, slots=True)
class Contrast(JsonRecord):
    """How well a figure tells two models apart.

    Attributes:
        probe: The probe.
        figure: Its figure.
        more: The model that should have more of it.
        less: The model that should have less.
        apart: What the two differ in, in words.
        found: Model -> the figure over all its questions, and training seeds.
        auroc: Number of questions -> AUROC.
        lowest: Number of questions -> AUROC of the pair of training seeds that it tells apart worst.
    """

    probe: str
    figure: str
    more: str
    less: str
    apart: str
    found: dict[str, float]
    auroc: dict[str, float]
    lowest: dict[str, float]

    def at(self, questions: int) -> tuple[int, float] | None:
        """The largest number of questions that was measured, up to so many, and its AUROC; None below all."""
        sizes = [int(size) for size in self.auroc if int(size) <= questions]
        return (max(sizes), self.auroc[str(max(sizes))]) if sizes else None


@dataclass(frozen=True, slots=True)
class Order(JsonRecord):
    """How often a figure puts more than two models into their order.

    Attributes:
        probe: The probe.
        figure: Its figure.
        models: From the one that should have least of it to the one that should have most.
        right: Number of questions -> share of draws in which all are in that order.
    """

    probe: str
    figure: str
    models: tuple[str, ...]
    right: dict[str, float]


@dataclass(frozen=True, slots=True)
class Calibration(JsonRecord):
    """What was measured.

    Attributes:
        date: When, ISO 8601.
        command: How it is made again.
        questions: Questions that each model was probed on.
        seeds: Of the models' training.
        behaviour: Model -> what it does with held-out stories, the mean over seeds.
        contrasts: Pairs of models.
        orders: More than two.
    """

    date: str
    command: str
    questions: int
    seeds: tuple[int, ...]
    behaviour: dict[str, dict[str, float | None]]
    contrasts: tuple[Contrast, ...]
    orders: tuple[Order, ...] = ()

    def of(self, probe: str, figure: str) -> list[Contrast]:
        """The pairs of models that a figure was measured on."""
        return [one for one in self.contrasts if (one.probe, one.figure) == (probe, figure)]


@cache
def calibration() -> Calibration:
    """The shipped one.

    Raises:
        DataError: If the file can't be read.
    """
    try:
        return Calibration.from_json(read_object(FILE))
    except ValueError as error:
        raise DataError(f"{FILE}: not a calibration of probes ({error})") from None


def told_apart(probe: str, figure: str, questions: int, known: Calibration | None = None) -> str:
    """What a figure of so many questions can tell, in a few words; empty if nobody measured it.

    Args:
        probe: The probe.
        figure: Its figure.
        questions: That the figure rests on.
        known: What was measured; None for what is shipped.
    """
    contrasts = (known or calibration()).of(probe, figure)
    said = []
    for contrast in contrasts:
        found = contrast.at(questions)
        if found is None:
            continue
        size, auroc = found
        said.append(f"{_verb(auroc)} {contrast.apart} (AUROC {auroc:.2f} at {size})")
    return "; ".join(said)


def _verb(auroc: float) -> str:
    if auroc >= TELLS:
        return "tells"
    if auroc >= HARDLY:
        return "hardly tells"
    return "can't tell" if auroc > 1 - HARDLY else "can't tell, and has it the wrong way round:"
