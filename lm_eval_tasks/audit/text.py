"""An audit as text: what it says in words, then the figures."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from lm_eval_tasks.audit.figures import said
from lm_eval_tasks.audit.records import AuditReport, Figure, KindReport
from lm_eval_tasks.tables import number_of, text_table

_WIDE = ("perturbation", "order")
GRADES = {"bad": "BAD", "doubtful": "DOUBTFUL", "unknown": "UNKNOWN", "good": "good"}


def as_text(report: AuditReport) -> str:
    """Findings first, bad ones before good ones; then a table for each kind of probe."""
    parts = [
        f"audit of {report.judge}, rubric {report.rubric}\n"
        f"on {number_of(report.statements, 'explanation')} of {report.model} "
        f"({report.run}: {', '.join(report.tasks)})",
        "\n".join(_findings(report)),
        *(_kind(kind) for kind in report.kinds),
        "Figures: 95% interval by question; points are those of the rubric, of at most "
        f"{report.max_score:g}. An AUC of 0.5 is what a coin has.",
        f"asked: {number_of(report.calls, 'statement')} in {report.seconds:.0f} s"
        + ("" if report.price is None else f"; price {report.price:.4f}"),
    ]
    return "\n\n".join(parts)


def _findings(report: AuditReport) -> Iterator[str]:
    for finding in report.findings:
        head = f"{GRADES[finding.grade]:>8}  "
        yield textwrap.fill(
            finding.text, 100, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False
        )


def table_of(kind: KindReport) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The figures of a kind as head and rows; those of an edit or an order are one row."""
    several: dict[str, list[Figure]] = {}
    for figure in kind.figures:
        several.setdefault(
            figure.label.rpartition(": ")[0] if kind.kind in _WIDE else figure.label, []
        ).append(figure)
    if kind.kind not in _WIDE:
        return ("", "figure", "on"), [(one.label, said(one), str(one.number)) for one in kind.figures]
    heads = [figure.label.rpartition(": ")[2] for figure in next(iter(several.values()))]
    rows = [(name, *map(said, found), str(found[-1].number)) for name, found in several.items()]
    return ("", *heads, "on"), rows


def _kind(kind: KindReport) -> str:
    head, rows = table_of(kind)
    lost = kind.probes - kind.judged
    return "\n".join(
        [
            f"{kind.kind}: {number_of(kind.probes, 'statement')}" + (f", {lost} unjudged" if lost else ""),
            text_table(head, rows),
            *(f"note: {note}" for note in kind.notes),
        ]
    )
