"""The page of the judges: what audits found, in words first, then figure by figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lm_eval_tasks.audit.audit import read_audits
from lm_eval_tasks.audit.records import AuditReport, KindReport
from lm_eval_tasks.audit.text import table_of
from lm_eval_tasks.leaderboard.words import money, short_judge, typeset
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.tables import listed, number_of

PAGE = "judges.html"
_GRADES = {"bad": "Bad", "doubtful": "Doubtful", "unknown": "Can’t be told", "good": "Good"}


@dataclass(frozen=True, slots=True)
class KindTable:
    """The figures of one kind of probe."""

    title: str
    lede: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AuditSection:
    """One audit."""

    slug: str
    judge: str
    headline: str
    facts: tuple[tuple[str, str], ...]
    findings: tuple[tuple[str, str, str], ...]
    kinds: tuple[KindTable, ...]


@dataclass(frozen=True, slots=True)
class JudgesPage:
    """All that the template shows."""

    lede: str
    audits: tuple[AuditSection, ...]


def judges_page(runs: Iterable[Run]) -> JudgesPage | None:
    """Gathers the audits of all runs; None if there is none."""
    found = [report for run in runs for report in read_audits(run)]
    if not found:
        return None
    judges = sorted({short_judge(report.judge) for report in found})
    are = "is" if len(judges) == 1 else "are"
    return JudgesPage(
        f"What {listed(judges)} {are} worth, as far as that can be told without people: probes on "
        "explanations of the runs on this site.",
        tuple(_section(number, report) for number, report in enumerate(found)),
    )


def _section(number: int, report: AuditReport) -> AuditSection:
    findings = report.findings
    bad = sum(finding.grade == "bad" for finding in findings)
    facts = [
        ("Judge", report.judge),
        ("Rubric", report.rubric),
        ("Explanations", f"{report.statements} of {report.run}, {', '.join(report.tasks)}"),
        ("Date", report.date[:10]),
        ("Cost of the audit", "" if report.price is None else money(report.price)),
    ]
    return AuditSection(
        slug=f"audit-{number}",
        judge=short_judge(report.judge),
        headline=number_of(bad, "bad finding") if bad else "Nothing bad found",
        facts=tuple((name, value) for name, value in facts if value),
        findings=tuple(
            (finding.grade, _GRADES[finding.grade], typeset(_capital(finding.text))) for finding in findings
        ),
        kinds=tuple(_kind(kind) for kind in report.kinds),
    )


_LEDES = {
    "consistency": "The same statement several times, none of it from the cache: the noise under the rest.",
    "perturbation": "Edits that make no explanation better, each beside harmless text of the same size at "
    "the same place. A score that rises has been talked into it.",
    "order": "The criteria, and the choices, in the opposite order.",
    "length": "Pairs of explanations of one question whose lengths differ; ties count a half.",
    "discrimination": "How often the better of two explanations has the better score; a coin has 0.5.",
    "self-preference": "Whether it puts its own family further above others than its reference does.",
}


def _kind(kind: KindReport) -> KindTable:
    head, rows = table_of(kind)
    lost = kind.probes - kind.judged
    return KindTable(
        title=_capital(kind.kind),
        lede=f"{_LEDES.get(kind.kind, '')} {number_of(kind.probes, 'statement')}"
        + (f", {lost} of them left unjudged." if lost else "."),
        columns=head,
        rows=tuple(tuple(typeset(cell) for cell in row) for row in rows),
        notes=kind.notes,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
