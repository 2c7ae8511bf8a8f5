"""Does training for quality cost faithfulness? The evaluated models of run folders, probed.

    anchor-train experiment pocket --seeds 5 --strategies rank,anchor,anchor-faithful --own-judge none -o work
    python -m benchmarks.faithfulness_of_training work/even/seed-*

Each model of a run that was evaluated there (base, SFT, a model a strategy) is asked again about the replies
that its evaluation holds, by the probes that are calibrated. One row a model: means over the run folders with
95% intervals (Student's t) of the figures, and of their differences from the base model and from SFT, each
taken within a run. With one run folder, intervals are by question.

Prints Markdown; what probes say goes to stderr. What is probed already isn't asked again.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import gc
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from anchor_train.pipeline.plan import plan as stages_of
from anchor_train.pocket.experiment import Across
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.files import load_recipe
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.evaluate import LOG
from benchmarks.coverage.tables import markdown
from lm_eval_tasks.faithfulness.probe_run import ProbeRequest, plan, run_probes
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.probe_files import NAMES, ProbeSummary
from lm_eval_tasks.stats.estimation.estimates import Estimate

FIGURES = ("area", "same_without", "gain_of_explanation", "moved_by_mistake", "adoption")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, help="run folders whose evaluation is finished")
    parser.add_argument("--kinds", default="early,filler,mistakes")
    parser.add_argument("--writer", default="pocket-oracle:ground-truth", help="of mistakes; '' for nobody")
    parser.add_argument("--limit", type=int, default=100, help="questions of each model")
    options = parser.parse_args()
    kinds = tuple(options.kinds.split(","))
    request = ProbeRequest(kinds, writer=options.writer or None, limit=options.limit)
    found = [dict(probed(RunFolder.open(path), request)) for path in options.runs]
    print(f"{datetime.date.today()}, {os.cpu_count()} CPU cores; {options.limit} questions, one reply each\n")
    print(report(found))


def probed(run: RunFolder, request: ProbeRequest) -> Iterator[tuple[str, list[ProbeSummary]]]:
    """The evaluated models of a run, by name, and what the probes found out about each."""
    recipe: Recipe = load_recipe(run.path / "resolved.yaml")
    for stage in stages_of(recipe):
        if stage.kind != "generate" or stage.refined or stage.model is None:
            continue
        log = run.stage(stage.key) / LOG
        print(f"{run.path.name}: {stage.model}", file=sys.stderr, flush=True)
        (task,) = load_run(log).tasks.values()
        finished = dict(_kept(log, task.task))
        if not set(request.kinds) <= set(finished):
            with contextlib.redirect_stdout(sys.stderr):
                finished = {found.kind: found for found in run_probes(plan(load_run(log), request))}
            gc.collect()
        yield stage.model, [finished[kind] for kind in request.kinds]


def _kept(log: Path, task: str) -> Iterator[tuple[str, ProbeSummary]]:
    for path in log.rglob(f"probe_{task}_*.json"):
        summary = ProbeSummary.from_json(json.loads(path.read_text(encoding="utf-8")))
        yield summary.kind, summary


def report(found: list[dict[str, list[ProbeSummary]]]) -> str:
    """A table of figures, and one of differences."""
    models = list(found[0])
    shown = [name for name in FIGURES if any(_estimate(run, models[0], name) for run in found)]
    tables = [markdown(["model", *(NAMES[name] for name in shown)], _rows(found, models, shown))]
    for against in ("base", "sft"):
        others = [model for model in models if model not in ("base", against)]
        if len(found) > 1 and against in models:
            rows = [
                [model, *(_difference(found, model, against, name) for name in shown)] for model in others
            ]
            tables.append(f"Less what {against} has:\n\n{markdown(['model', *shown], rows)}")
    return "\n\n".join(tables)


def _rows(found: list[dict[str, list[ProbeSummary]]], models: list[str], shown: list[str]) -> list[list[str]]:
    return [[model, *(_cell(found, model, name) for name in shown)] for model in models]


def _cell(found: list[dict[str, list[ProbeSummary]]], model: str, name: str) -> str:
    estimates = [estimate for run in found if (estimate := _estimate(run, model, name)) is not None]
    if len(estimates) < len(found):
        return f"of {len(found)} runs, {len(found) - len(estimates)} have too few"
    if len(found) == 1:
        (only,) = estimates
        return f"{only.value:.2f}" + ("" if only.low is None else f" [{only.low:.2f}, {only.high:.2f}]")
    return _over_runs([one.value for one in estimates])


def _difference(found: list[dict[str, list[ProbeSummary]]], model: str, against: str, name: str) -> str:
    pairs = [(_value(run, model, name), _value(run, against, name)) for run in found]
    values = [one - other for one, other in pairs if one is not None and other is not None]
    return _over_runs(values, "+") if len(values) == len(found) else "too few"


def _over_runs(values: list[float], sign: str = "") -> str:
    across = Across.of(values)
    return f"{across.mean:{sign}.2f} ± {across.half:.2f}"


def _value(run: dict[str, list[ProbeSummary]], model: str, name: str) -> float | None:
    estimate = _estimate(run, model, name)
    return None if estimate is None else estimate.value


def _estimate(run: dict[str, list[ProbeSummary]], model: str, name: str) -> Estimate | None:
    figures = (summary.figure(name) for summary in run[model])
    return next((found.estimate for found in figures if found is not None), None)


if __name__ == "__main__":
    main()
