"""Running the graph: what is finished is passed over, what is stale is named, what is missing is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Literal, TypeAlias

from anchor_train.pipeline.plan import plan
from anchor_train.recipes.config import Recipe
from anchor_train.run.manifest import OutputRecord, StageRecord, changes, versions
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import FORM, Stage, StageJob, StageResult
from anchor_train.stages.registry import KINDS, do_work
from judges.errors import ConfigError, DataError
from judges.files import text_hash
from lm_eval_tasks.prompts.reply_form import ASKED, AUTO

State: TypeAlias = Literal["finished", "stale", "missing", "waiting"]
Tell: TypeAlias = Callable[[str], None]

# In a stage's folder while it is being done: hash of all that this attempt depends on.
ATTEMPT = ".attempt"


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Where a stage stands.

    Attributes:
        stage: The stage.
        state: ``finished``; ``stale`` (finished once, but something changed); ``missing``; ``waiting`` (for a
            stage that isn't finished).
        why: What changed, or what it waits for.
        record: Of the last time it finished.
        begun: Whether an unfinished attempt, with these very settings and inputs, has left something to go
            on from.
    """

    stage: Stage
    state: State
    why: tuple[str, ...] = ()
    record: StageRecord | None = None
    begun: bool = False


class Pipeline:
    """The stages of one run folder.

    Args:
        run: The folder.
        recipe: Its recipe.
        tell: Takes one line of progress.
    """

    def __init__(self, run: RunFolder, recipe: Recipe, tell: Tell = lambda line: None) -> None:
        self.run = run
        self._manifest = run.manifest()
        self.recipe = _as_begun(recipe, self._manifest.stages)
        self.stages = plan(self.recipe)
        self._tell = tell

    def status(self) -> Iterator[StageStatus]:
        """Every stage in order; a stage after a stale one waits, since its input will be made anew."""
        unfinished: set[str] = set()
        for stage in self.stages:
            status = self._status(stage, unfinished)
            if status.state != "finished":
                unfinished.add(stage.key)
            yield status

    def job(self, stage: Stage) -> StageJob:
        """A stage to be looked at, with the recipe as its strategy sees it."""
        return StageJob(self.run, self.recipe.as_of(stage.strategy), stage)

    def do(self, kinds: Collection[str] | None = None, *, retry_failed: bool = False) -> None:
        """Brings stages up to date, in order.

        Args:
            kinds: Only these; None for all.
            retry_failed: In finished stages too, ask again where there was no good reply.

        Raises:
            ConfigError: If another process holds the run, there is no such stage, or none can be done yet.
            AnchorError: What a stage raises.
        """
        if kinds is not None and not any(stage.kind in kinds for stage in self.stages):
            strategies = ", ".join(self.recipe.strategies)
            raise ConfigError(f"no stage {' or '.join(sorted(kinds))} in a run with strategies {strategies}")
        with self.run.lock() as lock:
            self._manifest = self.run.manifest()
            self.run.keep_resolved(self.recipe)
            waiting: list[StageStatus] = []
            ready = 0
            for stage in self.stages:
                if kinds is not None and stage.kind not in kinds:
                    continue
                unfinished = {key for key in stage.needs.values() if not self._is_finished(key)}
                status = self._status(stage, unfinished)
                if status.state == "waiting":
                    waiting.append(status)
                    continue
                ready += 1
                self._bring_up(status, lock, retry_failed)
            if waiting and not ready:
                raise ConfigError(_must_come_first(waiting[0], self.run))
            for status in waiting:
                self._tell(f"{status.stage.key}: {'; '.join(status.why)}")

    def _bring_up(self, status: StageStatus, lock: int, retry_failed: bool) -> None:
        stage = status.stage
        failed = 0 if status.record is None else status.record.summary.get("failed", 0)
        if status.state == "finished" and not (retry_failed and failed):
            note = f"; {failed} without a good reply (--retry-failed asks again)" if failed else ""
            self._tell(f"{stage.key}: finished{note}")
            return
        if status.state == "finished":
            self._tell(f"{stage.key}: asking again for {failed}")
        elif status.state == "stale":
            how = "taken up again" if status.begun else "done anew"
            self._tell(f"{stage.key}: stale ({'; '.join(status.why)}), {how}")
        else:
            self._tell(f"{stage.key}: {'taken up again' if status.begun else 'started'}")
        inputs = self._inputs(stage)
        job = replace(self.job(stage), belongs_to=_hash_of(stage, inputs), retry_failed=retry_failed)
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / ATTEMPT).write_text(job.belongs_to, encoding="utf-8")
        clock = time.monotonic()
        result = self._work(job, lock)
        seconds = time.monotonic() - clock
        record = _record(job, result, inputs, seconds)
        (job.folder / ATTEMPT).unlink()
        self._manifest = self._manifest.with_stage(stage.key, record)
        self.run.save(self._manifest)
        self._tell(f"{stage.key}: finished in {seconds:.0f} s")

    def _work(self, job: StageJob, lock: int) -> StageResult:
        try:
            if not KINDS[job.stage.kind].own_process:
                return do_work(job)
            from anchor_train.pipeline.stage_process import do_apart

            return do_apart(job, lock)
        except OSError as error:  # a full disk, a folder that may not be written
            raise DataError(f"{job.stage.key}: {error}") from error

    def _status(self, stage: Stage, unfinished: Collection[str]) -> StageStatus:
        record = self._manifest.stages.get(stage.key)
        folder = self.run.stage(stage.key)
        blocked = sorted({key for key in stage.needs.values() if key in unfinished})
        if blocked:
            return StageStatus(stage, "waiting", (f"waits for {', '.join(blocked)}",), record)
        inputs = self._inputs(stage)
        attempt = folder / ATTEMPT
        begun = attempt.is_file() and attempt.read_text(encoding="utf-8") == _hash_of(stage, inputs)
        if record is None:
            return StageStatus(stage, "missing", begun=begun)
        found = tuple(changes(record, stage.settings, inputs, folder))
        return StageStatus(stage, "stale" if found else "finished", found, record, begun)

    def _is_finished(self, key: str) -> bool:
        stage = next(stage for stage in self.stages if stage.key == key)
        if any(not self._is_finished(needed) for needed in stage.needs.values()):
            return False
        return self._status(stage, ()).state == "finished"

    def _inputs(self, stage: Stage) -> dict[str, str]:
        """Name -> content of all that a stage reads; its needs are finished."""
        needed = {name: self._manifest.stages[key].content for name, key in stage.needs.items()}
        return {**needed, **stage.externals}


