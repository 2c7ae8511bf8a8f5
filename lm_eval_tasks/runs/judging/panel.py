"""A panel: several judges as one, the median of their verdicts criterion by criterion.

Each member judges the run as it would alone, and its judgements stay beside the samples. A statement has the
panel's verdicts where every member has given some: figures never mix panels of different size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from pydantic import Field, field_validator

from judges.errors import ConfigError, DataError
from judges.judge_info import JudgeInfo
from judges.records import Assessment, Judgement, Unjudged, Usage
from judges.rubrics.rubric import Rubric
from judges.settings import Settings, load_yaml, parse
from judges.storage.files import held, sha256_of, text_hash
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.runs.judgement_files import (
    JudgementSummary,
    judgement_paths,
    read_summaries,
    write_judgements,
    write_summary,
)
from lm_eval_tasks.runs.sample_logs import read_judgement_file
from lm_eval_tasks.stats.metrics import summarise

_BETWEEN = ", "  # names of members
KIND = "panel"
"""Backend of a panel's judgements, and the key that makes a judge's file a panel's."""


class Panel(Settings):
    """What a panel's file holds.

    Attributes:
        panel: The members, as ``--judge`` takes them; files beside this one by their names.
        name: What tables call it.
    """

    panel: tuple[str, ...] = Field(min_length=2)
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")

    @field_validator("panel")
    @classmethod
    def _different(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [name for name, count in Counter(value).items() if count > 1]:
            raise ValueError(f"{twice[0]!r} is a member twice; its verdicts would only weigh more")
        return value


def read_panel(judge: str) -> Panel | None:
    """Reads a panel's file; None if a judge isn't a panel.

    Raises:
        ConfigError: If the file is wrong.
    """
    path = Path(judge)
    if path.suffix not in {".yaml", ".yml"} or judge.startswith("scripted:"):
        return None
    values = load_yaml(path)
    if KIND not in values:
        return None
    found = parse(Panel, values, judge)
    members = [
        str(path.parent / member) if (path.parent / member).is_file() else member for member in found.panel
    ]
    return found.model_copy(update={"panel": tuple(members)})


@dataclass(frozen=True, slots=True)
class Member:
    """A member that has judged a log.

    Attributes:
        name: Of its judgements.
        info: Who it is.
    """

    name: str
    info: JudgeInfo


def combine(
    run: TaskRun, panel: Panel, members: Sequence[Member], rubric: Rubric, *, name: str | None = None
) -> JudgementSummary:
    """Writes the panel's judgements beside those of its members.

    Args:
        run: The log.
        panel: The panel.
        members: Its members, in order; each has judged the log.
        rubric: By which all have judged.
        name: Of the judgements; default: the panel's.

    Raises:
        ConfigError: If members go by different rubrics or forms, or another judge has the panel's name.
        DataError: If a member's judgements can't be read.
    """
    info = _info(panel, members)
    folder = run.samples_file.parent
    questions_path, summary_path = judgement_paths(folder, run.task, name or info.slug)
    with held(questions_path):
        _refuse_to_replace(summary_path, info)
        paths = [judgement_paths(folder, run.task, member.name)[0] for member in members]
        write_judgements(questions_path, _combined(paths, rubric))
        of_members = {
            path.stem: summary for path, summary in read_summaries(folder) if summary.task == run.task
        }
        summaries = [of_members[path.stem] for path in paths]
        samples = [one for scored in read_judgement_file(questions_path) for one in scored.responses]
        reasons = Counter(
            one.assessment.outcome.reason
            for one in samples
            if one.assessment is not None and isinstance(one.assessment.outcome, Unjudged)
        )
        first = summaries[0]
        prices = [summary.price for summary in summaries if summary.price is not None]
        summary = JudgementSummary(
            name=questions_path.stem.removeprefix(f"judgements_{run.task}_"),
            task=run.task,
            # Later than its members', whose times have no fractions: the panel is what stands for the run.
            date=datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            judge=info,
            source=run.samples_file.name,
            source_sha256=sha256_of(run.samples_file),
            model=run.model,
            questions=first.questions,
            responses=first.responses,
            judged=sum(one.score is not None for one in samples),
            unreadable=first.unreadable,
            unjudged={str(reason): number for reason, number in reasons.items()},
            prompt_tokens=_sum([one.prompt_tokens for one in summaries]),
            completion_tokens=_sum([one.completion_tokens for one in summaries]),
            price=sum(prices) if len(prices) == len(summaries) else None,
            accounts={},
            metrics=summarise(read_judgement_file(questions_path), rubric),
            notes=tuple(_notes(members, samples)),
            flagged=first.flagged,
            unanswered=first.unanswered,
        )
        write_summary(summary_path, summary)
    return summary


def _info(panel: Panel, members: Sequence[Member]) -> JudgeInfo:
    first = members[0].info
    for member in members[1:]:
        if member.info.yardstick != first.yardstick:
            raise ConfigError(
                f"a panel judges by one rubric in one form: {first.name} by {first.asked}, "
                f"{member.info.name} by {member.info.asked}"
            )
    names = [member.info.name for member in members]
    if len(set(names)) < len(names):
        raise ConfigError(f"two members of the panel have the same name: {', '.join(names)}")
    return replace(
        first,
        name=f"{KIND}:{panel.name or f'{len(names)}-{text_hash(*sorted(names))[:6]}'}",
        backend=KIND,
        model=_BETWEEN.join(names),
        sampling={"members": len(names)},
        constrained=None,
        left_out=(),
    )


def members_of(info: JudgeInfo) -> tuple[str, ...]:
    """The names of a panel's members."""
    return tuple(info.model.split(_BETWEEN))


def _combined(paths: Sequence[Path], rubric: Rubric) -> Iterator[ScoredQuestion]:
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(_rows(path))) for path in paths]
        for found in zip(*streams, strict=True):
            if len({scored.question.id for scored in found}) > 1:
                raise DataError(f"{paths[0]} and {paths[1]}: not of the same questions in the same order")
            samples = zip(*(scored.responses for scored in found), strict=True)
            yield ScoredQuestion(found[0].question, tuple(_sample(several, rubric) for several in samples))


