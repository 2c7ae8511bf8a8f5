"""Algorithm 1 and the rank baseline against a second, table-driven reading of the method."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchor_train.preferences.behaviour import behaviour_of, candidates
from anchor_train.preferences.pair_report import PairLength, PairReport, pair_report, thoughts_left_out
from anchor_train.preferences.pairs import anchor_sets, build_pairs, choose_pair, rank_sets, wants_consultant
from anchor_train.recipes.section_settings import PairSettings
from anchor_train.records import Argument, Candidate, NoPair, PreferencePair
from judges.records import Assessment, Judgement, Unjudged
from lm_eval_tasks.records import Choice, Question, Response, ScoredQuestion, ScoredResponse
from tests.docs.blocks import block_with

QUESTION = Question("q1", "Which?", (Choice("A", "one"), Choice("B", "two"), Choice("C", "three")), gold="B")
DEFAULT = PairSettings()
ARGUMENT = Argument("q1", "Because two is right.")


def in_form(question: Question, argument: str) -> str | None:
    return f"<explanation>{argument}</explanation><choice>{question.gold}</choice>"


def sample(
    choice: str | None, score: int | None, *, readable: bool = True, text: str | None = None
) -> ScoredResponse:
    """A reply; ``score=None`` with ``readable`` is one whose judgement failed."""
    explanation = "because" if readable else None
    response = Response(
        text=text or f"{choice}/{score}/{readable}",
        explanation=explanation,
        choice=choice,
        explanation_problem=None if readable else "no_tag",
        choice_problem=None if choice else "no_tag",
    )
    assessment = None
    if readable:
        assessment = Assessment(Unjudged("unparsable") if score is None else Judgement({"factual": "GOOD"}))
    return ScoredResponse(response, choice == "B", assessment, score if readable else None)


def question_of(*samples: ScoredResponse) -> ScoredQuestion:
    return ScoredQuestion(QUESTION, samples)


def indices(samples: tuple[Candidate, ...]) -> list[int]:
    return [sample.index for sample in samples]


# --- the cases of the method's table, one at a time


def test_consistently_correct_losers_score_below_the_top():
    scored = question_of(sample("B", 20), sample("B", 25), sample("B", 12), sample("B", 25))
    sets = anchor_sets(candidates(scored), DEFAULT)
    assert (indices(sets.winners), indices(sets.losers)) == ([1, 3], [0, 2])


def test_consistently_correct_losers_stand_at_the_minimum_if_asked():
    scored = question_of(sample("B", 20), sample("B", 25), sample("B", 12), sample("B", 25))
    assert indices(anchor_sets(candidates(scored), PairSettings(loser="minimum")).losers) == [2]


def test_variable_losers_are_wrong_and_below_the_best_right_one():
    scored = question_of(sample("B", 18), sample("A", 20), sample("B", 10), sample("C", 17), sample(None, 3))
    sets = anchor_sets(candidates(scored), DEFAULT)
    assert (indices(sets.winners), indices(sets.losers)) == ([0], [3, 4])


def test_variable_without_a_wrong_sample_below_gives_no_pair():
    result = choose_pair(question_of(sample("B", 5), sample("A", 5)), None, in_form, "anchor", DEFAULT, 0)
    assert isinstance(result, NoPair)
    assert (result.behaviour, result.reason) == ("variable", "no_wrong_one_scored_lower")


def test_consistently_incorrect_is_won_by_the_consultant():
    scored = question_of(sample("A", 25), sample(None, 4), sample("C", None))
    assert wants_consultant(scored, DEFAULT)
    pair = choose_pair(scored, ARGUMENT, in_form, "anchor", DEFAULT, 0)
    assert isinstance(pair, PreferencePair)
    assert pair.chosen.source == "consultant"
    assert pair.chosen.text == in_form(QUESTION, "Because two is right.")
    assert pair.chosen.correct
    assert pair.losers == (0, 1), "the sample whose judgement failed is in no pair"


@pytest.mark.parametrize("argument", [None, Argument("q1", None, "the backend gave no answer")])
def test_without_the_consultants_argument_there_is_no_pair(argument):
    result = choose_pair(question_of(sample("A", 3)), argument, in_form, "anchor", DEFAULT, 0)
    assert isinstance(result, NoPair)
    assert result.reason == "no_argument"


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([sample("A", None, readable=False), sample(None, None, readable=False)], "no_readable_explanation"),
        ([sample("B", None, readable=False), sample("A", None, readable=False)], "no_readable_explanation"),
        ([sample("A", None), sample("C", None)], "none_judged"),
        ([sample("B", None, readable=False), sample("A", 9)], "right_ones_unreadable"),
        ([sample("B", None), sample("A", 9)], "right_ones_not_judged"),
        ([sample("B", 9), sample("A", None, readable=False)], "wrong_ones_unreadable"),
        ([sample("B", 9), sample("A", None)], "wrong_ones_not_judged"),
        ([sample("B", 9), sample("A", 12), sample("C", None)], "no_wrong_one_scored_lower"),
        ([sample("B", 9), sample("B", 9)], "all_scores_equal"),
        ([sample("B", 9), sample("B", None)], "one_scored_only"),
        ([], "no_samples"),
    ],
)
def test_the_reason_names_the_cause(samples, reason):
    result = choose_pair(question_of(*samples), None, in_form, "anchor", DEFAULT, 0)
    assert isinstance(result, NoPair)
    assert result.reason == reason


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        (Argument("q1", "It is B", "cut at max_tokens"), "argument_not_usable"),
        (Argument("q1", "It is B", None, "it only announces the choice"), "argument_says_too_little"),
        (Argument("q1", "Two is right.", judged=True), "argument_not_judged"),
        (Argument("q1", "Two is right.", judged=True, score=5), "argument_scored_below_all"),
    ],
)
def test_a_checked_argument_may_fail_to_win(argument, reason):
    assert Argument.from_json(argument.to_json()) == argument
    scored = question_of(sample("A", 12), sample("C", 6))
    result = choose_pair(scored, argument, in_form, "anchor", DEFAULT, 0)
    assert isinstance(result, NoPair)
    assert result.reason == reason


def test_a_judged_argument_wins_only_against_what_scored_no_higher():
    scored = question_of(sample("A", 12), sample("C", 6), sample("A", 3))
    argument = Argument("q1", "Two is right.", judged=True, score=6)
    pair = choose_pair(scored, argument, in_form, "anchor", DEFAULT, 0)
    assert isinstance(pair, PreferencePair)
    assert (pair.losers, pair.chosen.score) == ((1, 2), 6)


def test_equal_scores_give_no_pair():
    scored = question_of(sample("B", 20, text="x"), sample("B", 20, text="y"))
    for strategy in ("anchor", "rank"):
        result = choose_pair(scored, None, in_form, strategy, DEFAULT, 0)
        assert isinstance(result, NoPair)
        assert result.reason == "all_scores_equal"


def test_a_reply_without_a_readable_explanation_loses_only_if_asked():
    scored = question_of(sample("B", 20), sample("B", None, readable=False), sample("B", 20))
    assert anchor_sets(candidates(scored), DEFAULT).empty == "all_scores_equal"
    asked = anchor_sets(candidates(scored), PairSettings(unreadable_losers=True))
    assert (indices(asked.winners), indices(asked.losers)) == ([0, 2], [1])


def test_rank_looks_at_scores_alone():
    scored = question_of(sample("A", 25), sample("B", 20), sample("B", 20))
    pair = choose_pair(scored, None, in_form, "rank", DEFAULT, 0)
    assert isinstance(pair, PreferencePair)
    assert (pair.winners, pair.losers, pair.chosen.correct) == ((0,), (1, 2), False)


def test_a_text_is_never_set_against_itself():
    same = question_of(sample("A", 25, text="x"), sample("A", 25, text="x"), sample("B", 20, text="x"))
    result = choose_pair(same, None, in_form, "rank", DEFAULT, 0)
    assert isinstance(result, NoPair)
    assert result.reason == "same_text"


def test_the_draw_depends_on_seed_and_question_alone():
    scored = question_of(*[sample("B", score, text=str(n)) for n, score in enumerate([25, 25, 3, 4, 5, 6])])
    draws = [choose_pair(scored, None, in_form, "anchor", DEFAULT, seed) for seed in range(40)]
    assert draws == [choose_pair(scored, None, in_form, "anchor", DEFAULT, seed) for seed in range(40)]
    drawn = [draw for draw in draws if isinstance(draw, PreferencePair)]
    assert {draw.chosen.sample for draw in drawn} == {0, 1}
    assert {draw.rejected.sample for draw in drawn} == {2, 3, 4, 5}


# --- thousands of random cases against a brute-force reading of the table

samples = st.builds(
    lambda choice, score, readable, text: sample(choice, score, readable=readable, text=text),
    choice=st.sampled_from(["A", "B", "B", "C", None]),
    score=st.sampled_from([None, 0, 1, 2, 24, 25]),
    readable=st.sampled_from([True, True, True, False]),
    text=st.sampled_from(list("abcdefgh")),
)
one_sided = st.builds(
    lambda score, readable: (score, readable), st.sampled_from([None, 0, 7, 25]), st.booleans()
)
questions = st.one_of(
    st.lists(samples, min_size=0, max_size=6),
    st.lists(one_sided, min_size=1, max_size=6).map(
        lambda rows: [sample("B", score, readable=ok, text=f"r{n}") for n, (score, ok) in enumerate(rows)]
    ),
    st.lists(one_sided, min_size=1, max_size=6).map(
        lambda rows: [sample("A", score, readable=ok, text=f"w{n}") for n, (score, ok) in enumerate(rows)]
    ),
).map(lambda rows: question_of(*rows))
pair_settings = st.builds(
    PairSettings, loser=st.sampled_from(["below_top", "minimum"]), unreadable_losers=st.booleans()
)


def table_pairs(scored: ScoredQuestion, strategy: str, rule: PairSettings) -> set[tuple[str | int, int]]:
    """Every (winner, loser) the method allows, by testing each candidate pair against the table's words."""
    replies = scored.responses
    right = [reply.response.choice == QUESTION.gold for reply in replies]
    judged = [reply.response.explanation is not None and reply.score is not None for reply in replies]
    unreadable = [reply.response.explanation is None for reply in replies]
    # An unreadable reply that may lose stands below every score.
    value = [
        Fraction(-1) if bad else Fraction(reply.score or 0)
        for reply, bad in zip(replies, unreadable, strict=True)
    ]
    everyone = range(len(replies))
    may_lose = [j for j in everyone if judged[j] or (unreadable[j] and rule.unreadable_losers)]

    if strategy == "anchor" and replies and not any(right):
        return {("consultant", j) for j in may_lose}
    allowed = set()
    for i in everyone:
        for j in may_lose:
            if i == j or not judged[i] or replies[i].response.text == replies[j].response.text:
                continue
            if strategy == "rank":
                best = all(value[i] >= value[k] for k in everyone if judged[k])
                all_equal = len({value[k] for k in may_lose}) == 1
                fine = best and not all_equal
                if all(value[k] == value[i] for k in everyone if judged[k]):
                    fine = fine and unreadable[j]  # nothing to prefer among the judged ones
            elif all(right):
                best = all(value[i] >= value[k] for k in everyone if judged[k])
                lowest = all(value[j] <= value[k] for k in everyone if judged[k])
                fine = best and value[j] < value[i] and (rule.loser == "below_top" or lowest)
            else:
                best = right[i] and all(value[i] >= value[k] for k in everyone if judged[k] and right[k])
                fine = best and not right[j] and value[j] < value[i]
            if fine:
                allowed.add((i, j))
    return allowed


