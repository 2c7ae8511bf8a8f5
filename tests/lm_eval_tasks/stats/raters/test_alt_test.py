"""The alternative annotator test: hand-made cases, and how often it is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_tasks.stats.raters.alt_test import AltTest, alt_test

NAMES = ("ann", "ben", "cleo")


def found(judge: np.ndarray, people: np.ndarray, **how: object) -> AltTest:
    questions = how.pop("questions", [str(k) for k in range(len(judge))])
    result = alt_test(judge, people, NAMES[: len(people)], questions, scores=False, **how)  # type: ignore[arg-type]
    assert result is not None
    return result


def people_and_judge(
    statements: int, person: float, judge: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Three people and a judge who find the true one of four verdicts with these probabilities."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 4, statements)

    def rating(skill: float) -> np.ndarray:
        wrong = (truth + random.integers(1, 4, statements)) % 4
        return np.where(random.random(statements) < skill, truth, wrong).astype(float)

    return np.stack([rating(person) for _ in range(3)]), rating(judge)


def test_by_hand() -> None:
    """Ann and Ben always agree, Cleo never; the judge says what Ann says."""
    people = np.array([[0.0, 1, 2] * 20, [0.0, 1, 2] * 20, [1.0, 2, 0] * 20])
    result = found(people[0], people)
    # Left out in turn. Ann: the judge is she, always equal. Cleo: the judge agrees with both, she with none.
    assert [person.judge for person in result.people] == [1, 1, 1]
    assert [person.person for person in result.people] == [1, 1, 0]
    assert (result.omega, result.rho.value, result.passes) == (1, 1, True)


def test_a_judge_as_good_as_people_passes_and_a_guesser_fails() -> None:
    people, judge = people_and_judge(200, 0.8, 0.8, seed=1)
    good = found(judge, people)
    assert good.passes
    assert good.rho.value > 0.7
    assert good.rho.low is not None
    assert good.rho.high is not None
    assert good.rho.low < good.rho.value < good.rho.high
    people, guess = people_and_judge(200, 0.8, 0.25, seed=2)
    assert found(guess, people).omega == 0


def test_how_often_a_judge_that_is_too_bad_passes() -> None:
    """A judge whose disadvantage is eps exactly: each person's test is wrong in 5% of the cases at most."""
    people, judge = people_and_judge(400_000, 0.8, 0.62, seed=3)
    whole = found(judge, people)
    eps = float(np.mean([person.person - person.judge for person in whole.people]))
    passed = 0
    for seed in range(200):
        people, judge = people_and_judge(60, 0.8, 0.62, seed=100 + seed)
        passed += found(judge, people, eps=eps).passes
    assert passed <= 0.05 * 200 + 6


def test_a_constant_judge_passes_where_labels_are_skewed_and_its_rho_says_so() -> None:
    random = np.random.default_rng(4)
    people = (random.random((3, 100)) < 0.05).astype(float)
    result = found(np.zeros(100), people)
    assert result.passes
    assert result.constant_rho == pytest.approx(result.rho.value)


def test_scores_near_the_others_beat_those_far_off() -> None:
    people = np.array([[10.0, 20] * 30, [11.0, 19] * 30, [12.0, 18] * 30])
    near = alt_test(people[1], people, NAMES, [str(k) for k in range(60)], scores=True)
    far = alt_test(people[1] + 6, people, NAMES, [str(k) for k in range(60)], scores=True)
    assert near is not None
    assert far is not None
    assert (near.rho.value, far.rho.value) == (1, 0)


def test_too_few_people_or_statements_tell_nothing() -> None:
    people, judge = people_and_judge(29, 0.8, 0.8, seed=5)
    assert alt_test(judge, people, NAMES, [str(k) for k in range(29)], scores=False) is None
    people, judge = people_and_judge(100, 0.8, 0.8, seed=5)
    assert alt_test(judge, people[:2], NAMES, [str(k) for k in range(100)], scores=False) is None


def test_sixteen_samples_of_a_question_count_as_one_question() -> None:
    people, judge = people_and_judge(40, 0.7, 0.65, seed=6)
    names = [str(k) for k in range(40)]
    once = found(judge, people)
    copied = found(np.repeat(judge, 16), np.repeat(people, 16, axis=1), questions=list(np.repeat(names, 16)))
    assert copied.rho.value == pytest.approx(once.rho.value)
    assert [person.p_value for person in copied.people] == pytest.approx([p.p_value for p in once.people])
