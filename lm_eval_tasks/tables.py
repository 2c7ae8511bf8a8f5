"""Plain text tables for terminals, and texts made safe for LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "−": "$-$", "±": r"$\pm$", "–": "--",
}  # fmt: skip


def latex_text(text: str) -> str:
    """A text in one line of LaTeX: what would be a command is shown as it is."""
    return "".join(_LATEX.get(char, char) for char in " ".join(text.split()))


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Aligned columns, as wide as their content: the first ``left`` to the left, the others to the right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]

    def aligned(line: Sequence[str]) -> Iterator[str]:
        for k, (cell, width) in enumerate(zip(line, widths, strict=True)):
            yield cell.ljust(width) if k < left else cell.rjust(width)

    return "\n".join("  ".join(aligned(line)).rstrip() for line in lines)


def percent(share: float | None) -> str:
    """A share in percent, with one decimal; a dash for None."""
    return "-" if share is None else f"{100 * share:.1f}"


def signed_percent(share: float | None) -> str:
    """A difference of shares in percentage points."""
    return "-" if share is None else f"{100 * share:+.1f}"


def number(value: float | None) -> str:
    """A figure with four decimals; a dash for None."""
    return "-" if value is None else f"{value:.4f}"


def number_of(amount: int, noun: str, plural: str | None = None) -> str:
    """``1 question``, ``1,204 questions``."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], most: int = 6) -> str:
    """``a, b and c``; a long list ends with the number of the others."""
    if len(names) > most + 1:
        return f"{', '.join(names[:most])} and {len(names) - most} others"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
