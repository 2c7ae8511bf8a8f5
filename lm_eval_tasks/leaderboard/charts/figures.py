"""Charts as picture files for papers, drawn by matplotlib: PNG to look at, SVG to print and edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lm_eval_tasks.leaderboard.charts.values import Bars, Chart, HeatMap, Interval, Plot, Shares, number

SERIES = ("#0072b2", "#d55e00", "#009e73", "#8c4a76", "#a87500", "#3d8fc4", "#5c626c", "#1b1d21")
PARTS = ("#0072b2", "#a3a9b2", "#d55e00", "#5c626c")
INK, GREY = "#1b1d21", "#5c626c"
WIDTH_INCHES = 6.0
PIXELS_PER_INCH = 200


def write_figures(charts: Sequence[Chart], folder: Path) -> list[Path]:
    """Draws each chart into ``folder/NAME.png`` and ``folder/NAME.svg``; returns the files."""
    import matplotlib
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    # Texts stay texts, model names are no formulas, and the same chart gives the same file.
    style = {"font.size": 9, "svg.fonttype": "none", "svg.hashsalt": "anchored", "text.parse_math": False,
             "axes.edgecolor": GREY, "text.color": INK, "xtick.color": GREY, "ytick.color": INK}  # fmt: skip
    with matplotlib.rc_context(style):
        for chart in charts:
            figure = Figure(figsize=(WIDTH_INCHES, _height(chart)), layout="constrained")
            _DRAW[type(chart)](chart, figure)
            for ending, metadata in ((".png", {"Software": None}), (".svg", {"Date": None})):
                path = folder / f"{chart.name}{ending}"
                figure.savefig(path, dpi=PIXELS_PER_INCH, metadata=metadata)
                made.append(path)
    return made


def _height(chart: Chart) -> float:
    if isinstance(chart, Bars):
        return 0.9 + len(chart.groups) * (0.17 * len(chart.series) + 0.18)
    if isinstance(chart, Shares | HeatMap):
        return 1.1 + 0.32 * len(chart.rows)
    return 3.6


def _axes(figure: Any, title: str) -> Any:
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def _bars(chart: Bars, figure: Any) -> None:
    axes = _axes(figure, chart.title)
    count = len(chart.series)
    for s, name in enumerate(chart.series):
        known = [(g, value) for g, value in enumerate(chart.values[s]) if value is not None]
        places = [g * (count + 1) + s for g, _ in known]
        errors = [
            [max(0.0, value.value - (value.value if value.low is None else value.low)) for _, value in known],
            [
                max(0.0, (value.value if value.high is None else value.high) - value.value)
                for _, value in known
            ],
        ]
        axes.barh(
            places, [value.value for _, value in known], height=0.85, xerr=errors,
            color=SERIES[s % len(SERIES)], error_kw={"elinewidth": 0.8, "ecolor": INK}, label=name,
        )  # fmt: skip
    axes.set_yticks([g * (count + 1) + (count - 1) / 2 for g in range(len(chart.groups))], chart.groups)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(chart.axis.low, chart.axis.high)
    axes.set_xlabel(chart.axis.label)
    if count > 1:
        _legend(figure, count)


def _shares(chart: Shares, figure: Any) -> None:
    axes = _axes(figure, chart.title)
    left = [0.0] * len(chart.rows)
    for p, part in enumerate(chart.parts):
        widths = [100 * values[p] for values in chart.values]
        bars = axes.barh(
            range(len(chart.rows)), widths, left=left, height=0.7, color=PARTS[p % len(PARTS)], label=part
        )
        labels = [f"{width:.0f}%" if width >= 8 else "" for width in widths]
        axes.bar_label(bars, labels, label_type="center", fontsize=8, color="white" if p == 0 else INK)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(chart.rows)), chart.rows)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("%")
    _legend(figure, len(chart.parts))


def _heat_map(chart: HeatMap, figure: Any) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    axes = _axes(figure, chart.title)
    shown = [[float("nan") if value is None else 100 * value.value for value in row] for row in chart.values]
    colours = LinearSegmentedColormap.from_list("loss-win", [PARTS[2], "#ffffff", PARTS[0]])
    reach = max([abs(value) for row in shown for value in row if value == value], default=1.0) or 1.0
    axes.imshow(shown, cmap=colours, vmin=-1.5 * reach, vmax=1.5 * reach, aspect="auto")
    for r, row in enumerate(chart.values):
        for c, value in enumerate(row):
            if value is not None:
                unclear = value.low is None or value.high is None or value.low <= 0 <= value.high
                text = number(100 * value.value, 1, signed=True)
                axes.text(c, r, text, ha="center", va="center", color=GREY if unclear else INK, fontsize=8)
    axes.set_xticks(range(len(chart.columns)), chart.columns)
    axes.set_yticks(range(len(chart.rows)), chart.rows)
    axes.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    for label in axes.get_xticklabels():
        label.set(rotation=30, ha="left") if len(chart.columns) > 5 else None
    for side in ("bottom", "left"):
        axes.spines[side].set_visible(False)


def _plot(chart: Plot, figure: Any) -> None:
    axes = _axes(figure, chart.title)
    for s, points in enumerate(chart.points):
        colour = SERIES[s % len(SERIES)]
        errors = [
            [max(0.0, p.y.value - (p.y.value if p.y.low is None else p.y.low)) for p in points],
            [max(0.0, (p.y.value if p.y.high is None else p.y.high) - p.y.value) for p in points],
        ]
        across = None
        if any(p.across is not None for p in points):
            sides = [p.across or Interval(p.x) for p in points]
            across = [
                [max(0.0, x.value - (x.value if x.low is None else x.low)) for x in sides],
                [max(0.0, (x.value if x.high is None else x.high) - x.value) for x in sides],
            ]
        axes.errorbar(
            [p.x for p in points], [p.y.value for p in points], yerr=errors, xerr=across,
            fmt="o-" if chart.joined else "o", color=colour, markersize=5, linewidth=1.2, elinewidth=0.9,
            label=chart.series[s],
        )  # fmt: skip
        for point in points:
            if point.label:
                axes.annotate(
                    point.label, (point.x, point.y.value), (6, 5), textcoords="offset points", fontsize=8
                )
    for start, end in chart.arrows:
        axes.annotate(
            "", (end.x, end.y.value), (start.x, start.y.value),
            arrowprops={"arrowstyle": "->", "color": GREY, "linewidth": 0.8, "shrinkA": 5, "shrinkB": 6},
        )  # fmt: skip
    if chart.y.low < 0 < chart.y.high:
        axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(
        xlim=(chart.x.low, chart.x.high),
        ylim=(chart.y.low, chart.y.high),
        xlabel=chart.x.label,
        ylabel=chart.y.label,
    )
    if len(chart.series) > 1 and not all(point.label for points in chart.points for point in points):
        _legend(figure, len(chart.series))


def _legend(figure: Any, count: int) -> None:
    figure.legend(loc="outside lower center", ncols=min(count, 4), frameon=False, fontsize=8)


_DRAW: dict[type, Callable[[Any, Any], None]] = {
    Bars: _bars,
    Shares: _shares,
    HeatMap: _heat_map,
    Plot: _plot,
}
