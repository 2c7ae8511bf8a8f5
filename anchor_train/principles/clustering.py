"""Principles that say the same, put together; each cluster stands for itself by its medoid.

Functions of values: nothing here reads or writes a file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from anchor_train.principles.discovery import fold
from anchor_train.principles.embeddings import Embedder
from judges.errors import MissingExtraError

Matrix: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

# Distances that differ by less are the same: a dot product's last digits depend on the machine.
_SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Cluster:
    """Principles that say the same.

    Attributes:
        medoid: The member that is nearest to all others.
        members: Distinct principles, the most frequent first.
        count: How often they were found, repeats included.
    """

    medoid: str
    members: tuple[str, ...]
    count: int


def counted(principles: Sequence[str]) -> dict[str, int]:
    """Distinct principles with how often each was found.

    Principles that differ in case, white space or punctuation alone are one; it is written as it was most
    often, and first among equals.
    """
    spellings: dict[str, Counter[str]] = {}
    for principle in principles:
        spellings.setdefault(fold(principle), Counter())[principle] += 1
    return {found.most_common(1)[0][0]: found.total() for found in spellings.values()}


def distances(vectors: Matrix) -> Matrix:
    """Cosine distances between all rows, 0 to 2; a row of zeros is at distance 1 from every other.

    Args:
        vectors: One row a text (n x d).

    Returns:
        Symmetric (n x n), zeros on the diagonal.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = vectors / np.where(lengths > 0, lengths, 1.0)
    found: Matrix = np.clip(1.0 - units @ units.T, 0.0, 2.0)
    np.fill_diagonal(found, 0.0)
    return (found + found.T) / 2


def medoid(members: Sequence[int], between: Matrix, counts: Sequence[int]) -> int:
    """The member with the least sum of distances to the others; of several the most frequent, or the first.

    Args:
        members: Places of the texts.
        between: All distances.
        counts: How often each text was found.
    """
    inner = between[np.ix_(members, members)].sum(axis=1)
    nearest = [place for place in range(len(members)) if inner[place] <= inner.min() + _SAME]
    return members[max(nearest, key=lambda place: (counts[members[place]], -place))]


def cluster(counts: Mapping[str, int], between: Matrix, threshold: float) -> tuple[Cluster, ...]:
    """Joins the nearest clusters until the mean distance between any two is above the threshold.

    Agglomerative clustering with average linkage.

    Args:
        counts: Distinct principles with how often each was found.
        between: Their distances, in the same order.
        threshold: Cosine distance.

    Returns:
        The most frequent first.
    """
    texts, often = list(counts), list(counts.values())
    by_label: dict[int, list[int]] = {}
    for place, label in enumerate(_labels(between, threshold)):
        by_label.setdefault(label, []).append(place)
    clusters = [
        Cluster(
            texts[medoid(members, between, often)],
            tuple(texts[place] for place in sorted(members, key=lambda place: -often[place])),
            sum(often[place] for place in members),
        )
        for members in by_label.values()
    ]
    return tuple(sorted(clusters, key=lambda found: -found.count))


def new_principles(
    counts: Mapping[str, int], earlier: Sequence[str], embed: Embedder, threshold: float
) -> int:
    """How many distinct principles are farther than the threshold from all principles found before."""
    if not earlier:
        return len(counts)
    between = distances(embed([*counts, *earlier]))[: len(counts), len(counts) :]
    known = {fold(text) for text in earlier}
    return sum(
        fold(text) not in known and bool(row.min() > threshold)
        for text, row in zip(counts, between, strict=True)
    )


def _labels(between: Matrix, threshold: float) -> list[int]:
    if len(between) < 2:
        return [0] * len(between)
    try:
        from sklearn.cluster import AgglomerativeClustering
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "principles") from None
    model = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=threshold
    )
    return [int(label) for label in model.fit_predict(between)]
