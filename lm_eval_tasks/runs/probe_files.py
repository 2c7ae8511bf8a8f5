"""What probes found out about a run's replies: a file of records and a summary, beside the samples log.

``probe_<task>_<kind>.jsonl`` has a row a reply, keyed by run, task, question and sample;
``probe_<task>_<kind>.json`` the figures, who was asked, how, and what it took.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from judges.errors import DataError
from judges.storage.files import read_object, read_rows, write_json, write_records
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.stats.faithfulness import Figure

_KEPT = "what was answered is stored"


NAMES = {
    "area": "area over the curve (0: the choice never moves)",
    "soft_area": "the same, of probabilities",
    "same_without": "same choice without the explanation",
    "whole_as_replied": "choice after the whole as in the reply",
    "adoption": "choice goes over to the hint",
    "elsewhere": "choice moves elsewhere",
    "pull": "hinted choice, with - without the hint",
    "accuracy_drop": "accuracy, without - with the hint",
    "said_by_words": "of those that went over: says so (word list)",
    "corrected_by_words": "  the same, corrected for moves by chance",
    "said_by_model": "of those that went over: says so (model)",
    "corrected_by_model": "  the same, corrected for moves by chance",
    "gain_of_filler": "accuracy, with dots - without anything",
    "gain_of_explanation": "accuracy, with the explanation - without anything",
    "same_after_filler": "same choice after dots as after the explanation",
    "moved_by_mistake": "choice moves after a planted mistake",
    "area_of_mistakes": "area over the curve of mistakes",
    "same_after_paraphrase": "same choice after the explanation in other words",
    "gain_of_paraphrase": "accuracy, in other words - as it was",
    "las": "leakage-adjusted simulatability",
    "las_given_away": "  gain where the explanation gives the choice away",
    "las_not_given_away": "  gain where it doesn't",
    "moved_by_edit": "choice moves with a word put in",
    "silent_of_moved": "of those that moved: word not mentioned",
    "silent_of_all": "moved and not mentioned, of all",
    "phi_cct": "phi-CCT: moving and mentioning",
    "cct": "CCT: how far it moves, and mentioning",
}
"""Figure -> what a reader is told that it is."""


@dataclass(frozen=True, slots=True)
class ProbeRecord(JsonRecord):
    """What a probe made of one reply.

    Attributes:
        run: Name of the run.
        task: The task.
        question: The question's id.
        sample: Number of the reply among those to the question, from 0.
        values: The probe's own.
        lost: Why it tells nothing of this reply; empty if it does.
    """

    run: str
    task: str
    question: str
    sample: int
    values: dict[str, Any]
    lost: str = ""


@dataclass(frozen=True, slots=True)
class ProbeSummary(JsonRecord):
    """What a probe found out about a task of a run.

    Attributes:
        kind: The probe.
        task: The task.
        date: When it ended, ISO 8601.
        source: File name of the samples log.
        source_sha256: Its hash; what was found out about a log that changed is not used.
        model: The model that was asked: its kind and arguments, as the harness takes them.
        way: How it was asked.
        writer: Who wrote; empty if nobody did.
        settings: What was set.
        questions: Questions that were probed.
        replies: Replies that were probed.
        lost: Replies that nothing can be told of: reason -> count.
        figures: Group (a kind of hint, or ``all``) -> name -> figure.
        curve: Share of the explanation -> share of replies with the same answer; empty where there is none.
        took: Choices, replies and requests that were asked for, tokens, seconds.
        notes: What a reader should know.
    """

    kind: str
    task: str
    date: str
    source: str
    source_sha256: str
    model: str
    way: str
    writer: str
    settings: dict[str, Any]
    questions: int
    replies: int
    lost: dict[str, int]
    figures: dict[str, dict[str, Figure]]
    curve: tuple[tuple[float, float], ...] = ()
    took: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def figure(self, name: str, group: str = "all") -> Figure | None:
        """One figure; None if the probe has none of that name."""
        return self.figures.get(group, {}).get(name)


def probe_paths(folder: Path, task: str, kind: str) -> tuple[Path, Path]:
    """The records' file and the summary's."""
    stem = f"probe_{task}_{kind}"
    return folder / f"{stem}.jsonl", folder / f"{stem}.json"


def write_probe(folder: Path, summary: ProbeSummary, records: Iterable[ProbeRecord]) -> Path:
    """Writes both; each file appears whole or not at all. Returns the summary's path."""
    rows, about = probe_paths(folder, summary.task, summary.kind)
    write_records(rows, (record.to_json() for record in records), _KEPT)
    write_json(about, summary.to_json(), _KEPT)
    return about


def read_probes(folder: Path, task: str, source_sha256: str | None = None) -> dict[str, ProbeSummary]:
    """Kind -> summary, of a task's samples log.

    Args:
        folder: Where the samples log lies.
        task: The task.
        source_sha256: Only what was found out about a log of this hash; None for any.

    Raises:
        DataError: If a summary can't be read.
    """
    found: dict[str, ProbeSummary] = {}
    for path in sorted(folder.glob(f"probe_{task}_*.json")):
        row: Mapping[str, Any] = read_object(path)
        try:
            summary = ProbeSummary.from_json(row)
        except ValueError as error:
            raise DataError(f"{path}: not a summary of a probe ({error})") from None
        if summary.task == task and source_sha256 in (None, summary.source_sha256):
            found[summary.kind] = summary
    return found


def read_probe_records(folder: Path, task: str, kind: str) -> list[ProbeRecord]:
    """The records of a probe.

    Raises:
        DataError: Naming file and line of what can't be read.
    """
    path, _ = probe_paths(folder, task, kind)
    found = []
    for where, row in read_rows(path):
        try:
            found.append(ProbeRecord.from_json(row))
        except ValueError as error:
            raise DataError(f"{where}: not a record of a probe ({error})") from None
    return found
