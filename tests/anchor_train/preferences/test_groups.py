"""Groups of replies: levels, duplicates, reasons, provenance."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchor_train.preferences.groups import Group, GroupExample, NoGroup, build_groups, group_of
from anchor_train.records import SftExample
from anchor_train.stages.parts.group_report import GroupReport, group_report
from anchor_train.training.rendering import TokenisedGroup
from judges.records import Message
from lm_eval_tasks.records import ScoredQuestion
from tests.anchor_train.preferences.test_pairs import QUESTION, question_of, sample

PROMPT = (Message("user", "Which?"),)


def levels_of(found: Group | NoGroup) -> dict[int, int]:
    """Sample -> level."""
    assert isinstance(found, Group)
    return {member.sample: member.level for member in found.members}


def reason_of(found: Group | NoGroup) -> str:
    assert isinstance(found, NoGroup)
    return found.reason


def test_by_correctness_right_replies_are_good_whatever_their_score():
    scored = question_of(sample("B", 3), sample("A", 25), sample(None, 20), sample("B", None))
    found = group_of(scored, "correctness")
    assert levels_of(found) == {0: 1, 1: 0, 2: 0, 3: 1}
    assert isinstance(found, Group)
    assert (found.behaviour, found.contrasted) == ("variable", True)
    assert [(member.score, member.correct) for member in found.members] == [
        (3, True),
        (25, False),
        (20, False),
        (None, True),
    ]


def test_by_score_the_judge_ranks_whatever_was_chosen():
    scored = question_of(sample("B", 3), sample("A", 25), sample("C", 3), sample("B", None))
    found = group_of(scored, "score")
    assert levels_of(found) == {0: 3, 1: 25, 2: 3}
    assert isinstance(found, Group)
    assert found.left_out == 1


def test_an_unreadable_reply_is_never_good_and_bad_only_if_asked_for():
    right, wrong = sample("B", None, readable=False), sample(None, None, readable=False)
    scored = question_of(sample("B", 10), right, wrong, sample("A", 5))
    assert levels_of(group_of(scored, "correctness")) == {0: 1, 3: 0}
    assert levels_of(group_of(scored, "correctness", unreadable_losers=True)) == {0: 1, 2: 0, 3: 0}
    assert levels_of(group_of(scored, "score", unreadable_losers=True)) == {0: 10, 1: -1, 2: -1, 3: 5}


def test_a_text_counts_once_and_its_copies_are_counted():
    copies = [sample("B", 9, text="same"), sample("B", 9, text="same\n"), sample("A", 1, text="other")]
    found = group_of(question_of(*copies), "correctness")
    assert isinstance(found, Group)
    assert ([member.text for member in found.members], found.duplicates) == (["same", "other"], 1)


@pytest.mark.parametrize(
    ("samples", "feedback", "reason"),
    [
        ([], "correctness", "no_samples"),
        ([sample("A", 9), sample("C", 3)], "correctness", "no_right_reply"),
        ([sample("B", None, readable=False)], "correctness", "no_readable_explanation"),
        ([sample("B", None, readable=False), sample("A", 3)], "correctness", "right_ones_unreadable"),
        ([sample("B", None)], "score", "none_judged"),
        ([sample("B", 4, text="x"), sample("B", 4, text="x")], "score", "one_reply"),
        ([sample("B", 4), sample("A", 4)], "score", "all_scores_equal"),
    ],
)
def test_a_question_without_a_group_says_why(samples, feedback, reason):
    assert reason_of(group_of(question_of(*samples), feedback)) == reason


def test_right_replies_alone_are_a_group_to_fine_tune_on():
    found = group_of(question_of(sample("B", 9), sample("B", 3)), "correctness")
    assert isinstance(found, Group)
    assert not found.contrasted
    example = found.example(PROMPT)
    assert example.best == tuple(SftExample("q1", PROMPT, member.text) for member in found.members)


def test_the_best_of_a_ranking_are_those_of_its_highest_score():
    example = GroupExample("q1", PROMPT, ("poor", "fine", "fine too"), (2, 7, 7))
    assert [best.target for best in example.best] == ["fine", "fine too"]


def test_groups_and_examples_survive_their_json():
    found = group_of(question_of(sample("B", 9), sample("A", None)), "correctness")
    assert isinstance(found, Group)
    assert Group.from_json(found.to_json()) == found
    assert GroupExample.from_json(found.example(PROMPT).to_json()) == found.example(PROMPT)


def test_the_report_counts_every_question_and_every_sample():
    rows = [
        question_of(sample("B", 9, text="a"), sample("A", 3), sample("B", 9, text="a")),
        question_of(sample("B", 9), sample("B", None, readable=False)),
        question_of(sample("A", 9)),
    ]
    result = build_groups(rows, "correctness")
    tokenised = [
        TokenisedGroup("q1", (1, 2), ((3,) * 4, (3,) * 8), (1, 0)),
        TokenisedGroup("q1", (1, 2), ((3,) * 6,), (1,)),
    ]
    report = group_report("aft", "correctness", result, tokenised, max_length=9)
    assert (report.questions, report.total, report.contrasted, report.without) == (
        3,
        2,
        1,
        {"no_right_reply": 1},
    )
    assert (report.good, report.bad, report.duplicates, report.left_out) == (2, 1, 1, 1)
    assert (report.mean_good_tokens, report.mean_bad_tokens, report.cut) == (5, 8, 1)
    assert GroupReport.from_json(report.to_json()) == report
    assert "without a group 1 (no right reply 1)" in report.to_text()
    empty = group_report("aft", "correctness", build_groups(rows[2:], "correctness"), [], 9)
    told = "no group could be built: 1 questions, 0 groups (no right reply 1); easier questions"
    assert empty.why_empty().startswith(told)
    alike = group_report("aft", "correctness", build_groups(rows[1:2], "correctness"), tokenised[1:], 9)
    assert "no group has better and worse replies, so aft has nothing to compare" in alike.why_empty()


samples = st.builds(
    sample,
    st.sampled_from(["A", "B", None]),
    st.one_of(st.none(), st.integers(0, 25)),
    readable=st.booleans(),
    text=st.sampled_from(["x", "y", "z", None]),
)
questions = st.builds(
    lambda id, found: ScoredQuestion(replace(QUESTION, id=id), tuple(found)),
    st.text("pq", min_size=1, max_size=3),
    st.lists(samples, max_size=6),
)


@given(st.lists(questions, max_size=6), st.sampled_from(["correctness", "score"]), st.booleans())
def test_no_question_and_no_sample_is_lost(rows, feedback, unreadable_losers):
    result = build_groups(rows, feedback, unreadable_losers=unreadable_losers)
    assert len(result.groups) + len(result.without) == len(rows)
    by_place = iter(result.groups)
    for scored in rows:
        if isinstance(group_of(scored, feedback, unreadable_losers=unreadable_losers), NoGroup):
            continue
        group = next(by_place)
        assert len(group.members) + group.duplicates + group.left_out == len(scored.responses)
        texts = [member.text.strip() for member in group.members]
        assert len(set(texts)) == len(texts)
        for member in group.members:
            source = scored.responses[member.sample]
            assert (source.response.text, source.score, source.correct) == (
                member.text,
                member.score,
                member.correct,
            )
        best = max(group.members, key=lambda member: member.level)
        assert scored.responses[best.sample].response.explanation is not None