@settings(max_examples=1500, deadline=None)
@given(questions, pair_settings, st.sampled_from(["anchor", "rank"]), st.integers(0, 3))
def test_every_pair_is_one_that_the_table_allows_and_is_found_if_there_is_one(scored, rule, strategy, seed):
    allowed = table_pairs(scored, strategy, rule)
    result = choose_pair(scored, ARGUMENT, in_form, strategy, rule, seed)
    if isinstance(result, NoPair):
        # A winner drawn among equals may have its own text as only rival; otherwise nothing was allowed.
        assert not allowed or result.reason == "same_text"
        return
    winner = "consultant" if result.chosen.sample is None else result.chosen.sample
    assert (winner, result.rejected.sample) in allowed
    assert result.chosen.text != result.rejected.text
    assert PreferencePair.from_json(result.to_json()) == result


@settings(max_examples=1000, deadline=None)
@given(questions, pair_settings, st.sampled_from(["anchor", "rank"]))
def test_the_sets_are_exactly_those_of_the_table(scored, rule, strategy):
    sets = (anchor_sets if strategy == "anchor" else rank_sets)(candidates(scored), rule)
    drawable = {
        ("consultant" if w is None else w.index, loser.index)
        for w in (sets.winners or ([None] if sets.consultant else []))
        for loser in sets.losers
        if w is None or (w.index != loser.index and w.text != loser.text)
    }
    assert drawable == table_pairs(scored, strategy, rule)


