"""Runs probes over the replies of a task, many side by side, and puts what they found beside the samples."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from judges.errors import DataError
from judges.storage.files import sha256_of
from lm_eval_tasks.faithfulness.asks import (
    Ask,
    AskChoice,
    AskReply,
    AskWriter,
    Chosen,
    Found,
    Sampled,
    Written,
)
from lm_eval_tasks.faithfulness.model import ProbedModel
from lm_eval_tasks.faithfulness.probes.kind import ProbeKind, ProbeSettings, Work
from lm_eval_tasks.faithfulness.writer import Writer
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.runs.probe_files import ProbeRecord, ProbeSummary, write_probe
from lm_eval_tasks.tasks.spec import TaskSpec

Choices = Callable[[Sequence[AskChoice]], Sequence[Chosen]]
Replies = Callable[[Sequence[AskReply]], Sequence[Written]]
Answers = Callable[[Sequence[AskWriter]], Sequence[Written]]


@dataclass(frozen=True, slots=True)
class Respondents:
    """Who answers what probes ask; all asks of a round together.

    Attributes:
        choices: The model's choice after an explanation.
        replies: The model's replies.
        writer: The writer's answers.
    """

    choices: Choices
    replies: Replies
    writer: Answers


def sampled_replies(
    run: str, spec: TaskSpec, questions: Iterable[ScoredQuestion], *, limit: int | None, samples: int
) -> list[Sampled]:
    """The replies that are probed: of the first questions, the first that can be read as a whole.

    Args:
        run: Name of the run.
        spec: The task.
        questions: Its questions with their replies.
        limit: Most questions; None for all.
        samples: Most replies a question.

    Raises:
        DataError: If there is none.
    """
    found: list[Sampled] = []
    seen = 0
    for scored in questions:
        if limit is not None and seen == limit:
            break
        seen += 1
        readable = [
            Sampled(
                run,
                spec.name,
                scored.question,
                number,
                one.response.explanation,
                one.response.choice,
                spec.shown_question(scored.question),
                tuple(other.response.choice for other in scored.responses if other.response.choice),
            )
            for number, one in enumerate(scored.responses)
            if one.response.explanation is not None and one.response.choice is not None
        ]
        found += readable[:samples]
    if not found:
        raise DataError(
            f"{spec.name}: none of the replies to {seen} questions has a readable explanation and choice"
        )
    return found


def probed_by(probe: ProbeKind, replies: Sequence[Sampled]) -> list[Sampled]:
    """The replies that a probe asks about: all, or the first of each question."""
    if not probe.by_question:
        return list(replies)
    firsts: dict[str, Sampled] = {}
    for sampled in replies:
        firsts.setdefault(sampled.question.id, sampled)
    return list(firsts.values())


def work_of(probe: ProbeKind, replies: Sequence[Sampled], settings: ProbeSettings) -> Work:
    """What a probe takes."""
    return sum((probe.work(sampled, settings) for sampled in probed_by(probe, replies)), Work())


def run_probe(
    probe: ProbeKind, replies: Sequence[Sampled], settings: ProbeSettings, ask: Respondents
) -> list[tuple[Sampled, Found]]:
    """Probes replies, all of them side by side, in as many rounds as the probe has.

    Returns:
        What came of each reply, in the order of the replies.
    """
    chosen = probed_by(probe, replies)
    done: dict[int, Found] = {}
    probing = {place: probe.probe(sampled, settings) for place, sampled in enumerate(chosen)}
    asks: dict[int, Sequence[Ask]] = {}
    answers: dict[int, Sequence[Any] | None] = dict.fromkeys(probing)
    while answers:
        asks = {}
        for place, given in answers.items():
            try:
                asks[place] = next(probing[place]) if given is None else probing[place].send(given)
            except StopIteration as end:
                done[place] = end.value
        answers = {**_answered(asks, ask)}
    return [(sampled, done[place]) for place, sampled in enumerate(chosen)]


def _answered(asks: dict[int, Sequence[Ask]], ask: Respondents) -> dict[int, Sequence[Any]]:
    found: dict[int, list[Any]] = {place: [None] * len(wanted) for place, wanted in asks.items()}
    by_kind: dict[type, list[tuple[int, int, Any]]] = defaultdict(list)
    for place, wanted in asks.items():
        for number, one in enumerate(wanted):
            by_kind[type(one)].append((place, number, one))
    respond: dict[type, Callable[[Sequence[Any]], Sequence[Any]]] = {
        AskWriter: ask.writer,
        AskReply: ask.replies,
        AskChoice: ask.choices,
    }
    for kind, answer in respond.items():
        if entries := by_kind.get(kind):
            given = answer([one for _, _, one in entries])
            for (place, number, _), one in zip(entries, given, strict=True):
                found[place][number] = one
    return dict(found)


def probe_task(
    run: str,
    task: TaskRun,
    probe: ProbeKind,
    replies: Sequence[Sampled],
    settings: ProbeSettings,
    model: ProbedModel,
    model_name: str,
    writer: Writer | None,
    notes: Sequence[str] = (),
) -> ProbeSummary:
    """Runs one probe over a task's replies and writes what it found beside the samples log.

    Raises:
        DataError: If the probe tells nothing of any reply, or the folder can't be written to.
    """
    began, before = time.monotonic(), asdict(model.took)
    asked_before = writer.asked if writer else 0

    def nobody(asks: Sequence[AskWriter]) -> list[Written]:
        return [Written(None, None, "there is no writer") for _ in asks]

    respondents = Respondents(model.choices, model.replies, writer.answers if writer else nobody)
    found = run_probe(probe, replies, settings, respondents)
    took = {name: value - before[name] for name, value in asdict(model.took).items()}
    took |= {
        "writer": (writer.asked if writer else 0) - asked_before,
        "seconds": round(time.monotonic() - began, 1),
    }
    summary, records = summarised(
        run, task.task, probe, found, settings, source=(task.samples_file.name, sha256_of(task.samples_file))
    )
    summary = ProbeSummary.from_json(
        {
            **summary.to_json(),
            "model": model_name,
            "way": model.way,
            "writer": writer.name if writer else "",
            "took": took,
            "notes": list(notes),
        }
    )
    write_probe(task.samples_file.parent, summary, records)
    if len(records) == sum(summary.lost.values()):
        reason = next(iter(summary.lost))
        raise DataError(
            f"{task.task}, probe {probe.name}: it tells nothing of any of {len(records)} replies: {reason}"
        )
    return summary


def summarised(
    run: str,
    task: str,
    probe: ProbeKind,
    found: Sequence[tuple[Sampled, Found]],
    settings: ProbeSettings,
    *,
    source: tuple[str, str] = ("", ""),
) -> tuple[ProbeSummary, list[ProbeRecord]]:
    """Figures and records of what came of replies."""
    records = [
        ProbeRecord(run, task, sampled.question.id, sampled.sample, dict(one.values), one.lost)
        for sampled, one in found
    ]
    told = [(record.question, record.values) for record in records if not record.lost]
    summary = ProbeSummary(
        kind=probe.name,
        task=task,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        source=source[0],
        source_sha256=source[1],
        model="",
        way="",
        writer="",
        settings={name: value for name, value in asdict(settings).items() if name != "writer"},
        questions=len({record.question for record in records}),
        replies=len(records),
        lost=dict(Counter(record.lost for record in records if record.lost).most_common()),
        figures={group: dict(figures) for group, figures in probe.figures(told).items()},
        curve=tuple(probe.curve(told)),
    )
    return summary, records
