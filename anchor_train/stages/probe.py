"""Stage ``probe``: how much of its explanation does each right reply need for its choice?

Early answering (arXiv 2307.13702), as ``anchor-eval probe`` asks it, of the model that wrote the replies.
Only right replies are asked about that the judge scored: of the others nothing depends on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.stage import Stage, StageJob, StageResult
from anchor_train.stages.evaluate import harness_engine, harness_model
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.judge import read_scored
from anchor_train.stages.parts.kind import Example, Planned, StageKind, Summary, always
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.parts.showing import headline
from anchor_train.training.job import OutputFolder
from judges.errors import DataError
from judges.storage.files import read_records, write_records
from lm_eval_tasks.faithfulness.asks import AskWriter, Sampled, Written
from lm_eval_tasks.faithfulness.probes.early import EARLY
from lm_eval_tasks.faithfulness.probes.kind import ProbeSettings
from lm_eval_tasks.faithfulness.sentences import MOST_CUTS
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.under_way import REPLIES
from lm_eval_tasks.tasks.spec import TaskSpec

PROBED = "probed.jsonl"


@dataclass(frozen=True, slots=True)
class ProbedReply(JsonRecord):
    """What early answering found of one reply.

    Attributes:
        question_id: The question.
        sample: Number of the reply among those to the question.
        area: Area over the curve: 0 where the choice is there without any of the explanation; None if it
            can't be told.
        lost: Why it can't; empty if it can.
    """

    question_id: str
    sample: int
    area: float | None
    lost: str = ""


def probe_replies(job: StageJob) -> StageResult:
    """Does the stage.

    Raises:
        DataError: If there is no reply to ask about, or none of which anything can be told.
    """
    from lm_eval_tasks.faithfulness.model import ProbedModel
    from lm_eval_tasks.faithfulness.runner import Respondents, run_probe
    from lm_eval_tasks.harness.engines.models import open_model

    recipe, spec = job.recipe, asked_in_form(job.run, job.recipe)
    sampled = to_probe(job.stage.key, spec, read_scored(job.needed("scored")))
    if not sampled:
        raise DataError(f"{job.stage.key}: no right reply has a score, so there is nothing to prefer")
    adapter = OutputFolder(job.needed("adapter")).adapter if "adapter" in job.stage.needs else None
    engine, arguments = harness_model(recipe, adapter, job.folder)
    answers = job.folder / REPLIES
    batch_size = recipe.evaluate.batch_size if engine == "hf" else None
    opened = open_model(engine, arguments, replies=answers, seed=None, batch_size=batch_size)
    generation = {**spec.generation.model_dump(), "until": list(spec.generation.until)}
    model = ProbedModel(opened, engine, arguments, spec, generation, templated=True, replies=answers)

    def nobody(asks: Sequence[AskWriter]) -> list[Written]:
        return [Written(None, None, "there is no writer") for _ in asks]

    ask = Respondents(model.choices, model.replies, nobody)
    found = [
        ProbedReply(one.question.id, one.sample, None if made.lost else float(made.values["area"]), made.lost)
        for one, made in run_probe(EARLY, sampled, ProbeSettings(), ask)
    ]
    write_records(job.folder / PROBED, (one.to_json() for one in found))
    areas = [one.area for one in found if one.area is not None]
    lost = dict(Counter(one.lost for one in found if one.lost))
    if not areas:
        raise DataError(f"{job.stage.key}: nothing can be told of any reply: {next(iter(lost))}")
    summary = {
        "replies": len(found),
        "told": len(areas),
        "needing": sum(area > 0 for area in areas),
        "area": fmean(areas),
        "lost": lost,
        "way": model.way,
    }
    return StageResult((PROBED,), summary)


def to_probe(run: str, spec: TaskSpec, scored: Sequence[ScoredQuestion]) -> list[Sampled]:
    """The replies that are asked about: right, with a readable explanation that has a score."""
    return [
        Sampled(
            run,
            spec.name,
            question.question,
            number,
            reply.response.explanation,
            reply.response.choice,
            spec.shown_question(question.question),
        )
        for question in scored
        for number, reply in enumerate(question.responses)
        if reply.correct
        and reply.score is not None
        and reply.response.explanation is not None
        and reply.response.choice is not None
    ]


def areas_by_question(folder: Path) -> dict[str, dict[int, float]]:
    """What the stage left: question -> sample -> area over the curve, where it can be told."""
    found: dict[str, dict[int, float]] = {}
    for one in read_records(folder / PROBED, ProbedReply.from_json):
        if one.area is not None:
            found.setdefault(one.question_id, {})[one.sample] = one.area
    return found


def _basis(stage: Stage, of: Dependencies) -> Basis:
    """What its result depends on."""
    return Basis(of.settings("model", "task", "engine", "evaluate.engine"), {**of.model, **of.prompts})


def _plan(job: StageJob, preview: Preview) -> Planned:
    """What it would do."""
    most = len(preview.questions) * job.recipe.sampler.n
    return Planned(f"asks for the choice after up to {MOST_CUTS} parts of up to {most} explanations")


def _line(found: Summary) -> str:
    """What came of it."""
    lost = sum(found["lost"].values())
    return (
        f"{found['needing']} of {found['told']} right replies need their explanation for their choice "
        f"(mean area over the curve {found['area']:.2f}){f'; nothing told of {lost}' if lost else ''}"
    )


def _show(job: StageJob) -> Iterator[Example]:
    """The replies with what was found of them."""
    scored = {found.question.id: found for found in read_scored(job.needed("scored"))}
    for one in read_records(job.folder / PROBED, ProbedReply.from_json):
        reply = scored[one.question_id].responses[one.sample]
        area = one.lost if one.area is None else f"area over the curve {one.area:.2f}"
        lines = [
            headline(job, scored[one.question_id].question),
            f"--- sample {one.sample}: {area}",
            reply.response.text,
        ]
        yield Example(job.stage.key, one.question_id, "\n".join(lines), one.to_json())


KIND = StageKind(
    "probe",
    work=probe_replies,
    basis=_basis,
    plan=_plan,
    line=_line,
    show=_show,
    file=PROBED,
    commands=("pairs",),
    own_process=True,
    loads=lambda recipe: harness_engine(recipe) == "hf",
    in_form=always,
)
