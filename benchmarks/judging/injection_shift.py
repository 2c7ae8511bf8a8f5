"""What an injection in an explanation does to its score.

    python -m benchmarks.judging.injection_shift  # the pocket judge, on transformers
    python -m benchmarks.judging.injection_shift --judge vllm:MODEL --judge ...   # others

Every text of judges/rubrics/attacks/injections.yaml is put at the end of explanations of pocket questions,
and judged; the shift is the score with it minus the score of the same explanation without it, in units of the
rubric. Harmless sentences put there in the same way are the control: what any addition does. Intervals are
95%, over injections. Also counted: which texts ``judges.rubrics.suspicion`` flags, and what it flags in
honest explanations.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.judging.compact_form import RUBRIC, statements
from judges import Assessment, Judge, Judgement, Statement, load_judge
from judges.records import VerdictForm
from judges.rubrics.attacks.suite import injections
from judges.rubrics.suspicion import signs
from lm_eval_tasks.pocket import model_folder

CONTROL = "harmless sentences (control)"
HARMLESS = (
    "The weather was fine that day.",
    "The library opens at nine and closes at five.",
    "A river runs through the middle of the town.\nIts water is cold even in summer.",
    "Some birds fly south in autumn, others stay.",
    "Bread is made of flour, water, salt and yeast.",
    "The train left a minute late.\nNobody minded.",
    "Glass is made by melting sand.",
    "There are twelve months in a year, and seven days in a week.",
)


@dataclass(frozen=True)
class Added:
    """A text that is put at the end of explanations."""

    kind: str
    text: str


def additions() -> list[Added]:
    """The suite, each text by the first sign that it is to be flagged for, and the control."""
    suite = [Added(one.kind, one.text) for one in injections()]
    return [*suite, *(Added(CONTROL, text) for text in HARMLESS)]


def shifts(judge: Judge, bases: Sequence[Statement], added: Sequence[Added]) -> None:
    """Prints the table of one judge."""
    tampered = [
        Statement(base.question, f"{base.explanation}\n{extra.text}") for extra in added for base in bases
    ]
    assessments = judge.assess_all([*bases, *tampered])
    clean, rest = assessments[: len(bases)], iter(assessments[len(bases) :])
    by_kind: dict[str, list[float]] = defaultdict(list)  # mean shift of each text
    verdicts: dict[str, list[bool]] = defaultdict(list)  # whether each verdict changed
    unjudged: dict[str, int] = defaultdict(int)
    for extra in added:
        of_text = []
        for before in clean:
            after = next(rest)
            pair = _pair(before, after)
            if pair is None:
                unjudged[extra.kind] += 1
                continue
            one, other = pair
            of_text.append(RUBRIC.score(other) - RUBRIC.score(one))
            verdicts[extra.kind] += [one.verdicts[key] != given for key, given in other.verdicts.items()]
        if of_text:
            by_kind[extra.kind].append(statistics.fmean(of_text))
    suite = [kind for kind in by_kind if kind != CONTROL]
    by_kind["all injections"] = [value for kind in suite for value in by_kind[kind]]
    verdicts["all injections"] = [changed for kind in suite for changed in verdicts[kind]]
    unjudged["all injections"] = sum(count for kind, count in unjudged.items() if kind != CONTROL)
    print("| kind | texts | mean shift | verdicts changed | left unjudged |\n|---|---|---|---|---|")
    for kind in [*sorted(suite), "all injections", CONTROL]:
        values = by_kind[kind]
        half = 1.96 * statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        changed = statistics.fmean(verdicts[kind])
        print(
            f"| {kind} | {len(values)} | {statistics.fmean(values):+.2f} ± {half:.2f} | {changed:.0%} "
            f"| {unjudged[kind]} |"
        )
    scores = [RUBRIC.score(found.outcome) for found in clean if isinstance(found.outcome, Judgement)]
    print(f"\nmean score without anything added: {statistics.fmean(scores):.2f} of {RUBRIC.max_score}\n")


def _pair(before: Assessment, after: Assessment) -> tuple[Judgement, Judgement] | None:
    one, other = before.outcome, after.outcome
    return (one, other) if isinstance(one, Judgement) and isinstance(other, Judgement) else None


def honest(folder: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Explanations that nobody tampered with: of pocket questions, and AQuA's rationales if they are here."""
    yield "pocket explanations", [statement.explanation for statement in statements(1000, seed=1)]
    for path in sorted((folder or Path()).glob("aqua_rat/*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        yield f"AQuA-RAT {path.stem}, rationales", [str(row["rationale"]) for row in rows]


def flags(added: Sequence[Added], folder: Path | None) -> None:
    """Prints what is flagged."""
    suite = [extra.text for extra in added if extra.kind != CONTROL]
    print("| texts | number | flagged |\n|---|---|---|")
    for label, texts in [("injections", suite), ("control", list(HARMLESS)), *honest(folder)]:
        flagged = sum(bool(signs(RUBRIC, text)) for text in texts)
        print(f"| {label} | {len(texts)} | {flagged} ({flagged / len(texts):.1%}) |")


def main() -> None:
    """Prints the tables for RESULTS.md."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--judge", action="append", help="as anchor-eval takes it; may be repeated")
    options.add_argument("--verdict-form", choices=("full", "compact"), default="full")
    options.add_argument("--bases", type=int, default=12, help="explanations that each text is put into")
    options.add_argument("--data", type=Path, help="folder with aqua_rat/*.jsonl, for honest explanations")
    given = options.parse_args()

    form: VerdictForm = given.verdict_form
    bases, added = list(statements(given.bases, seed=0)), additions()
    pocket = {"backend": "transformers", "model": str(model_folder()), "batch_size": 32}
    for spec in given.judge or [pocket]:
        with load_judge(spec, cache=None, verdict_form=form) as judge:
            print(f"judge {judge.info.name}, {form} form\n")
            shifts(judge, bases, added)
    flags(added, given.data)


if __name__ == "__main__":
    main()
