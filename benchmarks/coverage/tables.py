"""What was counted, as tables for RESULTS.md."""

from __future__ import annotations

from collections.abc import Sequence


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float) -> str:
    """A share in percent, one digit behind the point."""
    return f"{100 * share:.1f}"


def error(share: float, runs: int) -> float:
    """Standard error of a share that was counted in so many runs."""
    return (share * (1 - share) / runs) ** 0.5
