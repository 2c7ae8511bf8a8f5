"""Charts as inline SVG. Colours come from the style sheet (``.s0`` ... ``.s7``), so dark mode applies.

Each chart is drawn for a wide and for a narrow screen, since letters that shrink with their drawing can't be
read; the style sheet shows one of them. All text goes in through :class:`markupsafe.Markup` formatting, which
escapes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from lm_eval_tasks.leaderboard.charts.values import Axis, Bars, Interval, Plot, Shares, number, ticks

WIDTH = 540
NARROW = 300
SERIES_COLOURS = 8
_LABEL_CHARS = 22
_LINE_CHARS = 40
_LINE = 17
"""Height of a label that stands above what it names, where there is no room beside it."""
_empty = Markup("")


def bars(chart: Bars, width: int = WIDTH) -> Markup:
    """Horizontal grouped bars with their intervals; the value stands at the end of each bar."""
    above = _LINE if width < WIDTH else 0
    left, right, bar, gap = 8 if above else 176, 40, 13, 16
    group_height = above + bar * len(chart.series) + gap
    height = group_height * len(chart.groups) + 26
    axis = chart.axis
    parts = [_grid_x(axis, left, width - right, 4, height - 22)]
    for g, group in enumerate(chart.groups):
        top = 6 + above + g * group_height
        middle = top + bar * len(chart.series) / 2
        parts.append(_name(group, left, middle + 4, top, above))
        for s, series in enumerate(chart.series):
            value = chart.values[s][g]
            if value is None:
                continue
            y = top + s * bar
            x = _at(value.value, axis, left, width - right)
            title = f"{group}, {series}: {value.text(digits=2)}"
            parts.append(
                Markup(
                    '<g class="{}"><title>{}</title>'
                    '<rect x="{}" y="{:.1f}" width="{:.1f}" height="{}"/>{}</g>'
                ).format(
                    _series(s),
                    title,
                    left,
                    y,
                    max(x - left, 0.5),
                    bar - 3,
                    _whisker(value, axis, left, width - right, y + 5),
                )
            )
            end = _at(value.value if value.high is None else value.high, axis, left, width - right)
            parts.append(_text(end + 5, y + 9, number(value.value, 2), "start", "value"))
    return _svg(width, height, parts, chart.title, chart.caption)


def shares(chart: Shares, width: int = WIDTH) -> Markup:
    """Stacked horizontal bars; a share that has room for its number carries it."""
    above = _LINE if width < WIDTH else 0
    left, right, bar, gap = 8 if above else 176, 8, 20, 10
    height = len(chart.rows) * (above + bar + gap) + 4
    parts = []
    for r, row in enumerate(chart.rows):
        y = 2 + above + r * (above + bar + gap)
        parts.append(_name(row, left, y + 14, y, above))
        x = float(left)
        for p, share in enumerate(chart.values[r]):
            part = share * (width - left - right)
            title = f"{row}, {chart.parts[p]}: {100 * share:.1f}%"
            parts.append(
                Markup(
                    '<g class="part p{}"><title>{}</title>'
                    '<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}"/></g>'
                ).format(p, title, x, y, part, bar)
            )
            if part >= 28:
                parts.append(_text(x + part / 2, y + 14, f"{100 * share:.0f}%", "middle", f"on p{p}"))
            x += part
    return _svg(width, height, parts, chart.title, chart.caption)


def plot(chart: Plot, width: int = WIDTH) -> Markup:
    """Points with their intervals, joined or not."""
    left, right, top, bottom, height = 58, 14, 12, 44, 300
    x_axis, y_axis = chart.x, chart.y

    def px(x: float) -> float:
        return _at(x, x_axis, left, width - right)

    def py(y: float) -> float:
        return _at(y, y_axis, height - bottom, top)

    parts = [_grid_x(x_axis, left, width - right, top, height - bottom)]
    for tick in ticks(y_axis.low, y_axis.high):
        parts.append(_line(left, py(tick), width - right, py(tick), "zero" if tick == 0 else "grid"))
        parts.append(_text(left - 7, py(tick) + 4, _tick(tick), "end", "tick"))
    parts.append(_text((left + width - right) / 2, height - 6, chart.x.label, "middle", "axis"))
    parts.append(
        Markup(
            '<text class="axis" text-anchor="middle" transform="translate(14 {}) rotate(-90)">{}</text>'
        ).format((top + height - bottom) / 2, chart.y.label)
    )
    labels: list[tuple[float, float, str]] = []
    parts += [
        _arrow(px(start.x), py(start.y.value), px(end.x), py(end.y.value)) for start, end in chart.arrows
    ]
    for s, points in enumerate(chart.points):
        marks = []
        if chart.joined and len(points) > 1:
            path = " ".join(f"{px(point.x):.1f},{py(point.y.value):.1f}" for point in points)
            marks.append(Markup('<polyline points="{}"/>').format(path))
        for point in points:
            x = px(point.x)
            if point.y.low is not None and point.y.high is not None:
                marks.append(_line(x, py(point.y.low), x, py(point.y.high), "whisker"))
            if point.across is not None and point.across.low is not None and point.across.high is not None:
                y = py(point.y.value)
                marks.append(_line(px(point.across.low), y, px(point.across.high), y, "whisker"))
            title = ", ".join(filter(None, (chart.series[s], point.label))) + f": {point.y.text(digits=2)}"
            marks.append(
                Markup('<circle cx="{:.1f}" cy="{:.1f}" r="4.5"><title>{}</title></circle>').format(
                    x, py(point.y.value), title
                )
            )
            if point.label:
                labels.append((x, py(point.y.value), point.label))
        parts.append(Markup('<g class="{} plot">{}</g>').format(_series(s), _empty.join(marks)))
    parts += _labels(labels, width)
    return _svg(width, height, parts, chart.title, chart.caption)


def _name(text: str, left: float, beside: float, top: float, above: float) -> Markup:
    """The name of a row or group: beside its bars, or above them where ``above`` has room for a line."""
    if above:
        return _text(left, top - 5, text, "start", most=_LINE_CHARS)
    return _text(left - 10, beside, text, "end")


def _labels(points: Sequence[tuple[float, float, str]], room: int) -> list[Markup]:
    """A label beside each point, where it covers no other label nor point, if there is such a place."""
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y, _ in points]
    placed = []
    for x, y, text in points:
        width = 7.2 * min(len(text), _LABEL_CHARS)
        boxes = [
            (start, y + down - 12, start + width, y + down + 2)
            for down in (-7, 16, -22, 31, -37, 46, -52, 61)
            for start in (x + 8, x - 8 - width)
            if start > 0 and start + width < room
        ]
        box = min(boxes, key=lambda box: sum(_overlap(box, other) for other in taken), default=None)
        if box is not None:
            taken.append(box)
            placed.append(_text(box[0], box[3] - 2, text, "start"))
    return placed


def _overlap(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    return max(wide, 0.0) * max(high, 0.0)


def interval_mark(value: Interval, low: float, high: float, reference: float | None, title: str) -> Markup:
    """A dot with its interval, as small as a table cell; ``reference`` is where the thin line stands."""
    axis, width, height = Axis("", low, high), 104, 18
    kind = "even"
    if reference is not None and value.low is not None and value.high is not None:
        kind = "above" if value.low > reference else "below" if value.high < reference else "even"
    parts = []
    if reference is not None:
        x = _at(reference, axis, 4, width - 4)
        parts.append(_line(x, 0, x, height, "zero"))
    if value.low is not None and value.high is not None:
        x1, x2 = (_at(bound, axis, 4, width - 4) for bound in (value.low, value.high))
        parts.append(_line(x1, height / 2, x2, height / 2, "whisker"))
    parts.append(
        Markup('<circle cx="{:.1f}" cy="{}" r="3.5"/>').format(
            _at(value.value, axis, 4, width - 4), height / 2
        )
    )
    return Markup(
        '<svg class="mark {}" viewBox="0 0 {} {}" width="{}" height="{}" aria-hidden="true">'
        "<title>{}</title>{}</svg>"
    ).format(kind, width, height, width, height, title, _empty.join(parts))


def legend(names: Sequence[str], kind: str = "s") -> Markup:
    """Names with their colours, for charts with more than one series (``s``) or part (``p``)."""
    items = [
        Markup(
            '<li><svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true" class="{}">'
            '<rect width="12" height="12" rx="2"/></svg> {}</li>'
        ).format(f"part p{index}" if kind == "p" else _series(index), name)
        for index, name in enumerate(names)
    ]
    return Markup('<ul class="legend">{}</ul>').format(_empty.join(items))


def _series(index: int) -> str:
    return f"s{index % SERIES_COLOURS}"


def _at(value: float, axis: Axis, start: float, end: float) -> float:
    share = (value - axis.low) / (axis.high - axis.low)
    return start + min(max(share, 0.0), 1.0) * (end - start)


def _tick(value: float) -> str:
    return f"{value:.10g}".replace("-", "\u2212")


def _grid_x(axis: Axis, start: float, end: float, top: float, bottom: float) -> Markup:
    parts = []
    for tick in ticks(axis.low, axis.high):
        x = _at(tick, axis, start, end)
        parts.append(_line(x, top, x, bottom, "zero" if tick == 0 else "grid"))
        parts.append(_text(x, bottom + 16, _tick(tick), "middle", "tick"))
    return _empty.join(parts)


def _whisker(value: Interval, axis: Axis, start: float, end: float, y: float) -> Markup:
    if value.low is None or value.high is None:
        return _empty
    x1, x2 = (_at(bound, axis, start, end) for bound in (value.low, value.high))
    return _line(x1, y, x2, y, "whisker")


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        kind, x1, y1, x2, y2
    )


def _arrow(x1: float, y1: float, x2: float, y2: float) -> Markup:
    """An arrow that ends before the point it leads to; nothing between points that lie on each other."""
    length = math.hypot(x2 - x1, y2 - y1)
    if length < 16:
        return _empty
    along, across = (x2 - x1) / length, (y2 - y1) / length
    tip_x, tip_y = x2 - 7 * along, y2 - 7 * across
    back_x, back_y = tip_x - 7 * along, tip_y - 7 * across
    head = (
        f"{tip_x:.1f},{tip_y:.1f} {back_x - 3 * across:.1f},{back_y + 3 * along:.1f} "
        f"{back_x + 3 * across:.1f},{back_y - 3 * along:.1f}"
    )
    shaft = _line(x1, y1, back_x, back_y, "shaft")
    return Markup('<g class="arrow">{}<polygon points="{}"/></g>').format(shaft, head)


def _text(
    x: float, y: float, text: str, anchor: str, kind: str = "label", most: int = _LABEL_CHARS
) -> Markup:
    shown = text if len(text) <= most else text[: most - 1] + "\u2026"
    if kind == "axis":
        shown = text
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, shown
    )


def _svg(width: int, height: float, parts: Sequence[Markup], title: str, caption: str) -> Markup:
    kind = "wide" if width == WIDTH else "narrow"
    return Markup('<svg class="chart {}" viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        kind, width, height, f"{title}. {caption}", _empty.join(parts)
    )