def _rows(path: Path) -> Generator[ScoredQuestion, None, None]:
    yield from read_judgement_file(path)


def _sample(several: Sequence[ScoredResponse], rubric: Rubric) -> ScoredResponse:
    found = [one.assessment for one in several if one.assessment is not None]
    if not found:
        return several[0]
    given = [one.outcome for one in found if isinstance(one.outcome, Judgement)]
    outcome: Judgement | Unjudged
    if len(given) == len(several):
        outcome = rubric.median(given)
    else:
        outcome = Unjudged("failed", f"{len(given)} of {len(several)} members gave verdicts")
    usages = [one.usage for one in found if one.usage is not None]
    prices = [one.price for one in found if one.price is not None]
    assessment = Assessment(
        outcome,
        attempts=sum(one.attempts for one in found),
        usage=sum(usages, Usage()) if len(usages) == len(found) else None,
        seconds=sum(one.seconds for one in found),
        cached=all(one.cached for one in found),
        price=sum(prices) if len(prices) == len(found) else None,
        flagged=found[0].flagged,
    )
    score = rubric.score(outcome) if isinstance(outcome, Judgement) else None
    return replace(several[0], assessment=assessment, score=score)


def _notes(members: Sequence[Member], samples: Sequence[ScoredResponse]) -> Iterator[str]:
    names = ", ".join(member.info.name for member in members)
    yield f"the median verdicts of {len(members)} judges: {names}"
    missing = sum(
        one.assessment is not None and isinstance(one.assessment.outcome, Unjudged) for one in samples
    )
    if missing:
        yield f"{missing} explanations lack a member's verdicts and have none of the panel's"
    if len(members) % 2 == 0:
        yield "of an even number of members the worse of the two middle verdicts counts"


def _refuse_to_replace(path: Path, info: JudgeInfo) -> None:
    for questions, summary in read_summaries(path.parent):
        theirs = summary.judge
        if questions.with_suffix(".json") == path and (theirs.backend, theirs.model) != (KIND, info.model):
            raise ConfigError(f"{path}: holds judgements by {theirs.name}; give the panel another name")


def _sum(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None
