"""May a judge stand for a person? The alternative annotator test (arXiv 2501.10970, section 3).

Each person is left out in turn: on a statement the judge does at least as well as that person if it agrees
with the others at least as much. Per person it is tested whether the judge's disadvantage is smaller than
``eps``, what a person costs more than a judge; Benjamini and Yekutieli's correction makes the tests one.

omega = share of the persons whose test is won; a judge with omega >= 0.5 may stand for them.
rho = mean over persons of how often the judge does at least as well: it ranks judges and needs no eps.

Where nearly all labels are the same, a judge that always says the same passes: the best rho that such a judge
gets stands beside the judge's own. The unit of the tests is the question: statements of one are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE, SHARE, Floats
from lm_eval_tasks.stats.estimation.jackknife import estimate_of, from_left_out

FEWEST_PEOPLE = 3
FEWEST_STATEMENTS = 30
"""Per person, as the paper has it; below it nothing is told."""
TRAINED = 0.15
"""eps for people who were trained for it; 0.2 for experts, 0.1 for a crowd (section 3 of the paper)."""
PASSES = 0.5
_RATE = 0.05
_MANY = 30
_SAME = 1e-12

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Person(JsonRecord):
    """The judge against one person.

    Attributes:
        name: Of the person.
        statements: That they and another person rated, and the judge too.
        judge: Share of them on which the judge does at least as well.
        person: Share on which the person does at least as well.
        p_value: Of "the judge is worse by eps or more".
        won: Whether that is refuted, with all persons' tests together.
    """

    name: str
    statements: int
    judge: float
    person: float
    p_value: float
    won: bool


@dataclass(frozen=True, slots=True)
class AltTest(JsonRecord):
    """What came out.

    Attributes:
        eps: What was asked.
        omega: Share of the persons' tests that the judge wins.
        rho: Mean share on which it does at least as well; interval by question.
        constant_rho: The rho of the best judge that always says the same.
        people: The persons.
        left_out: Persons with too few statements.
        passes: Whether omega is at least 0.5.
    """

    eps: float
    omega: float
    rho: Estimate
    constant_rho: float
    people: tuple[Person, ...]
    left_out: tuple[str, ...]
    passes: bool


def alt_test(
    judge: Floats,
    people: Floats,
    names: Sequence[str],
    questions: Sequence[str],
    *,
    scores: bool,
    eps: float = TRAINED,
    fewest: int = FEWEST_STATEMENTS,
    confidence: float = CONFIDENCE,
) -> AltTest | None:
    """Runs the test.

    Args:
        judge: Its ratings, shape (statements,); NaN where it gave none.
        people: Theirs, shape (people, statements); NaN likewise.
        names: Of the people.
        questions: Question of each statement.
        scores: Whether ratings are scores, where near is better than far (root mean squared error from the
            others); else categories, where only the same agrees.
        eps: How much worse a judge may be: it costs less.
        fewest: Statements that a person needs.
        confidence: Of rho's interval.

    Returns:
        None with fewer than three people who have enough statements: too few to tell.
    """
    groups = {question: place for place, question in enumerate(dict.fromkeys(questions))}
    of_question = np.array([groups[question] for question in questions], dtype=np.intp)
    compared = [_compared(judge, people, j, scores) for j in range(len(people))]
    kept = [j for j, (_, _, both) in enumerate(compared) if both.sum() >= fewest]
    if len(kept) < FEWEST_PEOPLE:
        return None
    p_values = []
    for j in kept:
        as_good, no_better, both = compared[j]
        worse = no_better[both].astype(np.float64) - as_good[both]
        p_values.append(_p_value(worse, of_question[both], eps))
    won = _refuted(p_values)
    rho = _rho([compared[j] for j in kept], of_question, len(groups))
    found = from_left_out(rho[0], rho[1], SHARE)
    estimate = estimate_of(found, confidence) or Estimate(rho[0], None, None, None, len(groups))
    values = np.unique(people[np.isfinite(people)])
    constants = []
    for value in values:
        always = np.where(np.isfinite(judge), value, np.nan)
        theirs = [_compared(always, people, j, scores) for j in kept]
        constants.append(_rho(theirs, of_question, len(groups))[0])
    omega = float(np.mean(won))
    return AltTest(
        eps=eps,
        omega=omega,
        rho=estimate,
        constant_rho=max(constants),
        people=tuple(
            Person(
                names[j],
                int(compared[j][2].sum()),
                float(compared[j][0][compared[j][2]].mean()),
                float(compared[j][1][compared[j][2]].mean()),
                p,
                refuted,
            )
            for j, p, refuted in zip(kept, p_values, won, strict=True)
        ),
        left_out=tuple(names[j] for j in range(len(people)) if j not in kept),
        passes=omega >= PASSES,
    )


def _compared(judge: Floats, people: Floats, j: int, scores: bool) -> tuple[Flags, Flags, Flags]:
    """On each statement: does the judge do at least as well as person j, the other way round, is it known."""
    others = np.delete(people, j, axis=0)
    number = np.isfinite(others).sum(axis=0)
    known = (number > 0) & np.isfinite(judge) & np.isfinite(people[j])
    mine, theirs = (_likeness(one, others, scores) for one in (judge, people[j]))
    return known & (mine >= theirs - _SAME), known & (theirs >= mine - _SAME), known


def _likeness(one: Floats, others: Floats, scores: bool) -> Floats:
    given = np.isfinite(others)
    number = np.maximum(given.sum(axis=0), 1)
    if not scores:
        shares: Floats = (given & (others == one)).sum(axis=0) / number
        return shares
    errors = np.where(given, np.where(given, others, 0.0) - np.where(np.isfinite(one), one, 0.0), 0.0)
    likeness: Floats = -np.sqrt((errors**2).sum(axis=0) / number)
    return likeness


def _p_value(differences: Floats, of_question: Places, eps: float) -> float:
    """Of "the mean difference is eps or more", with the questions' means as units."""
    from scipy.stats import ttest_1samp, wilcoxon

    places = np.unique(of_question, return_inverse=True)[1]
    each = np.bincount(places, differences) / np.bincount(places)
    if np.ptp(each) < 1e-12:
        return 0.0 if each[0] < eps else 1.0
    if len(each) < _MANY:
        return float(wilcoxon(each - eps, alternative="less").pvalue)
    return float(ttest_1samp(each, eps, alternative="less").pvalue)


def _refuted(p_values: Sequence[float]) -> list[bool]:
    from scipy.stats import false_discovery_control

    return [bool(p <= _RATE) for p in false_discovery_control(p_values, method="by")]


def _rho(
    compared: Sequence[tuple[Flags, Flags, Flags]], of_question: Places, questions: int
) -> tuple[float, Floats]:
    """rho, and what it is without each of the questions."""
    wins = np.stack([np.bincount(of_question, as_good, questions) for as_good, _, _ in compared])
    sizes = np.stack([np.bincount(of_question, known, questions) for _, _, known in compared])
    bears = sizes.sum(axis=0) > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float((wins.sum(axis=1) / sizes.sum(axis=1)).mean())
        rest = (wins.sum(axis=1, keepdims=True) - wins) / (sizes.sum(axis=1, keepdims=True) - sizes)
    left_out: Floats = rest.mean(axis=0)[bears]
    return value, left_out
