"""What was looked at, how it is, and what to run where it isn't well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal, TypeAlias

from lm_eval_tasks.tables import number_of

State: TypeAlias = Literal["ok", "absent", "amiss"]
"""``absent``: not there and not needed, unless one wants what it is for."""

_MARKS: dict[State, str] = {"ok": "ok", "absent": "-", "amiss": "AMISS"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        section: What it belongs to: package, extras, engines, machine, judges.
        about: Its name.
        state: How it is.
        said: In one line, with the values that were seen.
        mend: The line to run in a shell; empty where there is none to run.
    """

    section: str
    about: str
    state: State
    said: str
    mend: str = ""


def findings_text(findings: Iterable[Finding]) -> str:
    """All of them by section, what to run below each; the last line says how many are amiss."""
    found = list(findings)
    lines = []
    for section, members in groupby(found, key=lambda finding: finding.section):
        lines.append(f"{section.capitalize()}")
        for one in members:
            lines.append(f"  {_MARKS[one.state]:<5}  {one.about}: {one.said}")
            if one.mend and one.state != "ok":
                lines.append(f"         $ {one.mend}")
    wrong = amiss(found)
    lines.append("")
    lines.append(f"{number_of(len(wrong), 'thing')} amiss" if wrong else "nothing is amiss")
    return "\n".join(lines)


def findings_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """For machines."""
    return {"amiss": len(amiss(findings)), "findings": [asdict(finding) for finding in findings]}


def amiss(findings: Iterable[Finding]) -> list[Finding]:
    """Those that somebody has to mend."""
    return [finding for finding in findings if finding.state == "amiss"]
