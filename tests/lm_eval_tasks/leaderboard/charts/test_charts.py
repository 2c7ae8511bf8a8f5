import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_tasks.leaderboard.charts import svg
from lm_eval_tasks.leaderboard.charts.figures import write_figures
from lm_eval_tasks.leaderboard.charts.values import (
    Axis,
    Bars,
    HeatMap,
    Interval,
    Plot,
    Point,
    Shares,
    number,
    ticks,
)

HOSTILE = '<script>alert("&")</script> $x_1$'
BARS = Bars(
    "bars", "Bars", "Of two.", ("clarity", HOSTILE), ("base", HOSTILE),
    ((Interval(0.5, 0.4, 0.6), None), (Interval(0.7), Interval(0.9, 0.8, 1.0))), Axis("points", 0, 1),
)  # fmt: skip
SHARES = Shares("shares", "Shares", "", ("a", HOSTILE), ("win", "tie", "loss"), ((0.5, 0.3, 0.2), (1, 0, 0)))
MAP = HeatMap(
    "map",
    "Map",
    "",
    "",
    ("a", "b"),
    ("a", HOSTILE),
    ((None, Interval(0.2, 0.1, 0.3)), (Interval(-0.1), None)),
)
PLOT = Plot(
    "plot", "Plot", "", Axis("words", 0, 100), Axis("score", 0, 5), ("a", "b"),
    ((Point(20, Interval(3, 2.5, 3.5), "a"),), (Point(21, Interval(3.01, 2.5, 3.5), HOSTILE),)),
)  # fmt: skip


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert len(found) <= 7
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in found)


def test_a_number_that_rounds_to_zero_has_no_sign() -> None:
    assert number(-0.04, signed=True) == "0.0"
    assert number(-1.25, 2, signed=True) == "−1.25"
    assert number(3.0, signed=True) == "+3.0"


@pytest.mark.parametrize("chart", [BARS, SHARES, PLOT])
def test_drawings_are_well_formed_and_hold_names_as_text_only(chart: Bars | Shares | Plot) -> None:
    draw = {Bars: svg.bars, Shares: svg.shares, Plot: svg.plot}[type(chart)]
    root = ET.fromstring(str(draw(chart)))
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    assert any(HOSTILE[:8] in (node.text or "") for node in root.iter())


def test_a_share_bar_is_as_wide_as_its_share() -> None:
    root = ET.fromstring(str(svg.shares(SHARES)))
    widths = [float(node.attrib["width"]) for node in root.iter() if node.tag.endswith("rect")]
    assert widths[0] / widths[1] == pytest.approx(0.5 / 0.3, rel=0.01)
    assert sum(widths[:3]) == pytest.approx(sum(widths[3:]), abs=0.2)


def test_labels_of_neighbouring_points_do_not_cover_each_other() -> None:
    root = ET.fromstring(str(svg.plot(PLOT)))
    labels = [node for node in root.iter() if node.get("class") == "label"]
    (first, second) = [(float(node.attrib["x"]), float(node.attrib["y"])) for node in labels]
    assert abs(first[1] - second[1]) > 10 or second[0] - first[0] > 10


@pytest.mark.parametrize("chart", [BARS, SHARES, MAP, PLOT])
def test_every_chart_says_itself_as_a_table(chart: Bars | Shares | HeatMap | Plot) -> None:
    head, *rows = chart.table
    assert rows
    assert {len(row) for row in rows} == {len(head)}


def test_pictures_are_drawn_as_png_and_svg_and_are_the_same_each_time(tmp_path: Path) -> None:
    charts = [BARS, SHARES, MAP, PLOT]
    once, again = (write_figures(charts, tmp_path / name) for name in ("once", "again"))
    assert [path.name for path in once] == [f"{c.name}{end}" for c in charts for end in (".png", ".svg")]
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]
    drawn = ET.parse(tmp_path / "once" / "bars.svg")
    assert any(HOSTILE in "".join(node.itertext()) for node in drawn.iter())
