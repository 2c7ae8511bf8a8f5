"""Running the graph: what is finished is passed over, what is stale is named, what is missing is done."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Literal, TypeAlias

from anchor_train.pipeline.plan import plan
from anchor_train.pipeline.tracked import Tracked
from anchor_train.recipes.config import Recipe
from anchor_train.run.copies import linked
from anchor_train.run.manifest import OutputRecord, StageRecord, changes, versions
from anchor_train.run.run_folder import RunFolder
from anchor_train.run.stage import FORM, Stage, StageJob, StageResult
from anchor_train.stages.registry import KINDS, do_work
from judges.errors import ConfigError, DataError, TrackingError
from judges.storage.files import text_hash
from lm_eval_tasks.prompts.reply_form import ASKED, AUTO

State: TypeAlias = Literal["finished", "stale", "missing", "waiting"]
Tell: TypeAlias = Callable[[str], None]

# In a stage's folder while it is being done: hash of all that this attempt depends on, and its clock.
ATTEMPT = ".attempt"
CLOCK = ".clock.json"
# How the folders of trainings end that were done anew.
BEFORE = ".before-"
EVALUATION = "evaluate"


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
        overrides: What of the recipe the command line said; kept for those who look at the run.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: Recipe,
        tell: Tell = lambda line: None,
        overrides: Sequence[str] = (),
    ) -> None:
        self.run = run
        self._overrides = tuple(overrides)
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

    def do(
        self, kinds: Collection[str] | None = None, *, retry_failed: bool = False, redo: bool = False
    ) -> None:
        """Brings stages up to date, in order.

        Args:
            kinds: Only these; None for all.
            retry_failed: In finished stages too, ask again where there was no good reply.
            redo: Whether trainings that are finished may be done anew; their old folders are kept.

        Raises:
            ConfigError: If another process holds the run, there is no such stage, none can be done yet, or a
                finished training would be done anew.
            AnchorError: What a stage raises.
        """
        if kinds is not None and not any(stage.kind in kinds for stage in self.stages):
            strategies = ", ".join(self.recipe.strategies)
            raise ConfigError(f"no stage {' or '.join(sorted(kinds))} in a run with strategies {strategies}")
        with self.run.lock() as lock:
            self._manifest = self.run.manifest()
            if not redo:
                self._require_trained_ones_to_stay(kinds)
            self.run.keep_resolved(self.recipe, self._overrides)
            self._track()
            waiting: list[StageStatus] = []
            ready = 0
            for stage in self.stages:
                if kinds is not None and stage.kind not in kinds:
                    continue
                unfinished = {key for key in stage.needs.values() if not self._is_finished(key)}
                status = self._status(stage, unfinished)
                if status.state == "waiting":
                    waiting.append(replace(status, why=(self._waits(unfinished),)))
                    continue
                ready += 1
                self._bring_up(status, lock, retry_failed)
            if waiting and not ready:
                raise ConfigError(_must_come_first(waiting[0], self.run))
            for status in waiting:
                self._tell(f"{status.stage.key}: {'; '.join(status.why)}")

    def _waits(self, unfinished: Collection[str]) -> str:
        """What a stage waits for, and why that isn't finished."""
        told = []
        for key in sorted(unfinished):
            needed = next(other for other in self.stages if other.key == key)
            below = {one for one in needed.needs.values() if not self._is_finished(one)}
            found = self._status(needed, below)
            why = f" (stale: {'; '.join(found.why)})" if found.state == "stale" else ""
            told.append(f"{key}{why}")
        return f"waits for {', '.join(told)}"

    def _require_trained_ones_to_stay(self, kinds: Collection[str] | None) -> None:
        """Refuses to do a finished training anew, because it is stale or comes after what is.

        Raises:
            ConfigError: Naming them, with the ways out.
        """
        anew: dict[str, str] = {}
        lost: list[StageStatus] = []
        for status in self.status():
            stage = status.stage
            after = [anew[key] for key in stage.needs.values() if key in anew]
            if status.record is None or (status.state != "stale" and not after):
                continue
            reason = f"{stage.key}: {'; '.join(status.why)}" if status.state == "stale" else after[0]
            anew[stage.key] = reason
            if KINDS[stage.kind].trains and not status.begun and (kinds is None or stage.kind in kinds):
                lost.append(status)
        if not lost:
            return
        names = ", ".join(status.stage.key for status in lost)
        before = "".join(f" --set {one}" for one in self.run.last_overrides)
        given = set(self._overrides) == set(self.run.last_overrides)
        hint = "" if given else f" The last run was given{before or ' no --set'}."
        raise ConfigError(
            f"finished training would be done anew: {names} ({anew[lost[0].stage.key]}).{hint} Give the "
            "settings of before (--save-set writes them into the recipe), or --redo: the old folder is kept "
            f"as {lost[0].stage.key}{BEFORE}1"
        )

    def _bring_up(self, status: StageStatus, lock: int, retry_failed: bool) -> None:
        stage = status.stage
        failed = 0 if status.record is None else status.record.summary.get("failed", 0)
        if status.state == "finished" and not (retry_failed and failed):
            note = f"; {failed} without a good reply (--retry-failed asks again)" if failed else ""
            self._tell(f"{stage.key}: finished{note}")
            return
        if status.state == "finished":
            self._tell(f"{stage.key}: asking again for {failed}")
        elif self._taken_over(stage):
            return
        elif status.state == "stale":
            how = "taken up again" if status.begun else "done anew"
            self._tell(f"{stage.key}: stale ({'; '.join(status.why)}), {how}")
        else:
            self._tell(f"{stage.key}: {'taken up again' if status.begun else 'started'}")
        inputs = self._inputs(stage)
        job = replace(self.job(stage), belongs_to=_hash_of(stage, inputs), retry_failed=retry_failed)
        if KINDS[stage.kind].trains and status.record is not None and not status.begun:
            self._set_aside(job.folder)
        job.folder.mkdir(parents=True, exist_ok=True)
        earlier = _start_clock(job.folder, job.belongs_to)
        (job.folder / ATTEMPT).write_text(job.belongs_to, encoding="utf-8")
        clock = time.monotonic()
        result = self._work(job, lock)
        seconds = earlier + time.monotonic() - clock
        record = _record(job, result, inputs, seconds)
        for name in (ATTEMPT, CLOCK):
            (job.folder / name).unlink(missing_ok=True)
        self._manifest = self._manifest.with_stage(stage.key, record)
        self.run.save(self._manifest)
        self._tell(f"{stage.key}: finished in {seconds:.0f} s{', all attempts together' if earlier else ''}")
        self._track()
        report = KINDS[stage.kind].report
        said = KINDS[stage.kind].line(record.summary)
        self._tell(said if report is None else report(record.summary, job.folder))

    def _track(self) -> None:
        """Puts what is finished into the recipe's tracker; one that fails stops nothing, and is told."""
        try:
            Tracked(self.run, self.recipe, self.stages).bring_up(self._manifest)
        except TrackingError as error:
            self._tell(f"warning: {error}; the next stage tries again")

    def _set_aside(self, folder: Path) -> None:
        """Keeps what a finished training left, beside the folder that another one gets."""
        if not folder.is_dir():
            return
        number = next(n for n in count(1) if not folder.with_name(f"{folder.name}{BEFORE}{n}").exists())
        kept = folder.with_name(f"{folder.name}{BEFORE}{number}")
        folder.rename(kept)
        self._tell(f"{folder.relative_to(self.run.path)}: what was trained before is kept as {kept.name}")

    def _taken_over(self, stage: Stage) -> bool:
        """Whether another stage's result is this one's: what a model wrote, when it had another name.

        With one more round, the model that was called by its strategy alone is called by its round.
        """
        parts = stage.key.split("/")
        if parts[0] != EVALUATION or len(parts) < 3:
            return False
        inputs, folder = self._inputs(stage), self.run.stage(stage.key)
        for key, record in self._manifest.stages.items():
            others = key.split("/")
            alike = (others[0], others[-1]) == (parts[0], parts[-1]) and key != stage.key
            if not alike or any(changes(record, stage.settings, inputs, self.run.stage(key))):
                continue
            for name in record.outputs:
                linked(self.run.stage(key) / name, folder / name)
            outputs = {name: OutputRecord.of(folder / name) for name in record.outputs}
            self._manifest = self._manifest.with_stage(stage.key, replace(record, outputs=outputs))
            self.run.save(self._manifest)
            self._tell(f"{stage.key}: taken over from {key}")
            return True
        return False

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


