"""What the pictures show, as plain values: drawn as SVG on the pages and by matplotlib in files.

Every chart can also say itself as a table, which stands below it for screen readers and for copying.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lm_eval_tasks.stats.estimation.estimates import Estimate

Table: TypeAlias = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95% interval; no bounds where none can be given."""

    value: float
    low: float | None = None
    high: float | None = None

    def text(self, scale: float = 1.0, digits: int = 1, signed: bool = False) -> str:
        """``12.3 [10.1, 14.0]``, with values multiplied by ``scale``."""
        value = number(self.value * scale, digits, signed)
        if self.low is None or self.high is None:
            return value
        low, high = (number(bound * scale, digits, signed) for bound in (self.low, self.high))
        return f"{value} [{low}, {high}]"


def shown(estimate: Estimate) -> Interval:
    """An estimate as charts draw it."""
    return Interval(estimate.value, estimate.low, estimate.high)


def interval(estimate: Estimate | None) -> Interval | None:
    """As :func:`shown`, for what may not be there."""
    return None if estimate is None else shown(estimate)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: its label and range."""

    label: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bars:
    """Grouped bars: a value for each group and series (figure 1 of the paper: criteria x models).

    Attributes:
        name: File name of the picture, without ending.
        values: ``values[s][g]`` is the value of series ``s`` in group ``g``; None where there is none.
    """

    name: str
    title: str
    caption: str
    groups: tuple[str, ...]
    series: tuple[str, ...]
    values: tuple[tuple[Interval | None, ...], ...]
    axis: Axis

    @property
    def table(self) -> Table:
        """Groups down, series across."""
        rows = [
            (group, *(_text(values[index]) for values in self.values))
            for index, group in enumerate(self.groups)
        ]
        return (("", *self.series), *rows)


@dataclass(frozen=True, slots=True)
class Shares:
    """Stacked bars that add up to 1: ``values[r][p]`` is the share of part ``p`` in row ``r``."""

    name: str
    title: str
    caption: str
    rows: tuple[str, ...]
    parts: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]

    @property
    def table(self) -> Table:
        """Rows down, parts across, in percent."""
        rows = [
            (row, *(f"{100 * share:.1f}%" for share in values))
            for row, values in zip(self.rows, self.values, strict=True)
        ]
        return (("", *self.parts), *rows)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Signed values in [-1, 1] by row and column; drawn in blue above and orange below zero.

    Attributes:
        links: Address for each cell, or None; used on the pages only.
    """

    name: str
    title: str
    caption: str
    corner: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[Interval | None, ...], ...]
    links: tuple[tuple[str | None, ...], ...] | None = None

    @property
    def table(self) -> Table:
        """The same values in points."""
        rows = [
            (row, *("" if value is None else value.text(100, signed=True) for value in values))
            for row, values in zip(self.rows, self.values, strict=True)
        ]
        return ((self.corner, *self.columns), *rows)


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a plot, with an interval in y, one in x where it has one, and a label."""

    x: float
    y: Interval
    label: str = ""
    across: Interval | None = None


@dataclass(frozen=True, slots=True)
class Plot:
    """Points of one or more series, joined or not (length plots, figure 2 of the paper).

    Attributes:
        origin: Series from whose first point an arrow leads to the first point of each other one.
    """

    name: str
    title: str
    caption: str
    x: Axis
    y: Axis
    series: tuple[str, ...]
    points: tuple[tuple[Point, ...], ...]
    joined: bool = False
    origin: str | None = None

    @property
    def arrows(self) -> tuple[tuple[Point, Point], ...]:
        """Where an arrow begins and where it ends."""
        if self.origin not in self.series:
            return ()
        start = self.points[self.series.index(self.origin)]
        ends = [
            points
            for name, points in zip(self.series, self.points, strict=True)
            if name != self.origin and points
        ]
        return tuple((start[0], points[0]) for points in ends) if start else ()

    @property
    def table(self) -> Table:
        """One row a point."""
        rows = [
            (
                name,
                point.label,
                f"{point.x:.4g}" if point.across is None else point.across.text(digits=2),
                _text(point.y),
            )
            for name, points in zip(self.series, self.points, strict=True)
            for point in points
        ]
        return (("series", "point", self.x.label, self.y.label), *rows)


Chart: TypeAlias = Bars | Shares | HeatMap | Plot


def number(value: float, digits: int = 1, signed: bool = False) -> str:
    """A number with a real minus sign; what rounds to zero has no sign."""
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "\u2212")


def ticks(low: float, high: float, most: int = 6) -> tuple[float, ...]:
    """At most ``most`` round numbers in [low, high], in steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not span > 0:
        return (low,)
    power = 10.0 ** math.floor(math.log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if span / (power * factor) < most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(index * step for index in range(first, last + 1))


def span(
    values: Sequence[Interval], include: float | None = None, margin: float = 0.08
) -> tuple[float, float]:
    """A range that holds all values with their intervals, and ``include``, with a margin; never empty."""
    known = [
        bound for value in values for bound in (value.low, value.value, value.high) if bound is not None
    ] + ([] if include is None else [include])
    low, high = min(known, default=0.0), max(known, default=1.0)
    pad = (high - low) * margin or abs(high) * margin or 0.5
    return low - pad, high + pad


def _text(value: Interval | None) -> str:
    return "" if value is None else value.text(digits=2)