@settings(max_examples=300, deadline=None)
@given(st.lists(questions, max_size=8), pair_settings, st.sampled_from(["anchor", "rank"]))
def test_every_question_is_a_pair_or_counted_with_a_reason(many, rule, strategy):
    result = build_pairs(many, {"q1": ARGUMENT}, in_form, strategy, rule, seed=1)
    report = pair_report(strategy, result, [PairLength(10, 5, 7)] * len(result.pairs), max_length=16)
    assert report.questions == len(many) == report.total + sum(report.without.values())
    assert report.cut == report.total, "10 + 7 tokens are more than 16"
    assert report.consultant_winners == (
        report.pairs["consistently_incorrect"] if strategy == "anchor" else 0
    )
    assert str(report.total) in report.to_text()


# --- behaviour and report


def test_an_unreadable_choice_counts_as_wrong():
    assert behaviour_of(candidates(question_of(sample("B", 1), sample(None, 2)))) == "variable"
    assert behaviour_of(candidates(question_of(sample(None, 2)))) == "consistently_incorrect"
    assert behaviour_of(()) is None


def test_report_in_the_papers_form():
    correct = question_of(sample("B", 25), sample("B", 20))
    variable = question_of(sample("B", 25), sample("A", 20))
    incorrect = question_of(sample("A", 25))
    equal = question_of(sample("B", 25, text="x"), sample("B", 25, text="y"))
    result = build_pairs(
        [correct, variable, incorrect, equal], {"q1": ARGUMENT}, in_form, "anchor", DEFAULT, 0
    )
    report = pair_report("anchor", result, [PairLength(10, 8, 4)] * 3, max_length=100)
    assert report.pairs == {"consistently_correct": 1, "variable": 1, "consistently_incorrect": 1}
    assert report.lopsided_share == pytest.approx(2 / 3)
    assert report.consultant_share == pytest.approx(1 / 3)
    assert report.length_gap == 4
    assert report.without == {"all_scores_equal": 1}
    assert report.to_json()["lambda"] == report.lopsided_share
    assert "(33.33%)" in report.to_text()


