"""Where each page and file of a site lies, relative to its root."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from lm_eval_tasks.comparison.boards import Board, Collection
from lm_eval_tasks.comparison.standings import Names
from lm_eval_tasks.leaderboard.embed import slugs


@dataclass(frozen=True, slots=True)
class Paths:
    """File names for runs, boards and scopes, and which pairs have a page.

    Attributes:
        run: Run name -> slug.
        scope: Board or scope key -> slug.
        pairs: The pairs that have a page; the order of the two is that of the comparisons.
    """

    run: dict[str, str]
    scope: dict[str, str]
    pairs: frozenset[Names]

    def model(self, run: str) -> str:
        """Page of a model."""
        return f"models/{self.run[run]}.html"

    def pair(self, first: str, second: str) -> str:
        """Page of two models, whichever order they are in."""
        if (first, second) not in self.pairs:
            first, second = second, first
        return f"pairs/{self.run[first]}--{self.run[second]}.html"

    def has_pair(self, first: str, second: str) -> bool:
        """Whether there is such a page."""
        return (first, second) in self.pairs or (second, first) in self.pairs

    def samples(self, board: Board, first: str, second: str | None = None, **filters: str) -> str:
        """Address of the sample browser for one or two models of a board."""
        state = {
            "task": self.scope[board.shelf],
            "a": self.run[first],
            "b": self.run[second] if second else "-",
            **filters,
        }
        return f"samples.html#{urlencode(state)}"


def paths_of(collection: Collection, scopes: Iterable[str]) -> Paths:
    """Names everything of a collection; a board is a scope."""
    pairs = {names for board in collection.boards for names in board.table.pairs}
    return Paths(slugs(collection.runs), slugs(scopes), frozenset(pairs))
