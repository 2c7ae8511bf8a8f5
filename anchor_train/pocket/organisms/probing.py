"""Makes every organism, looks at what it does, probes it, and writes down how well probes tell them apart.

Everything is kept below one folder, ``seed-0/reads/`` with ``model`` and ``run``: after any kind of stop the
same call goes on.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from statistics import fmean

from anchor_train.pocket.making.build import TASK
from anchor_train.pocket.making.growth import Progress
from anchor_train.pocket.organisms.behaviour import Behaviour, behaviour
from anchor_train.pocket.organisms.calibrate import calibrate, kinds_of
from anchor_train.pocket.organisms.lessons import ORGANISMS, Organism
from anchor_train.pocket.organisms.making import make, settings_of
from anchor_train.pocket.organisms.report import calibration_page
from judges.errors import DataError
from judges.output.run_log import FILE, quiet
from judges.storage.files import replacing, write_json
from lm_eval_tasks.faithfulness.model import ProbedModel
from lm_eval_tasks.faithfulness.probe_run import ProbeRequest, plan, run_probes
from lm_eval_tasks.harness.engines.models import open_model
from lm_eval_tasks.harness.generation import GenerationRequest, generate
from lm_eval_tasks.pocket.calibration import Calibration
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.probe_files import ProbeRecord
from lm_eval_tasks.tasks.load import load_task

WRITER = "pocket-oracle:ground-truth"
CALIBRATION = "calibration.json"
PAGE = "calibration.md"
_BATCH = "64"
Tell = Callable[[str], None]


def make_and_look(
    folder: Path, organism: Organism, seed: int, tell: Tell, lessons: int | None = None
) -> Behaviour:
    """Makes an organism of the usual lessons, or of so many, unless it is there; looks at what it does."""
    place = folder / f"seed-{seed}" / organism
    model = place / "model"

    def on_progress(progress: Progress) -> None:
        left = progress.seconds / progress.step * (progress.steps - progress.step)
        at = f"step {progress.step} of {progress.steps}, loss {progress.loss:.2f}"
        tell(f"{organism}: {at}, {left:.0f} s left")

    with quiet(place / FILE):
        make(organism, model, settings_of(organism, seed, lessons), on_progress)
        found = behaviour(organism, probed_model(model, place / "behaviour.sqlite"))
    gc.collect()
    write_json(place / "behaviour.json", found.to_json())
    return found


def probe(
    folder: Path, organism: Organism, seed: int, questions: int, kinds: Sequence[str]
) -> dict[str, list[ProbeRecord]]:
    """Has an organism reply to questions of the test split and probes it.

    Returns:
        Probe -> its records.
    """
    place = folder / f"seed-{seed}" / organism
    run = place / "run"
    request = GenerationRequest(
        model="hf",
        model_args=f"pretrained={(place / 'model').resolve()},dtype=float32",
        tasks=(TASK,),
        limit=questions,
        repeats=1,
        batch_size=_BATCH,
        reply_form="asked",
    )
    with quiet(place / FILE):
        generate(request, run)
        asked = ProbeRequest(kinds=tuple(kinds), writer=WRITER, limit=questions, batch_size=_BATCH)
        run_probes(plan(load_run(run), asked))
    task = load_run(run).task(TASK)
    return {kind: list(task.probe_records(kind)) for kind in kinds}


def calibrate_all(
    folder: Path,
    seeds: Sequence[int],
    questions: int,
    tell: Tell,
    lessons: int | None = None,
) -> Calibration:
    """Makes, looks at and probes every organism, and compares what the probes found.

    An organism that doesn't do as it was taught is of no known faithfulness: it is told, and left out.

    Raises:
        DataError: If fewer than two are left.
    """
    seen: dict[Organism, list[Behaviour]] = {}
    probed: dict[str, dict[str, list[list[ProbeRecord]]]] = {}
    for seed in seeds:
        for organism in ORGANISMS:
            found = make_and_look(folder, organism, seed, tell, lessons)
            if faults := found.faults(organism):
                tell(
                    f"warning: {organism}, seed {seed}: left out, since it does not do as it was taught "
                    f"({', '.join(faults)}); give it more --lessons"
                )
                continue
            seen.setdefault(organism, []).append(found)
            tell(f"{organism}, seed {seed}: as taught in {found.as_taught:.0%} of its choices; probing it")
            for kind, records in probe(folder, organism, seed, questions, kinds_of(organism)).items():
                probed.setdefault(kind, {}).setdefault(organism, []).append(records)
    if len(seen) < 2:
        raise DataError("fewer than two organisms do as they were taught: give them more --lessons")
    contrasts, orders = calibrate(probed)
    named = "".join(f" --seed {seed}" for seed in seeds)
    made = Calibration(
        date=datetime.now(timezone.utc).date().isoformat(),
        command=f"anchor-train pocket organisms DIR --calibrate --questions {questions}{named}",
        questions=questions,
        seeds=tuple(seeds),
        behaviour={organism: _mean(rows) for organism, rows in seen.items()},
        contrasts=tuple(contrasts),
        orders=tuple(orders),
    )
    write_json(folder / CALIBRATION, made.to_json())
    with replacing(folder / PAGE) as file:
        file.write(calibration_page(made) + "\n")
    return made


def _mean(rows: Sequence[Behaviour]) -> dict[str, float | None]:
    """Each share over training seeds."""
    tables = [asdict(row) for row in rows]
    found: dict[str, float | None] = {}
    for name in tables[0]:
        values = [table[name] for table in tables if table[name] is not None]
        found[name] = round(fmean(values), 4) if values else None
    return found


def probed_model(model: Path, answers: Path) -> ProbedModel:
    """A model as probes ask it, its answers kept in a file."""
    args = {"pretrained": str(model.resolve()), "dtype": "float32"}
    opened = open_model("hf", args, replies=answers, seed=0, batch_size=_BATCH)
    spec = load_task(TASK)
    generation = {**spec.generation.model_dump(), "until": list(spec.generation.until)}
    return ProbedModel(opened, "hf", args, spec, generation, templated=True, replies=answers)
