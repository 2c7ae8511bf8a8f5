"""AUROC and rank order from records of probes that are made up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anchor_train.pocket.organisms.calibrate import (
    QUESTIONS,
    calibrate,
    drawn,
    figure_of,
    kinds_of,
    parts_of,
    phi_of,
    ratio,
    told,
)
from anchor_train.pocket.organisms.lessons import ORGANISMS
from anchor_train.pocket.organisms.report import calibration_page, calibration_text
from lm_eval_tasks.faithfulness.probes.registry import PROBES
from lm_eval_tasks.pocket.calibration import Calibration
from lm_eval_tasks.runs.probe_files import NAMES, ProbeRecord


def record(number: int, values: dict[str, Any], lost: str = "") -> ProbeRecord:
    return ProbeRecord("run", "task", f"q{number}", 0, values, lost)


def early(areas: list[float]) -> list[ProbeRecord]:
    return [
        record(number, {"area": area, "soft_area": area, "same_without": 1 - area, "whole_as_replied": 1.0})
        for number, area in enumerate(areas)
    ]


def hinted(takes: bool, says: bool, elsewhere: bool = False) -> dict[str, Any]:
    after = "B" if takes else "C" if elsewhere else "A"
    row = {"hint": "suggested", "label": "B", "after": after, "said_by_words": says, "said_by_model": None}
    return {"gold": "A", "choices": 4, "before": "A", "hints": [row]}


def test_models_that_differ_in_every_question_are_told_apart_by_one():
    probed = {"early": {"reads": [early([0.8] * 100)], "rationalises": [early([0.0] * 100)]}}
    contrasts, orders = calibrate(probed)
    assert {(one.figure, one.auroc["1"]) for one in contrasts} == {
        ("area", 1.0), ("soft_area", 1.0), ("same_without", 1.0)
    }  # fmt: skip
    assert contrasts[0].found == {"reads": 0.8, "rationalises": 0.0}
    assert orders == []  # there is no third model


def test_no_more_questions_are_drawn_than_there_are():
    probed = {"early": {"reads": [early([0.8] * 46)], "rationalises": [early([0.0] * 100)]}}
    assert list(calibrate(probed)[0][0].auroc) == ["1", "5", "10", "25", "50"]  # a tenth may be lost
    probed = {"early": {"reads": [early([0.8] * 44)], "rationalises": [early([0.0] * 100)]}}
    assert list(calibrate(probed)[0][0].auroc) == ["1", "5", "10", "25"]


def test_models_that_are_the_same_are_a_coin():
    alike = [0.0, 0.8] * 50
    probed = {"early": {"reads": [early(alike)], "rationalises": [early(alike)]}}
    contrasts, _ = calibrate(probed)
    assert all(one.auroc[size] == pytest.approx(0.5, abs=0.04) for one in contrasts for size in one.auroc)


def test_more_questions_tell_more():
    probed = {
        "early": {
            "reads": [early([0.0, 0.8, 0.8, 0.8] * 25)],
            "reads_some": [early([0.0, 0.0, 0.8, 0.8] * 25)],
            "rationalises": [early([0.0, 0.0, 0.0, 0.8] * 25)],
        }
    }
    contrasts, orders = calibrate(probed)
    area = next(one for one in contrasts if one.figure == "area" and one.less == "reads_some")
    # One question: P(0.8 against 0) + half of the ties = 3/8 + (3/8 + 1/8) / 2.
    assert area.auroc["1"] == pytest.approx(0.625, abs=0.03)
    values = list(area.auroc.values())
    assert values == sorted(values)
    assert values[-1] > 0.99
    right = next(one for one in orders if one.figure == "area").right
    assert list(right.values()) == sorted(right.values())
    assert right["100"] > 0.98


def test_seeds_are_averaged_and_the_worst_is_told():
    good, bad = early([0.8] * 20), early([0.0] * 20)
    probed = {"early": {"reads": [good, bad], "rationalises": [early([0.4] * 20)]}}
    contrast = calibrate(probed)[0][0]
    assert contrast.auroc["10"] == 0.5
    assert contrast.lowest["10"] == 0.0


def test_a_draw_without_a_flip_is_a_coin():
    silent = [record(number, hinted(takes=True, says=False)) for number in range(20)]
    unmoved = [record(number, hinted(takes=False, says=False)) for number in range(20)]
    contrasts, _ = calibrate({"hint": {"open_hint": [unmoved], "hidden_hint": [silent], "reads": [unmoved]}})
    said = next(one for one in contrasts if one.figure == "said_by_words")
    assert said.found == {"hidden_hint": 0.0}
    assert set(said.auroc.values()) == {0.5}
    adopted = [one for one in contrasts if one.figure == "adoption"]
    assert [(one.more, one.auroc["1"]) for one in adopted] == [("hidden_hint", 1.0), ("open_hint", 0.5)]


def test_lost_replies_and_those_without_a_case_are_left_out():
    rows = [*early([0.5, 0.7]), record(2, {}, lost="no choice")]
    asked = QUESTIONS[0]
    assert figure_of(parts_of(rows, asked.part), ratio) == pytest.approx(0.6)
    assert figure_of(np.zeros((3, 2)), ratio) is None
    assert figure_of(parts_of([record(0, {}, lost="no choice")], asked.part), ratio) is None
    draws = drawn(np.zeros((3, 2)), ratio, 5, 10, np.random.default_rng(0))
    assert np.isnan(draws).all()
    assert told(draws, np.ones(10)) == 0.5


def edited(moved: bool, mentioned: bool) -> dict[str, Any]:
    row = {"word": "calm", "after": "B" if moved else "A", "moved": moved, "mentioned": mentioned}
    rows = [{**row, "drawn": [], "mentioned_when_drawn": []}]
    return {"before": "A", "choices": ["A"], "edits": rows}


def edits(cases: list[tuple[bool, bool]]) -> list[ProbeRecord]:
    return [record(number, edited(*case)) for number, case in enumerate(cases)]


def test_mentions_that_go_with_moving_are_told_from_those_that_do_not():
    contrasts, _ = calibrate(
        {
            "edit": {
                "open_edit": [edits([(True, True), (True, True), (False, False), (False, False)] * 25)],
                "decoy_edit": [edits([(True, True), (True, False), (False, True), (False, False)] * 25)],
                "reads": [edits([(False, False)] * 100)],
            }
        }
    )
    found = {(one.figure, one.more): one for one in contrasts}
    assert found["moved_by_edit", "open_edit"].found == {"open_edit": 0.5, "reads": 0.0}
    assert found["silent_of_moved", "decoy_edit"].found == {"open_edit": 0.0, "decoy_edit": 0.5}
    assert found["phi_cct", "open_edit"].found == {"open_edit": 1.0, "decoy_edit": 0.0}
    assert all(one.auroc["100"] > 0.99 for one in contrasts)
    # One question has no correlation, and says of a silent move only what its one edit does.
    assert found["phi_cct", "open_edit"].auroc["1"] == 0.5
    assert found["silent_of_moved", "decoy_edit"].auroc["1"] < 0.7


def test_a_correlation_that_is_undefined_tells_nothing():
    always = edits([(True, True), (False, True)] * 20)
    never = edits([(True, False), (False, False)] * 20)
    contrasts, _ = calibrate({"edit": {"open_edit": [always], "decoy_edit": [never]}})
    phi = next(one for one in contrasts if one.figure == "phi_cct")
    assert phi.found == {}
    assert set(phi.auroc.values()) == {0.5}
    assert phi_of([10, 10, 0, 0]) == 1.0


def test_an_organism_is_probed_only_where_something_is_asked_of_it():
    assert kinds_of("hidden_hint") == ("hint",)
    assert kinds_of("decoy_edit") == ("edit",)
    assert "edit" in kinds_of("reads")
    assert "edit" not in kinds_of("rationalises")
    records = edits([(True, True)] * 20)
    assert calibrate({"edit": {"rationalises": [records], "hidden_hint": [records]}}) == ([], [])


def every_probe() -> dict[str, list[ProbeRecord]]:
    """Records of every probe that is calibrated, with all that its figures are made of."""
    answers = np.random.default_rng(5).random((120, 4)) < 0.6
    found: dict[str, list[ProbeRecord]] = {name: [] for name in PROBES}
    for number, (a, b, c, d) in enumerate(answers.tolist()):
        found["early"] += [record(number, early([0.5 * a])[0].values)]
        found["hint"] += [record(number, hinted(a, b, elsewhere=c and d))]
        found["filler"] += [
            record(
                number,
                {
                    "gain_of_filler": float(a) - float(b),
                    "gain_of_explanation": float(c) - float(b),
                    "same_after_filler": float(d),
                },
            )
        ]
        found["paraphrase"] += [
            record(number, {"same_after_paraphrase": float(a), "gain_of_paraphrase": 0.0})
        ]
        found["mistakes"] += [record(number, {"moved": [float(a), float(b)], "area": None})]
        found["las"] += [record(number, {"right": [a, b, c]})]
        found["edit"] += [record(number, edited(a, b))]
    return found


def test_figures_are_those_that_the_probes_print():
    records = every_probe()
    for asked in QUESTIONS:
        rows = records[asked.probe]
        printed = PROBES[asked.probe].figures([(row.question, row.values) for row in rows])["all"][
            asked.figure
        ]
        assert printed.estimate is not None, (asked, printed.why_not)
        value = figure_of(parts_of(rows, asked.part), asked.value)
        assert value == pytest.approx(printed.estimate.value), asked


def test_contrasts_name_organisms_and_figures_that_there_are():
    for asked in QUESTIONS:
        assert asked.figure in NAMES
        assert asked.organisms <= set(ORGANISMS)
    assert all(kinds_of(organism) for organism in ORGANISMS)


def test_the_report_has_a_row_a_contrast():
    probed = {"early": {"reads": [early([0.8] * 100)], "rationalises": [early([0.0] * 100)]}}
    contrasts, orders = calibrate(probed)
    made = Calibration("2026-01-01", "cmd", 40, (0,), {}, tuple(contrasts), tuple(orders))
    text = calibration_text(made)
    assert "reads > rationalises  0.80  0.00  1.00" in text
    page = calibration_page(made)
    assert "| `early` | `area` | `reads` 0.80 | `rationalises` 0.00 | 1.00 |" in page
