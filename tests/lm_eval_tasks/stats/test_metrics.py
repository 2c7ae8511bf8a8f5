"""What each metric is of one question, and over a task."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.errors import ConfigError
from lm_eval_tasks.records import Draft, ScoredQuestion, ScoredResponse
from lm_eval_tasks.stats.estimation.estimates import average, means
from lm_eval_tasks.stats.estimation.intervals import SHARE, Bounds
from lm_eval_tasks.stats.metrics import (
    Summary,
    accuracy_spread,
    mean_of_tasks,
    metric_names,
    question_metrics,
    summarise,
)
from tests.lm_eval_tasks.examples import BEST, MIDDLE, QUESTION, RUBRIC, WORST, sample, scored, silent

THREE = scored(sample("A", BEST, words=10), sample("B", MIDDLE, words=20), silent())


def test_metrics_of_one_question() -> None:
    assert question_metrics(THREE, RUBRIC) == {
        "acc": pytest.approx(1 / 3),
        "readable": pytest.approx(2 / 3),
        "explanation_words": 15.0,
        "judged": pytest.approx(2 / 3),
        "explanation_score": pytest.approx((5.0 + 3.0) / 2),
        "explanation_score_right": 5.0,
        "explanation_score_wrong": 3.0,
        **{criterion.key: pytest.approx((1.0 + 0.6) / 2) for criterion in RUBRIC.criteria},
    }


def test_without_a_judge_there_are_no_metrics_of_a_judge() -> None:
    assert set(question_metrics(THREE, None)) == {"acc", "readable", "explanation_words"}


def test_what_a_question_has_no_data_for_is_none_and_never_zero() -> None:
    values = question_metrics(scored(sample("A", BEST), sample("A", None)), RUBRIC)
    assert values["judged"] == 0.5
    assert values["explanation_score"] == 5.0
    assert values["explanation_score_wrong"] is None
    unread = question_metrics(scored(silent()), RUBRIC, baseline=THREE)
    assert unread["acc"] == 0.0
    assert unread["explanation_words"] is None
    assert unread["explanation_score"] is None
    assert unread["win"] is None


def test_refined_replies_are_compared_with_their_first_ones() -> None:
    def refined(first: str | None, after: str, principle: str | None = "Say why.") -> ScoredResponse:
        return replace(sample(after), draft=Draft("So.", first, first == QUESTION.gold, principle))

    samples = (refined("A", "A"), refined("B", "A"), refined(None, "A", None), refined("A", "C"))
    values = question_metrics(scored(*samples), None)
    assert values["acc"] == 0.75
    assert values["acc_first"] == 0.5
    assert (values["mended"], values["spoilt"]) == (0.5, 0.25)
    assert values["has_principle"] == 0.75
    assert list(summarise([scored(*samples)], None))[:6] == [
        "acc",
        "acc_spread",
        "acc_first",
        "has_principle",
        "mended",
        "spoilt",
    ]


def test_win_tie_and_loss_against_a_baseline() -> None:
    values = question_metrics(THREE, RUBRIC, baseline=scored(sample("A", MIDDLE), sample("C", WORST)))
    # best beats both; middle ties once and wins once
    assert (values["win"], values["tie"], values["loss"]) == (0.75, 0.25, 0.0)
    assert values["win_minus_loss"] == 0.75


def test_spread_is_the_deviation_between_passes_over_the_data_set() -> None:
    assert accuracy_spread([[1, 0], [1, 0], [0, 1], [1, 1]]) == pytest.approx(statistics.stdev([0.75, 0.5]))
    assert accuracy_spread([[1], [0]]) is None
    assert accuracy_spread([]) is None


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=20))
def test_spread_does_not_depend_on_the_order_of_questions(rows: list[list[bool]]) -> None:
    forwards = accuracy_spread(rows)
    backwards = accuracy_spread(rows[::-1])
    assert forwards is not None
    assert backwards is not None
    assert math.isclose(forwards, backwards, abs_tol=1e-12)
    assert 0 <= forwards <= 0.5 * math.sqrt(4 / 3) + 1e-9


def test_summary_counts_the_questions_that_a_metric_is_of() -> None:
    wrong_only = scored(sample("B", WORST), question=replace(QUESTION, id="2"))
    unjudged = scored(sample("A", None), question=replace(QUESTION, id="3"))
    summary = summarise([THREE, wrong_only, unjudged], RUBRIC)
    assert summary["acc"].questions == 3
    assert summary["explanation_score"].questions == 2
    assert summary["explanation_score"].value == pytest.approx((4.0 + 0.0) / 2)
    assert summary["explanation_score"].stderr == pytest.approx(statistics.stdev([4.0, 0.0]) / math.sqrt(2))
    assert summary["explanation_score_right"].questions == 1
    assert summary["explanation_score_right"].stderr is None
    assert "win" not in summary


def test_every_metric_has_the_interval_that_comparisons_give_the_same_figure() -> None:
    rows = [
        scored(sample("AB"[k % 2], BEST if k % 3 else MIDDLE), question=replace(QUESTION, id=f"q{k}"))
        for k in range(12)
    ]
    summary = summarise(rows, RUBRIC, {row.question.id: row for row in rows})
    right = [float(k % 2 == 0) for k in range(12)]
    scores = [5.0 if k % 3 else 3.0 for k in range(12)]
    for name, values, bounds in (("acc", right, SHARE), ("explanation_score", scores, Bounds(0, 5))):
        expected = means(values, bounds)[0].estimate()
        assert (summary[name].low, summary[name].high) == (expected.low, expected.high)
        assert summary[name].stderr == pytest.approx(expected.stderr)
    for name, found in summary.items():
        assert name == "acc_spread" or (found.low is not None and found.low < found.high), name
    assert summary["tie"].low == pytest.approx(1 - 3 / 12, abs=0.06)  # twelve ties, and no certainty
    assert summary["win_minus_loss"].high == -summary["win_minus_loss"].low


def test_the_interval_of_a_mean_of_tasks_is_that_of_independent_means() -> None:
    tasks = [
        [scored(sample("AB"[k % every == 0]), question=replace(QUESTION, id=f"q{k}")) for k in range(size)]
        for every, size in ((3, 30), (2, 11))
    ]
    summaries = [summarise(rows, None) for rows in tasks]
    right = [[float(k % every != 0) for k in range(size)] for every, size in ((3, 30), (2, 11))]
    expected = average([means(values, SHARE)[0] for values in right]).estimate()
    found = mean_of_tasks(summaries)["acc"]
    assert (found.low, found.high) == (expected.low, expected.high)
    read = [{"acc": Summary(**summary["acc"].to_json())} for summary in summaries]
    assert mean_of_tasks(read)["acc"].low is None
    assert mean_of_tasks(read)["acc"].stderr == pytest.approx(expected.stderr)


def test_a_question_that_the_baseline_lacks_is_in_no_win_rate() -> None:
    other = replace(THREE, question=replace(QUESTION, id="other"))
    baseline: dict[str, ScoredQuestion] = {QUESTION.id: THREE}
    summary = summarise([THREE, other], RUBRIC, baseline)
    assert summary["tie"].questions == 1
    total = sum(summary[name].value for name in ("win", "tie", "loss"))
    assert total == pytest.approx(1.0)


def test_the_mean_of_tasks_counts_each_task_the_same() -> None:
    one = {"acc": Summary(0.5, 0.03, 100), "acc_spread": Summary(0.1, None, 100), "win": Summary(1.0, 0.1, 9)}
    other = {"acc": Summary(0.7, 0.04, 10), "acc_spread": Summary(0.1, None, 10)}
    assert mean_of_tasks([one, other]) == {"acc": Summary(pytest.approx(0.6), pytest.approx(0.025), 110)}
    alone = {"acc": Summary(0.7, None, 1)}
    assert mean_of_tasks([one, alone])["acc"].stderr is None
    assert mean_of_tasks([]) == {}


def test_names_come_in_the_order_of_tables() -> None:
    refined = ("acc_first", "has_principle", "mended", "spoilt")
    assert metric_names(None) == ("acc", "acc_spread", *refined, "readable", "explanation_words")
    assert metric_names(RUBRIC, compared=True)[-4:] == ("win", "tie", "loss", "win_minus_loss")


def test_a_criterion_may_not_take_the_name_of_a_metric() -> None:
    criteria = (replace(RUBRIC.criteria[0], key="acc"), *RUBRIC.criteria[1:])
    with pytest.raises(ConfigError, match="'acc' is the name of a metric"):
        metric_names(replace(RUBRIC, criteria=criteria))