def test_an_empty_report_says_why():
    result = build_pairs([question_of(), question_of(sample("B", None))], {}, in_form, "anchor", DEFAULT, 0)
    report = pair_report("anchor", result, [], max_length=100)
    assert report.why_empty() == "no pair could be built: 2 questions (no samples 1, none judged 1)"
    assert report.lopsided_share is None
    assert "without a pair 2" in report.to_text()


def test_thoughts_are_left_out_of_pairs() -> None:
    """What is learnt is the reply behind them; two replies that differ in thoughts alone are one text."""
    scored = ScoredQuestion(
        QUESTION,
        (
            sample("B", 20, text="<think>\nTwo it is.\n</think>\n\nbest"),
            sample("B", 20, text="And so on.\n</think>\n\nbest"),  # the template opened the block
            sample("A", 10, text="<think>Hm.</think>worse"),
            sample(None, None, readable=False, text="<think>\nNever ends"),
        ),
    )
    assert [found.text for found in candidates(scored)] == ["best", "best", "worse", ""]
    for strategy in ("anchor", "rank"):
        (pair,) = build_pairs([scored], {}, in_form, strategy, PairSettings(unreadable_losers=True), 1).pairs
        assert (pair.chosen.text, pair.rejected.text) == ("best", "worse")


def test_the_report_says_how_many_thoughts_are_left_out() -> None:
    scored = ScoredQuestion(QUESTION, (sample("B", 20, text="<think>x</think>best"), sample("A", 10)))
    result = build_pairs([scored], {}, in_form, "anchor", DEFAULT, 1)
    report = pair_report("anchor", result, [PairLength(1, 1, 1)], 10, thoughts_left_out([scored], result))
    assert "thoughts of 1 of 2 replies are left out" in report.to_text()
    older = {key: value for key, value in report.to_json().items() if key != "thoughts_left_out"}
    assert PairReport.from_json(older).thoughts_left_out == 0


# --- docs/training.md


def test_the_lines_of_the_docs_build_pairs():
    scored = [question_of(sample("B", 20), sample("A", 12)), question_of(sample(None, None, readable=False))]
    names = {"scored_questions": scored, "arguments": {"q1": ARGUMENT}, "in_reply_form": in_form}
    exec(block_with("docs/training.md", "build_pairs(").text, names)
    pair, *_ = names["result"].pairs
    assert (pair.chosen.text, pair.rejected.text) == ("B/20/True", "A/12/True")
