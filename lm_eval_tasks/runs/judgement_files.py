"""What a judge made of a samples log: a file of scored questions and its summary, beside the log.

``judgements_<task>_<judge>.jsonl`` holds every response with its verdicts, ``judgements_<task>_<judge>.json``
who judged, what it cost and what came out. Several judges, or repeats of one, lie side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from judges.errors import DataError
from judges.judge_info import JudgeInfo
from judges.storage.files import read_object, write_json, write_records
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.stats.metrics import Summary

PEOPLE = "human"
"""Backend of people's judgements, and the name of what several of them together say."""

_KEPT = "what the judge answered is stored"


@dataclass(frozen=True, slots=True)
class JudgementSummary:
    """Who judged which log, when, at what cost, with what result.

    Attributes:
        name: Slug of the judge; tells judgements of one log apart.
        task: Task whose samples were judged.
        date: When judging ended, ISO 8601.
        judge: The judge, rubric included.
        source: File name of the samples log.
        source_sha256: Its hash; judgements of a log that changed are not used.
        model: Name of the evaluated model.
        questions: Questions in the log.
        responses: Responses in the log.
        judged: Responses with a score.
        unreadable: Responses without a readable explanation: reason -> count. They can't be judged.
        unjudged: Responses that the judge gave no verdict on: reason -> count.
        prompt_tokens: Tokens that the judge read for these judgements, whenever it was asked; None if its
            endpoint didn't tell for some.
        completion_tokens: Tokens that it wrote; None likewise.
        price: What they cost; None without prices, or if tokens aren't known.
        accounts: What the run of the judge that wrote the file took, as ``judges.Accounts`` has it.
        metrics: Metric name -> value with standard error.
        flagged: Responses whose explanation addresses the judge: sign -> count (``rubrics.suspicion``).
        failures: Why judge requests failed: reason -> count, the most frequent first.
        unanswered: Responses that the evaluated model's endpoint failed to give: reason -> count. They count
            nowhere.
        notes: What a reader should know, e.g. that judge and judged are of one family.
        rubric: What was judged by, as a rubric's file has it; None in files of before, and for people.
        pages: The pages that people rated on: which statements they saw was drawn for each.
    """

    name: str
    task: str
    date: str
    judge: JudgeInfo
    source: str
    source_sha256: str
    model: str
    questions: int
    responses: int
    judged: int
    unreadable: Mapping[str, int]
    unjudged: Mapping[str, int]
    prompt_tokens: int | None
    completion_tokens: int | None
    price: float | None
    accounts: Mapping[str, Any]
    metrics: Mapping[str, Summary]
    notes: tuple[str, ...] = ()
    flagged: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    unanswered: Mapping[str, int] = field(default_factory=dict)
    rubric: Mapping[str, Any] | None = None
    pages: tuple[str, ...] = ()

    @property
    def coverage(self) -> float | None:
        """Share of the responses that have a score."""
        return self.judged / self.responses if self.responses else None

    def to_json(self) -> dict[str, Any]:
        """The form of the summary file."""
        return {
            **{key: getattr(self, key) for key in _PLAIN},
            "coverage": self.coverage,
            "judge": self.judge.to_json(),
            "unreadable": dict(self.unreadable),
            "unjudged": dict(self.unjudged),
            "accounts": dict(self.accounts),
            "metrics": {name: value.to_json() for name, value in self.metrics.items()},
            "notes": list(self.notes),
            "flagged": dict(self.flagged),
            "failures": dict(self.failures),
            "unanswered": dict(self.unanswered),
            **({} if self.rubric is None else {"rubric": dict(self.rubric)}),
            **({"pages": list(self.pages)} if self.pages else {}),
        }

    @staticmethod
    def from_json(row: Mapping[str, Any]) -> JudgementSummary:
        """Reads the form back."""
        return JudgementSummary(
            **{key: row[key] for key in _PLAIN},
            judge=JudgeInfo.from_json(row["judge"]),
            unreadable=row["unreadable"],
            unjudged=row["unjudged"],
            accounts=row["accounts"],
            metrics={name: Summary(**value) for name, value in row["metrics"].items()},
            notes=tuple(row["notes"]),
            flagged=row.get("flagged", {}),
            failures=row.get("failures", {}),
            unanswered=row.get("unanswered", {}),
            rubric=row.get("rubric"),
            pages=tuple(row.get("pages", ())),
        )


_PLAIN = (
    "name",
    "task",
    "date",
    "source",
    "source_sha256",
    "model",
    "questions",
    "responses",
    "judged",
    "prompt_tokens",
    "completion_tokens",
    "price",
)


def judgement_paths(folder: Path, task: str, name: str) -> tuple[Path, Path]:
    """The scored questions' file and the summary's."""
    stem = f"judgements_{task}_{slug(name)}"
    return folder / f"{stem}.jsonl", folder / f"{stem}.json"


def slug(name: str) -> str:
    """A name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.").lower()[:80] or "judge"


def read_summaries(folder: Path) -> list[tuple[Path, JudgementSummary]]:
    """The judgements in a folder: file of scored questions and summary, newest first.

    Raises:
        DataError: If a summary can't be read, or its scored questions are gone.
    """
    found = []
    for path in sorted(folder.glob("judgements_*.json")):
        row = read_object(path)
        try:
            summary = JudgementSummary.from_json(row)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path}: not a summary of judgements ({error!r})") from None
        questions = path.with_suffix(".jsonl")
        if not questions.is_file():
            raise DataError(f"{path}: its judgements {questions.name} are missing")
        found.append((questions, summary))
    return sorted(found, key=lambda entry: entry[1].date, reverse=True)


def write_judgements(path: Path, questions: Iterable[ScoredQuestion]) -> None:
    """Writes scored questions; the file appears whole or not at all."""
    write_records(path, (question.to_json() for question in questions), _KEPT)


def write_summary(path: Path, summary: JudgementSummary) -> None:
    """Writes a summary; the file appears whole or not at all."""
    write_json(path, summary.to_json(), _KEPT)
