"""Finished stages in an experiment tracker: training curves, evaluations, what was spent; each told once.

All stages of a run folder are one run of the tracker. What a tracker was told stands in the run folder, so
that a tracker that failed gets it later, and a stage that was done anew is told again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.run.manifest import Manifest, StageRecord
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import Stage, StageJob
from anchor_train.stages.parts.kind import Figures
from anchor_train.stages.registry import KINDS
from judges.storage.files import read_object, write_json
from lm_eval_tasks.tracking.target import FILE, read_target, tracked
from lm_eval_tasks.tracking.track import SAMPLES

_STAGES = "stages"
_SPENT = ("prompt_tokens", "completion_tokens", "price", "coverage")


class Tracked:
    """What the tracker of a recipe is told of a run.

    Args:
        run: The run folder.
        recipe: Its recipe.
        stages: Its stages, in order.
    """

    def __init__(self, run: RunFolder, recipe: Recipe, stages: Sequence[Stage]) -> None:
        self._run = run
        self._recipe = recipe
        self._stages = {stage.key: stage for stage in stages}

    def bring_up(self, manifest: Manifest) -> None:
        """Tells what the tracker doesn't know yet.

        Raises:
            TrackingError: If the tracker doesn't take it.
        """
        if self._recipe.track is None:
            return
        target = read_target(self._recipe.track, "track")
        told = self._told(str(target))
        news = [
            (stage, manifest.stages[key])
            for key, stage in self._stages.items()
            if key in manifest.stages and told.get(key) != _mark(manifest.stages[key])
        ]
        if not news:
            return
        with tracked(target, self._run.path) as tracker:
            for stage, record in news:
                job = StageJob(self._run, self._recipe.as_of(stage.strategy), stage)
                steps = self._steps_behind(stage, manifest)
                for step, figures in self._figures(job, record, steps):
                    tracker.log(figures, step)
                if self._recipe.track_samples and (texts := KINDS[stage.kind].texts) is not None:
                    tracker.log_texts(f"{SAMPLES}/{stage.model}", list(texts(job)), steps)
        self._note(str(target), {stage.key: _mark(record) for stage, record in news})

    def _figures(self, job: StageJob, record: StageRecord, steps: int) -> Iterator[Figures]:
        found = KINDS[job.stage.kind].figures
        if found is not None:
            yield from found(job, record.summary, steps)
        accounts = record.summary.get("accounts", {})
        spent = {name: accounts.get(name) for name in _SPENT}
        known = {
            f"spent/{job.stage.key}/{name}": float(value)
            for name, value in spent.items()
            if value is not None
        }
        yield None, {f"seconds/{job.stage.key}": record.seconds, **known}

    def _steps_behind(self, stage: Stage, manifest: Manifest) -> int:
        """Optimiser steps of the training whose model a stage looks at; 0 for the base model."""
        for key in stage.needs.values():
            needed = self._stages[key]
            if KINDS[needed.kind].trains:
                return int(manifest.stages[key].summary["steps"])
            if needed.model is not None and needed.model == stage.model:
                return self._steps_behind(needed, manifest)
        return 0

    @property
    def _file(self) -> Path:
        return self._run.path / FILE

    def _told(self, target: str) -> dict[str, str]:
        """Stage -> what of it the tracker was told."""
        row: dict[str, Any] = read_object(self._file) if self._file.is_file() else {}
        found: dict[str, str] = row.get(target, {}).get(_STAGES, {})
        return found

    def _note(self, target: str, stages: dict[str, str]) -> None:
        row = read_object(self._file)
        row[target][_STAGES] = {**row[target].get(_STAGES, {}), **stages}
        write_json(self._file, row)


def _mark(record: StageRecord) -> str:
    return f"{record.finished} {record.content}"
