"""Plain text tables for terminals."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned columns: the first to the left, the others to the right; widths follow the content."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def percent(share: float | None) -> str:
    """A share in percent, with one decimal; a dash for None."""
    return "-" if share is None else f"{100 * share:.1f}"


def signed_percent(share: float | None) -> str:
    """A difference of shares in percentage points."""
    return "-" if share is None else f"{100 * share:+.1f}"


def number(value: float | None) -> str:
    """A figure with four decimals; a dash for None."""
    return "-" if value is None else f"{value:.4f}"
