"""Losses over a group of replies to one question: AFT, RRHF, PRO, as functions of scores and levels.

``scores`` has shape (k,): the mean token log-likelihood of each reply, in nats. ``levels`` has shape (k,),
integers: a reply of a higher level is the better one, equal levels aren't compared. Binary feedback has two
levels, a ranking one for each place. An alignment loss is a scalar; where nothing in a group is better than
anything else it is 0, with a gradient of 0.

Importing this module imports torch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anchor_train.recipes.training_settings import Constraint, ListwiseLoss, ListwiseSettings


def better(levels: Tensor) -> Tensor:
    """Shape (k, k), true at [i, j] where reply i is better than reply j."""
    return levels[:, None] > levels[None, :]


def aft_loss(
    scores: Tensor,
    levels: Tensor,
    constraint: Constraint = "boundary",
    beta: float = 0.1,
    detach_boundary: bool = True,
) -> Tensor:
    """Alignment loss of AFT (Wang et al., arXiv 2309.02144).

    ``log(1 + sum over i better than j of [exp(s_j - s_i) + exp(T_ij - s_j)])``, the second term with the
    boundary constraint alone: ``T_ij = 2 s*_j - 2 beta - s_i``, where ``s*_j`` is the lowest score among the
    replies that are better than j. A pair's two terms balance at ``s_j = s*_j - beta``: j is pushed down to
    there, and up from below. With two levels ``s*`` is the lowest good score, as published; for rankings this
    is our reading.

    Args:
        scores: Mean token log-likelihoods.
        levels: Of the replies.
        constraint: ``none``; ``detached``: the worse reply's score is held constant, so that nothing pushes
            it down; ``boundary``.
        beta: How far below the good replies the bad ones come to stand, in nats a token.
        detach_boundary: Hold T constant. With its gradient the lowest good reply is pushed down.
    """
    over = better(levels)
    worse_scores = scores.detach() if constraint == "detached" else scores
    terms = [scores.new_zeros(1), (worse_scores[None, :] - scores[:, None])[over]]
    if constraint == "boundary":
        infinite = torch.full_like(over, torch.inf, dtype=scores.dtype)
        lowest_above = torch.where(over, scores[:, None], infinite).amin(0)
        boundary = 2 * lowest_above[None, :] - 2 * beta - scores[:, None]
        if detach_boundary:
            boundary = boundary.detach()
        terms.append((boundary - scores[None, :])[over])
    return torch.logsumexp(torch.cat(terms), 0)


def rrhf_loss(scores: Tensor, levels: Tensor) -> Tensor:
    """Ranking loss of RRHF (Yuan et al., arXiv 2304.05302).

    ``sum over i better than j of max(0, s_j - s_i)``.
    """
    return (scores[None, :] - scores[:, None])[better(levels)].relu().sum()


def pro_loss(scores: Tensor, levels: Tensor) -> Tensor:
    """Ranking loss of PRO (Song et al., arXiv 2306.17492), without its temperatures from reward gaps.

    ``sum over i of -log(exp(s_i) / (exp(s_i) + sum over j worse than i of exp(s_j)))``: each reply is told
    from all that are worse. Replies of one level aren't set against each other.
    """
    over = better(levels)
    gaps = torch.where(over, scores[None, :] - scores[:, None], -torch.inf)
    told = over.any(1)
    zeros = scores.new_zeros(int(told.sum()), 1)
    return torch.logsumexp(torch.cat([zeros, gaps[told]], 1), 1).sum()


def fine_tuning_loss(scores: Tensor, levels: Tensor) -> Tensor:
    """Mean token negative log-likelihood of the replies of the highest level, all of the same weight."""
    return -scores[levels == levels.max()].mean()


def listwise_loss(scores: Tensor, levels: Tensor, loss: ListwiseLoss, settings: ListwiseSettings) -> Tensor:
    """What one group is trained on: the alignment loss and the weighted loss of fine-tuning on the best."""
    match loss:
        case "aft":
            alignment = aft_loss(scores, levels, settings.constraint, settings.beta, settings.detach_boundary)
        case "rrhf":
            alignment = rrhf_loss(scores, levels)
        case "pro":
            alignment = pro_loss(scores, levels)
    return alignment + settings.sft_weight * fine_tuning_loss(scores, levels)


def assessment_accuracy(scores: Tensor, levels: Tensor) -> float | None:
    """Share of ordered pairs in which the better reply scores higher (AFT); None if there is no such pair."""
    over = better(levels)
    if not over.any():
        return None
    return float((scores[:, None] > scores[None, :])[over].float().mean())
