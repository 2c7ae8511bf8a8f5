"""The simulations of ``python -m benchmarks.coverage`` at a small size."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks.coverage import budgets, intervals, lengths, power, stopping
from benchmarks.coverage.__main__ import main
from benchmarks.coverage.populations import populations
from benchmarks.coverage.tables import error

RUNS = 100
ALL = {population.name: population for population in populations()}


@pytest.fixture(scope="module")
def cells() -> list[intervals.Cell]:
    return intervals.cells(RUNS, (20, 50))


def test_intervals_hold_in_every_population(cells: list[intervals.Cell]) -> None:
    for cell in cells:
        assert min(cell.held) >= 0.93 - 3 * error(0.93, RUNS), cell
        assert cell.wrong <= 0.05 + 3 * error(0.05, RUNS), cell
    assert np.mean([cell.held for cell in cells]) >= 0.95


def test_the_same_simulation_shows_what_plain_t_intervals_leave_out(cells: list[intervals.Cell]) -> None:
    by_t = {cell.population: cell.by_t for cell in cells if cell.questions == 20}
    for name in ("5% differ", "3% differ, all one way", "won, but for 5% lost"):
        assert by_t[name] < 0.75
    assert by_t["plain, even"] > 0.87


def test_plain_cases_pay_little(cells: list[intervals.Cell]) -> None:
    plain = [cell for cell in cells if cell.plain and cell.questions >= 50]
    assert len(plain) == 3
    for cell in plain:
        assert cell.to_t <= 1.1, cell


@pytest.mark.parametrize("name", ALL)
def test_a_populations_truth_is_the_mean_of_what_it_draws(name: str) -> None:
    drawn = ALL[name].draw(np.random.default_rng(1), 40_000)
    assert drawn.sum(axis=1) == pytest.approx(1)
    assert drawn.mean(axis=0) == pytest.approx(ALL[name].truth, abs=0.01)


def test_p_and_interval_are_one_method(cells: list[intervals.Cell]) -> None:
    assert all(cell.wrong == pytest.approx(1 - cell.held[3]) for cell in cells)


def test_figures_made_of_several_means_hold() -> None:
    for one in intervals.consumers(60, (20,)):
        assert one.wrong <= 0.05 + 4 * error(0.05, 60), one
        assert one.held is None or one.held >= 0.93 - 3 * error(0.93, 60), one


def test_models_that_differ_in_length_alone_come_out_even() -> None:
    for paid in (3, 6):
        cell = lengths.measure(lengths.Judged(ratio=2.23, paid=paid, spread=0.5), 60, RUNS)
        assert cell.raw > 0.3
        assert abs(cell.controlled) < 0.05
        assert cell.held >= 0.9 - 2 * error(0.9, RUNS)
        assert cell.flagged < 0.1
    far = lengths.measure(lengths.Judged(ratio=2.23, paid=6, spread=0.25), 60, 10)
    assert far.flagged == 1


def test_what_power_promises_is_found() -> None:
    for cell in (power.measure_spread(0.2, 20, 400), power.measure_alike(0.6, 50, 400)):
        assert cell.found == pytest.approx(0.8, abs=0.08)


def test_looks_after_every_question_are_seldom_wrong() -> None:
    population = next(one for one in stopping.populations() if one.name.startswith("3%"))
    cell = stopping.measure(population, 600, 200)
    assert cell.wrong <= 0.05 + 2 * error(0.05, 200)


def test_gates_seldom_tell_a_wrong_side() -> None:
    rare = next(one for one in stopping.populations() if one.name.startswith("3%"))
    on_the_margin = stopping.hold_gates(rare, 300, 0.0, 300)
    assert on_the_margin.wrong <= 0.05 + 2 * error(0.05, 300)
    above = stopping.hold_gates(rare, 300, 0.05, 100)
    assert above.passed > 0.9
    assert above.failed <= 0.02
    assert above.looked < 250
    below = stopping.hold_gates(rare, 300, -0.05, 100)
    assert below.failed > 0.9
    assert below.wrong <= 0.02


def test_it_prints_the_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["coverage", "power", "stopping", "--runs", "4", "--questions", "1000"])
    main()
    printed = capsys.readouterr().out
    assert "power: 4 runs a cell; standard error 10.9 points at 5%" in printed
    assert "| all samples agree, 60% ties | 1000 |" in printed
    assert "| 3% differ, all one way | 1000 |" in printed


def test_intervals_hold_where_sampling_stops_when_more_hardly_matters() -> None:
    for name in budgets.POPULATIONS:
        cell = budgets.measure(name, "auto", 50, RUNS)
        assert cell.held >= 0.93 - 3 * error(0.93, RUNS), cell
        assert cell.replies <= 16
    known = budgets.measure("mostly known or not, 70% right", "auto", 50, RUNS)
    assert known.replies <= 6
    assert known.wider <= 1.1