def _start_clock(folder: Path, belongs_to: str) -> float:
    """Starts a stage's clock; returns the seconds that earlier attempts at the very same work took.

    An attempt that was killed took until it last wrote something.
    """
    path, spent = folder / CLOCK, 0.0
    if path.is_file():
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            if row["belongs_to"] == belongs_to:
                written = [file.stat().st_mtime for file in folder.rglob("*") if file.is_file()]
                spent = float(row["spent"]) + max(0.0, max(written) - float(row["started"]))
        except (ValueError, KeyError, TypeError):  # cut short: its time is lost
            spent = 0.0
    path.write_text(
        json.dumps({"belongs_to": belongs_to, "spent": round(spent, 3), "started": time.time()}),
        encoding="utf-8",
    )
    return spent


def _hash_of(stage: Stage, inputs: Mapping[str, str]) -> str:
    pairs = [*stage.settings.items(), *inputs.items()]
    return text_hash(stage.key, *(f"{name}={value!r}" for name, value in sorted(pairs)))


def _must_come_first(status: StageStatus, run: RunFolder) -> str:
    needed = status.why[0]
    return f"{status.stage.key}: {needed}; run that first, or everything with: anchor-train run {run.path}"


def in_order(statuses: Sequence[StageStatus]) -> StageStatus | None:
    """What ``run`` would do next; None if everything is finished."""
    return next((status for status in statuses if status.state in {"stale", "missing"}), None)
