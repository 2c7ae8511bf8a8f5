"""How many statements an audit needs until it finds what is wrong with a judge.

    python -m benchmarks.audit_power                     # the table of RESULTS.md, some minutes
    python -m benchmarks.audit_power --audits 20 --statements 30 60

Judges of known worth (tests/lm_eval_tasks/audit/known_judges.py) are audited on pocket explanations again and
again, each time on other statements; counted is how often the finding is *bad*, and how often the ground
truth is accused.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.coverage.tables import markdown, percent
from judges import Judge
from lm_eval_tasks.audit.audit import audit
from lm_eval_tasks.audit.plan import plan_of
from lm_eval_tasks.runs.discovery import Run, load_run
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.audit.known_judges import (
    RUBRIC,
    KnownJudge,
    always_good,
    length_lover,
    list_lover,
    noisy,
    obedient,
    oracle,
)
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run

CASES: dict[str, tuple[Callable[[], KnownJudge], str, str]] = {
    "loves length": (length_lover, "length", "prefers the longer one"),
    "loves lists": (list_lover, "perturbation", "rises with list form"),
    "obeys injections": (obedient, "perturbation", "rises with injection: instructions"),
    "always says GOOD": (always_good, "discrimination", "can't tell"),
    "20% noise": (lambda: noisy(0.2), "consistency", "doesn't say the same again"),
    "ground truth": (oracle, "discrimination", ""),
}
"""Judge -> how it is made, the kind of probe that finds it, and words of the finding (none: any bad one)."""


def found(run: Run, case: str, statements: int, seed: int) -> bool:
    """Whether one audit makes the finding."""
    make, kind, words = CASES[case]
    plan = plan_of([run], {TASK: load_task(TASK)}, RUBRIC, statements, seed=seed)
    with Judge(RUBRIC, make()) as judge:
        report = audit(run, plan, (kind,), judge, models={}, progress=False)
    return any(finding.grade == "bad" and words in finding.text for finding in report.findings)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--audits", type=int, default=40, help="Audits of each judge at each size.")
    parser.add_argument("--statements", type=int, nargs="+", default=[30, 40, 60, 100])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = write_pocket_run(Path(folder), Explainer("m1", slips=0.3, bare=0.5), questions=300)
        run = load_run(path)
        for case in options.cases:
            shares = [
                sum(found(run, case, size, seed) for seed in range(options.audits)) / options.audits
                for size in options.statements
            ]
            rows.append([case, CASES[case][1], *map(percent, shares)])
            print(rows[-1], flush=True)
    print(markdown(["judge", "kind", *(f"{size} statements" for size in options.statements)], rows))


if __name__ == "__main__":
    main()
