from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges import ConfigError, Judgement, load_rubric
from judges.rubrics.rubric_files import rubric_from

RUBRIC = load_rubric()
KEYS = [criterion.key for criterion in RUBRIC.criteria]

verdicts = st.sampled_from(list(RUBRIC.scale))
judgements = st.lists(verdicts, min_size=5, max_size=5).map(
    lambda given: Judgement(dict(zip(KEYS, given, strict=True)))
)


def custom(scale, weights):
    return rubric_from(
        {
            "name": "custom",
            "scale": scale,
            "criteria": [
                {"key": f"c{k}", "name": f"C{k}", "question": "?", "weight": weight}
                for k, weight in enumerate(weights)
            ],
            "prompt": {"system": "s", "user": "u"},
        },
        "here",
    )


def test_the_built_in_rubric_counts_in_fifths():
    assert (RUBRIC.units, RUBRIC.max_score) == (5, 25)
    assert [criterion.name for criterion in RUBRIC.criteria] == [
        "Factual Accuracy",
        "Logical Coherence",
        "Clarity",
        "Relevance",
        "Depth of Argumentation",
    ]
    assert [int(points * 5) for points in RUBRIC.scale.values()] == [5, 4, 3, 1, 0]


def test_sums_that_floats_would_tell_apart_tie():
    low = ["UNSATISFACTORY"] * 2
    one = Judgement(dict(zip(KEYS, [*["SATISFACTORY"] * 3, *low], strict=True)))
    other = Judgement(dict(zip(KEYS, ["GOOD", "GOOD", "NEEDS IMPROVEMENT", *low], strict=True)))
    assert 0.6 + 0.6 + 0.6 != 0.8 + 0.8 + 0.2
    assert RUBRIC.score(one) == RUBRIC.score(other) == 9


@given(judgements)
def test_a_score_is_the_exact_sum_of_its_points(judgement):
    assert Fraction(RUBRIC.score(judgement), RUBRIC.units) == sum(RUBRIC.points(judgement).values())
    assert 0 <= RUBRIC.score(judgement) <= RUBRIC.max_score


@given(judgements, st.sampled_from(KEYS), verdicts)
def test_a_better_verdict_never_lowers_the_score(judgement, key, verdict):
    changed = Judgement({**judgement.verdicts, key: verdict})
    gained = RUBRIC.scale[verdict] - RUBRIC.scale[judgement.verdicts[key]]
    assert RUBRIC.score(changed) - RUBRIC.score(judgement) == gained * RUBRIC.units


@given(
    st.dictionaries(
        st.sampled_from(["A", "B", "C", "D", "E"]),
        st.fractions(0, 10, max_denominator=12),
        min_size=2,
    ),
    st.lists(st.fractions(Fraction(1, 12), 10, max_denominator=12), min_size=1, max_size=4),
    st.data(),
)
def test_any_points_and_weights_are_held_exactly(scale, weights, data):
    rubric = custom({verdict: str(points) for verdict, points in scale.items()}, list(map(str, weights)))
    given = [data.draw(st.sampled_from(list(scale))) for _ in weights]
    judgement = Judgement({f"c{k}": verdict for k, verdict in enumerate(given)})
    exact = sum(weight * scale[verdict] for weight, verdict in zip(weights, given, strict=True))
    assert Fraction(rubric.score(judgement), rubric.units) == exact
    assert rubric.score(judgement) <= rubric.max_score


def test_everything_in_a_rubric_moves_its_fingerprint():
    base = custom({"A": 1, "B": 0}, [1, 1])
    variants = [
        custom({"A": 1, "B": 0}, [1, 2]),
        custom({"A": 1, "B": "1/2"}, [1, 1]),
        custom({"B": 0, "A": 1}, [1, 1]),
        custom({"A": 1, "B": 0}, [1]),
    ]
    assert len({rubric.fingerprint for rubric in [base, *variants]}) == 5
    assert custom({"A": 1, "B": 0}, [1, 1]).fingerprint == base.fingerprint


@pytest.mark.parametrize(
    ("scale", "weights", "complaint"),
    [
        ({"A": 1, "B": None}, [1], "verdict 'B' has no points"),
        ({"A": 1}, [1], "at least 2"),
        ({"A": 1, "a": 0}, [1], "differ only in case"),
        ({"A": -1, "B": 0}, [1], "must not be negative"),
        ({"A": "good", "B": 0}, [1], "expected a number"),
        ({"A": 1, "B": 0}, [0], "weight must be positive"),
        ({"A": 1, "B": 0}, [], "at least 1"),
        ({"A:": 1, "B": 0}, [1], "plain phrase"),
    ],
)
def test_a_wrong_rubric_is_said_in_one_line(scale, weights, complaint):
    with pytest.raises(ConfigError, match=complaint):
        custom(scale, weights)
