"""The list-wise losses: worked examples, gradients against finite differences, edges."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from anchor_train.training.methods.losses import (
    aft_loss,
    assessment_accuracy,
    fine_tuning_loss,
    listwise_loss,
    pro_loss,
    rrhf_loss,
)
from tests.anchor_train.small_training import listwise_settings

BETA = 0.1
CONSTRAINTS = ("none", "detached", "boundary")
Loss = Callable[[Tensor, Tensor], Tensor]
ALIGNMENTS: dict[str, Loss] = {
    **{name: partial(aft_loss, constraint=name, beta=BETA) for name in CONSTRAINTS},
    "rrhf": rrhf_loss,
    "pro": pro_loss,
}


def scores_of(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def gradient(loss: Loss, scores: Tensor, levels: Tensor) -> list[float]:
    (found,) = torch.autograd.grad(loss(scores, levels), scores)
    return list(found.tolist())


# Two good replies, two bad ones.
SCORES = (-1.0, -0.5, -0.8, -2.0)
BINARY = torch.tensor([1, 1, 0, 0])


def test_aft_without_a_boundary_is_the_published_sum():
    gaps = [s_n - s_p for s_p in SCORES[:2] for s_n in SCORES[2:]]
    expected = math.log(1 + sum(map(math.exp, gaps)))
    for constraint in ("none", "detached"):
        assert aft_loss(scores_of(*SCORES), BINARY, constraint).item() == pytest.approx(expected, abs=1e-12)


def test_aft_with_its_boundary_is_the_published_sum():
    lowest = min(SCORES[:2])
    total = 1.0
    for s_p in SCORES[:2]:
        for s_n in SCORES[2:]:
            boundary = 2 * lowest - 2 * BETA - s_p
            total += math.exp(s_n - s_p) + math.exp(boundary - s_n)
    found = aft_loss(scores_of(*SCORES), BINARY, "boundary", BETA)
    assert found.item() == pytest.approx(math.log(total), abs=1e-12)


def test_a_ranking_takes_the_boundary_from_the_lowest_score_above():
    scores, levels = (-1.0, -0.4, -0.9), torch.tensor([2, 1, 0])
    total = 1.0
    for better, worse, lowest in ((0, 1, -1.0), (0, 2, -1.0), (1, 2, -1.0)):
        boundary = 2 * lowest - 2 * BETA - scores[better]
        total += math.exp(scores[worse] - scores[better]) + math.exp(boundary - scores[worse])
    found = aft_loss(scores_of(*scores), levels, "boundary", BETA)
    assert found.item() == pytest.approx(math.log(total), abs=1e-12)


def test_rrhf_and_pro_by_hand():
    scores, levels = scores_of(-1.0, -0.4, -0.9), torch.tensor([2, 1, 0])
    # (0, 1): 0.6 the wrong way round, (0, 2): 0.1, (1, 2): the right way round.
    assert rrhf_loss(scores, levels).item() == pytest.approx(0.7)
    first = math.log(math.exp(-1.0) + math.exp(-0.4) + math.exp(-0.9)) - -1.0
    second = math.log(math.exp(-0.4) + math.exp(-0.9)) - -0.4
    assert pro_loss(scores, levels).item() == pytest.approx(first + second)
    assert rrhf_loss(scores_of(*SCORES), BINARY).item() == pytest.approx(0.2)


def test_fine_tuning_is_on_the_highest_level_alone():
    assert fine_tuning_loss(scores_of(*SCORES), BINARY).item() == pytest.approx(0.75)
    assert fine_tuning_loss(scores_of(-1.0, -0.4, -0.9), torch.tensor([0, 1, 2])).item() == pytest.approx(0.9)


@pytest.mark.parametrize("loss", ["aft", "rrhf", "pro"])
def test_the_whole_loss_weighs_the_fine_tuning(loss: Any):
    settings = listwise_settings(sft_weight=0.5, beta=BETA)
    alignment = ALIGNMENTS["boundary" if loss == "aft" else loss](scores_of(*SCORES), BINARY).item()
    found = listwise_loss(scores_of(*SCORES), BINARY, loss, settings).item()
    assert found == pytest.approx(alignment + 0.5 * 0.75)


@pytest.mark.parametrize("levels", [BINARY, torch.tensor([3, 2, 2, 0]), torch.tensor([0, 1, 2, 3])])
@pytest.mark.parametrize(
    "loss",
    [
        partial(aft_loss, constraint="none"),
        partial(aft_loss, constraint="boundary", beta=BETA, detach_boundary=False),
        rrhf_loss,
        pro_loss,
        fine_tuning_loss,
    ],
)
def test_gradients_agree_with_finite_differences(loss: Loss, levels: Tensor):
    assert torch.autograd.gradcheck(lambda scores: loss(scores, levels), scores_of(*SCORES))


@pytest.mark.parametrize("levels", [BINARY, torch.tensor([3, 2, 2, 0])])
def test_what_is_detached_is_a_constant_of_the_gradient(levels: Tensor):
    """The gradient is that of the same sum with the detached numbers written in as numbers."""
    fixed = scores_of(*SCORES).detach()
    pairs = [(i, j) for i in range(4) for j in range(4) if levels[i] > levels[j]]

    def detached(scores: Tensor) -> Tensor:
        return torch.log(1 + sum(torch.exp(fixed[j] - scores[i]) for i, j in pairs))

    def boundary(scores: Tensor) -> Tensor:
        total = scores.new_ones(())
        for i, j in pairs:
            lowest = min(float(fixed[above]) for above in range(4) if levels[above] > levels[j])
            limit = 2 * lowest - 2 * BETA - float(fixed[i])
            total = total + torch.exp(scores[j] - scores[i]) + torch.exp(limit - scores[j])
        return torch.log(total)

    for constraint, spelt_out in (("detached", detached), ("boundary", boundary)):
        assert torch.autograd.gradcheck(spelt_out, scores_of(*SCORES))
        (expected,) = torch.autograd.grad(spelt_out(scores := scores_of(*SCORES)), scores)
        assert gradient(ALIGNMENTS[constraint], scores_of(*SCORES), levels) == pytest.approx(
            expected.tolist(), abs=1e-12
        )


def test_the_boundary_holds_a_bad_reply_where_it_is_and_turns_it_around_below():
    good, levels = (-1.0, -0.6), torch.tensor([1, 1, 0])
    edge = min(good) - BETA
    loss = ALIGNMENTS["boundary"]
    assert gradient(loss, scores_of(*good, edge), levels)[2] == pytest.approx(0, abs=1e-12)
    assert gradient(loss, scores_of(*good, edge + 1e-3), levels)[2] > 0  # descent lowers it
    assert gradient(loss, scores_of(*good, edge - 1e-3), levels)[2] < 0  # descent lifts it
    for constraint, sign in (("none", 1), ("detached", 0)):
        found = gradient(ALIGNMENTS[constraint], scores_of(*good, edge - 1e-3), levels)[2]
        assert math.copysign(1, found) * (found != 0) == sign


def test_only_a_boundary_with_gradient_pushes_the_lowest_good_reply_down():
    scores, levels = (-1.0, -0.2, -3.0), torch.tensor([1, 1, 0])
    assert gradient(ALIGNMENTS["boundary"], scores_of(*scores), levels)[0] < 0  # descent lifts it
    attached = partial(aft_loss, constraint="boundary", beta=BETA, detach_boundary=False)
    assert gradient(attached, scores_of(*scores), levels)[0] > 0


@pytest.mark.parametrize("name", ALIGNMENTS)
@pytest.mark.parametrize("levels", [[1], [0], [1, 1, 1], [0, 0]])
def test_a_group_with_nothing_to_compare_has_no_alignment_loss(name: str, levels: list[int]):
    scores = scores_of(*[-1.0] * len(levels))
    assert ALIGNMENTS[name](scores, torch.tensor(levels)).item() == 0
    assert gradient(ALIGNMENTS[name], scores, torch.tensor(levels)) == [0] * len(levels)
    assert assessment_accuracy(scores, torch.tensor(levels)) is None


@pytest.mark.parametrize("name", ALIGNMENTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("values", [(-1e4, -0.1), (-0.1, -1e4), (-1e4, -1e4)])
def test_scores_of_minus_ten_thousand_neither_overflow_nor_vanish(name: str, dtype: Any, values: Any):
    scores = torch.tensor(values, dtype=dtype, requires_grad=True)
    loss = ALIGNMENTS[name](scores, torch.tensor([1, 0]))
    assert math.isfinite(loss.item())
    loss.backward()
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    if values == (-1e4, -0.1):
        assert loss.item() == pytest.approx(1e4, rel=1e-3)
        assert scores.grad[0].item() == pytest.approx(-1)


def test_assessment_accuracy_is_the_share_of_pairs_the_right_way_round():
    assert assessment_accuracy(torch.tensor(SCORES), BINARY) == 0.75  # -1.0 is below -0.8
    assert assessment_accuracy(torch.tensor([-1.0, -1.0]), torch.tensor([1, 0])) == 0


groups = st.lists(st.tuples(st.floats(-50, 0, allow_nan=False), st.integers(0, 3)), min_size=1, max_size=6)


@given(groups, st.sampled_from(sorted(ALIGNMENTS)), st.randoms(use_true_random=False))
def test_the_order_in_a_group_is_nothing_to_the_loss(group: Any, name: str, draw: Any):
    shuffled = draw.sample(group, len(group))
    losses = [
        ALIGNMENTS[name](
            torch.tensor([score for score, _ in rows], dtype=torch.float64),
            torch.tensor([level for _, level in rows]),
        ).item()
        for rows in (group, shuffled)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-9, abs=1e-12)
    assert losses[0] >= 0
