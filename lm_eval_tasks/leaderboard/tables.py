"""A leaderboard as Markdown, LaTeX and CSV, for papers and further work."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from lm_eval_tasks.leaderboard.columns import Column
from lm_eval_tasks.leaderboard.rows import Row
from lm_eval_tasks.tables import latex_text

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def markdown(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """A pipe table; numbers to the right. What Markdown or HTML would read as markup is escaped."""
    head = [_markdown(column.name) for column in columns]
    rule = ["---:" if column.kind == "number" else ":---" for column in columns]
    body = [[_markdown(_cell(column, row)) for column in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, rule, *body))


def latex(columns: Sequence[Column], rows: Sequence[Row], caption: str) -> str:
    """A ``table`` with ``booktabs`` rules."""
    shape = "".join("r" if column.kind == "number" else "l" for column in columns)
    head = " & ".join(latex_text(column.name) for column in columns)
    body = "".join(
        " & ".join(latex_text(_cell(column, row)) for column in columns) + r" \\" + "\n" for row in rows
    )
    return (
        "% needs \\usepackage{booktabs}\n"
        f"\\begin{{table}}\n\\centering\n\\caption{{{latex_text(caption)}}}\n\\begin{{tabular}}{{{shape}}}\n\\toprule\n"
        f"{head} \\\\\n\\midrule\n{body}\\bottomrule\n\\end{{tabular}}\n\\end{{table}}\n"
    )


def comma_separated(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Full precision, with the ends of the 95% interval in columns of their own.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    with_interval = [column for column in columns if any(column.estimate(row) is not None for row in rows)]
    head = [
        name
        for c in columns
        for name in ((c.key, f"{c.key}_low", f"{c.key}_high") if c in with_interval else (c.key,))
    ]
    writer.writerow([*head, "rank_worst", "accuracy_spread"])
    for row in rows:
        line: list[object] = []
        for column in columns:
            line.append(_plain(column.value(row)))
            if column in with_interval:
                estimate = column.estimate(row)
                line += ["", ""] if estimate is None else [_plain(estimate.low), _plain(estimate.high)]
        writer.writerow([*line, row.place[1] if row.place else "", _plain(row.spread)])
    return out.getvalue()


def _cell(column: Column, row: Row) -> str:
    return " ".join(filter(None, (column.text(row), column.aside(row))))


def _plain(value: float | str | None) -> object:
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~$&!])", r"\\\1", " ".join(text.split()))
