"""What the demo and the experiment print, from runs that were made up for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from anchor_train.pocket.agreement import agreement, weighted_kappa
from anchor_train.pocket.experiment import RESULTS, Across, Trial, every_strategy, read_trials
from anchor_train.pocket.experiment_report import experiment_report
from anchor_train.pocket.figures import draw_figures
from anchor_train.pocket.making.writing import Writing, writing_of
from anchor_train.pocket.outcome import Exhibit, Outcome
from anchor_train.pocket.report import demo_report, gains
from anchor_train.preferences.pair_report import PairReport
from anchor_train.recipes.files import load_recipe
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.records import Assessment as GroupAssessment
from anchor_train.stages.parts.paper_table import Table, TableRow
from judges.errors import DataError
from judges.records import Assessment, Judgement
from judges.rubrics.load import load_rubric
from judges.storage.files import write_json
from lm_eval_tasks.pocket.questions import questions
from lm_eval_tasks.records import Response, ScoredQuestion, ScoredResponse

RUBRIC = load_rubric()
KEYS = [criterion.key for criterion in RUBRIC.criteria]
USUAL = ("base", "sft", "rank", "anchor")


def row(model: str, accuracy: float, margin: float) -> TableRow:
    base = TableRow(model, 200, accuracy, 0.02, 0.03, 4.2, 800, 800)
    if model == "base":
        return base
    win, low, high = (0.5 + margin) / 2, margin - 0.05, margin + 0.05
    return replace(base, win=win, tie=0.5, loss=win - margin, margin=margin, margin_low=low, margin_high=high)


def outcome(gain: float, share: int, models: Sequence[str] = USUAL) -> Outcome:
    accuracies = {"base": 0.5, "sft": 0.5, "rank": 0.6, "anchor": 0.6 + gain, "aft-none": 0.4}
    table = Table(
        "pocket_explain", "truth", 4, tuple(row(m, accuracies[m], accuracies[m] - 0.5) for m in models)
    )
    pairs = {"variable": share, "consistently_correct": 100 - share, "consistently_incorrect": 0}
    report = PairReport("anchor", 150, pairs, {"all_scores_equal": 50}, 10, 40.0, 38.0, 512, 0)
    behaviours = {"consistently_correct": 100, "variable": 60, "consistently_incorrect": 40}
    answer = ScoredResponse(Response("text", "A | B", "A"), correct=True, score=20)
    (question,) = questions("test", 1)
    return Outcome(
        truth=table,
        own=table,
        criteria={model: dict.fromkeys(KEYS, 0.8) for model in models},
        behaviours=dict.fromkeys(models, behaviours),
        writing=dict.fromkeys(models, Writing(0.01, 0.02, 40.5)),
        held_out=dict.fromkeys(models, GroupAssessment(0, 90, 0.61, -0.2, -0.3)),
        trained_on={model: (0.6, 0.7) for model in models if model == "aft-none"},
        warnings={
            model: ("step 50: bad replies fell",) if model == "aft-none" else () for model in models[2:]
        },
        pairs={model: replace(report, strategy=model) for model in models if model in ("rank", "anchor")},
        kappa={**dict.fromkeys(KEYS, 0.5), "clarity": None},
        exhibits=(Exhibit(question, dict.fromkeys(models, answer)),),
    )


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40))
def test_weighted_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    kappa = weighted_kappa(pairs, 5)
    if kappa is None:
        assert len({level for pair in pairs for level in pair}) == 1
        return
    one, other = zip(*pairs, strict=True)
    assert kappa == pytest.approx(cohen_kappa_score(one, other, labels=range(5), weights="quadratic"))


def test_agreement_is_told_by_criterion_and_leaves_out_what_is_unjudged() -> None:
    def judged(*levels: int | None) -> ScoredQuestion:
        scale = list(RUBRIC.scale)
        outcomes = [
            None if n is None else Assessment(Judgement(dict.fromkeys(KEYS, scale[n]))) for n in levels
        ]
        (question,) = questions("test", 1)
        response = Response("text", "because", "A")
        return ScoredQuestion(question, tuple(ScoredResponse(response, True, found) for found in outcomes))

    same = agreement(RUBRIC, [judged(0, 2, 4, 1)], [judged(0, 2, 4, None)])
    assert same == dict.fromkeys(KEYS, 1.0)
    opposite = agreement(RUBRIC, [judged(0, 4)], [judged(4, 0)])
    assert opposite == dict.fromkeys(KEYS, -1.0)


def test_a_figure_over_seeds_has_students_interval() -> None:
    across = Across.of([1.0, 2.0, 3.0, 4.0, 5.0])
    # 2.776 is Student's t for 97.5% and 4 degrees of freedom.
    assert (across.mean, across.half) == (3.0, pytest.approx(2.776 * 1.5811 / 5**0.5, abs=1e-3))
    assert Across.of([1.5]) == Across(1.5, None, 1)


def test_the_demo_shows_both_tables_behaviours_and_replies_side_by_side() -> None:
    text = demo_report(outcome(0.05, 60))
    assert text.count("win-loss") == 2
    places = [text.index(f"\n{model} ") for model in USUAL]
    assert places == sorted(places)
    assert "consistently incorrect" in text
    assert "clarity -" in text
    assert "| anchor | A (right) | 20 of 25 | A \\| B |" in text


def test_the_experiment_is_read_back_told_and_drawn(tmp_path: Path) -> None:
    for mix, share in (("easy", 20), ("even", 60)):
        for seed in (1, 2):
            folder = tmp_path / mix / f"seed-{seed}"
            folder.mkdir(parents=True)
            write_json(folder / RESULTS, outcome(0.01 * seed, share).to_json())
    trials = read_trials(tmp_path)
    assert [(trial.mix, trial.seed) for trial in trials] == [
        ("easy", 1),
        ("easy", 2),
        ("even", 1),
        ("even", 2),
    ]
    assert json.dumps(trials[0].outcome.to_json()) == json.dumps(outcome(0.01, 20).to_json())
    found = gains(trials[3].outcome)
    assert (found.share, found.accuracy) == (0.6, pytest.approx(0.02))
    text = experiment_report(trials)
    assert "| anchor | 61.5 ± 6.4 |" in text
    assert "## Questions: easy, 2 seeds" in text
    for figure in draw_figures(trials, tmp_path):
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_one_trial_is_enough_for_a_report() -> None:
    assert "| anchor | 61.0 |" in experiment_report([Trial("even", 1, outcome(0.01, 50))])


def test_any_strategies_are_reported_with_what_they_did_to_the_model(tmp_path: Path) -> None:
    models = ("base", "sft", "aft-none")
    trials = [Trial("even", seed, outcome(0.01, 50, models)) for seed in (1, 2)]
    text = experiment_report(trials)
    assert "| aft-none | 40.0 ± 0.0 |" in text
    assert "| aft-none | 61.0 ± 0.0 | -0.20 ± 0.00 | -0.30 ± 0.00 | 60.0 ± 0.0 → 70.0 ± 0.0 |" in text
    assert "| aft-none | 1.0 ± 0.0 | 2.0 ± 0.0 | 40.5 ± 0.0 | 2 of 2 |" in text
    assert "- aft-none: step 50: bad replies fell (and 1 more)" in text
    assert "lambda" not in text
    assert [path.name for path in draw_figures(trials, tmp_path)] == ["figure1.png", "figure3.png"]
    assert demo_report(trials[0].outcome).startswith("# base, sft, aft-none on the pocket task")


def test_a_model_that_some_seeds_lack_is_told_of(tmp_path: Path) -> None:
    trials = [Trial("even", 1, outcome(0.01, 50)), Trial("even", 2, outcome(0.03, 50, (*USUAL, "aft-none")))]
    text = experiment_report(trials)
    assert "Not in all of them: aft-none: 1 seed." in text
    assert "| anchor | 62.0 ± 12.7 |" in text
    assert "| aft-none | 40.0 |" in text


def test_results_of_another_version_are_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "even" / "seed-1"
    folder.mkdir(parents=True)
    row = outcome(0.01, 20).to_json()
    del row["writing"]
    write_json(folder / RESULTS, row)
    with pytest.raises(DataError, match="remove it, and run its seed again"):
        read_trials(tmp_path)


def test_all_methods_are_the_strategies_each_with_its_variants_behind_it(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: some/model\ntask: pocket_explain\nextends: pocket\n", encoding="utf-8")
    names = every_strategy(load_recipe(recipe))
    assert names[:7] == ["rank", "anchor", "anchor-faithful", "aft", "aft-detached", "aft-none", "rrhf"]
    assert {*STRATEGIES} <= set(names)


def test_replies_show_signs_of_a_collapse() -> None:
    (question,) = questions("test", 1)
    texts = {"one two three four five six": "A", "so it is so it is so it is so it is so": "A", "oh": None}
    responses = tuple(
        ScoredResponse(
            Response(text, text, choice, choice_problem=None if choice else "no_tag"),
            correct=choice is not None,
        )
        for text, choice in texts.items()
    )
    found = writing_of([ScoredQuestion(question, responses)])
    assert found == Writing(unreadable=1 / 3, repetitive=1 / 3, words=pytest.approx(20 / 3))
    assert Writing.from_json(found.to_json()) == found