def _as_begun(recipe: Recipe, finished: Collection[str]) -> Recipe:
    """The recipe; a run whose models were asked before there was a choice how goes on as it began."""
    begun = any(key.endswith(("/sample", "/generate")) for key in finished)
    if recipe.reply_form == AUTO and begun and FORM not in finished:
        return recipe.model_copy(update={"reply_form": str(ASKED)})
    return recipe


def _record(job: StageJob, result: StageResult, inputs: Mapping[str, str], seconds: float) -> StageRecord:
    return StageRecord(
        settings=dict(job.stage.settings),
        inputs=dict(inputs),
        outputs={name: OutputRecord.of(job.folder / name) for name in result.outputs},
        summary=result.summary,
        finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        versions=versions(),
    )


def _hash_of(stage: Stage, inputs: Mapping[str, str]) -> str:
    pairs = [*stage.settings.items(), *inputs.items()]
    return text_hash(stage.key, *(f"{name}={value!r}" for name, value in sorted(pairs)))


def _must_come_first(status: StageStatus, run: RunFolder) -> str:
    needed = status.why[0]
    return f"{status.stage.key}: {needed}; run that first, or everything with: anchor-train run {run.path}"


def in_order(statuses: Sequence[StageStatus]) -> StageStatus | None:
    """What ``run`` would do next; None if everything is finished."""
    return next((status for status in statuses if status.state in {"stale", "missing"}), None)
