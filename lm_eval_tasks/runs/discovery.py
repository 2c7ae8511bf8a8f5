"""Runs on disk: which tasks a model was evaluated on, and what it wrote.

A run is a folder as ``lm_eval --output_path`` leaves it: ``<run>/<model>/results_<date>.json`` and
``<run>/<model>/samples_<task>_<date>.jsonl``, with our judgements beside the samples. Nothing is read before
it is needed: discovery looks at file names, results and summaries; questions stream from the logs.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judges.errors import DataError
from judges.judge_info import JudgeInfo
from judges.settings import nearest
from judges.storage.files import read_object, read_rows, sha256_of
from lm_eval_tasks.questions.load import left_out_text
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.judgement_files import PEOPLE, JudgementSummary, read_summaries, slug
from lm_eval_tasks.runs.probe_files import ProbeRecord, ProbeSummary, read_probe_records, read_probes
from lm_eval_tasks.runs.sample_logs import (
    Turns,
    is_explain_row,
    read_judgement_file,
    read_prompts,
    read_samples_log,
)
from lm_eval_tasks.stats.marks import Marks, marks_of
from lm_eval_tasks.tasks.load import load_task, task_names
from lm_eval_tasks.tasks.spec import REFINED

if TYPE_CHECKING:
    from lm_eval_tasks.runs.reply_table import Replies

_SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(?:\.\d+)?)\.jsonl")


@dataclass(frozen=True)
class TaskRun:
    """One task of a run, judged by one judge (or by none).

    Attributes:
        task: Name of the task.
        model: Name of the evaluated model, as lm_eval logged it.
        date: When the samples were logged, ISO 8601 as in the file name.
        samples_file: The samples log.
        version: Version of the task; None if no results file tells.
        prompt_fingerprint: Hash of the task's prompts; None if no results file tells.
        reply_form: How replies were got into their form (``prompts.reply_form``); None if nothing tells.
        repeats: Samples asked for a question; None if no results file tells.
        rows_left_out: Rows of the data set that couldn't be read and were left out, as was asked for.
        left_out: Where the first of them stand, and why they couldn't be read.
        sampling: Generation settings as logged, e.g. temperature and top_p.
        source: The task's YAML, as the harness logged it; None if it had none, or no results file tells.
        chat_template: Hash of the chat template; None for plain completion, or if no results file tells.
        judgements_file: The judgements in use; None if those in the samples log are, or there are none.
        summary: Summary of ``judgements_file``.
        judgements: Names of all judgements of this log, newest first.
        inline_judge: The judge that ran inside ``lm_eval``.
    """

    task: str
    model: str
    date: str
    samples_file: Path
    version: str | None = None
    prompt_fingerprint: str | None = None
    reply_form: str | None = None
    repeats: int | None = None
    rows_left_out: int = 0
    left_out: tuple[str, ...] = ()
    sampling: Mapping[str, Any] | None = None
    source: Path | None = None
    chat_template: str | None = None
    judgements_file: Path | None = None
    summary: JudgementSummary | None = None
    judgements: tuple[str, ...] = ()
    inline_judge: JudgeInfo | None = None

    @property
    def judge(self) -> JudgeInfo | None:
        """Who judged; None if nobody did, or a log doesn't tell."""
        return self.summary.judge if self.summary else self.inline_judge

    def read(self) -> Iterator[ScoredQuestion]:
        """Streams the questions from disk, in the order of the file.

        Raises:
            DataError: With file and line, if a row can't be read or a question comes twice.
        """
        if self.judgements_file is not None:
            return read_judgement_file(self.judgements_file)
        return self.read_samples()

    def read_samples(self) -> Iterator[ScoredQuestion]:
        """Streams the samples log itself, whoever has judged it since."""
        if self.task not in task_names():
            return read_samples_log(self.samples_file)
        spec = load_task(self.task)
        return read_samples_log(self.samples_file, spec.layouts, spec.protocol)

    def read_prompts(self) -> Iterator[tuple[str, Turns]]:
        """Streams what the model was asked, as far as the log tells: question id and turns."""
        layouts = load_task(self.task).layouts if self.task in task_names() else ()
        return read_prompts(self.samples_file, layouts)

    @cached_property
    def probes(self) -> Mapping[str, ProbeSummary]:
        """What probes found out about this log (``anchor-eval probe``): kind -> summary."""
        folder = self.samples_file.parent
        if not read_probes(folder, self.task):
            return {}
        return read_probes(folder, self.task, sha256_of(self.samples_file))

    def probe_records(self, kind: str) -> list[ProbeRecord]:
        """The records of a probe that is among :attr:`probes`."""
        return read_probe_records(self.samples_file.parent, self.task, kind)

    @cached_property
    def questions(self) -> Mapping[str, ScoredQuestion]:
        """Everything in memory: question id -> scored question."""
        return {scored.question.id: scored for scored in self.read()}

    @cached_property
    def marks(self) -> Marks:
        """The numbers alone, as arrays; the texts are not kept."""
        return marks_of(self.read())


@dataclass(frozen=True, repr=False)
class Run:
    """One model's evaluation.

    Attributes:
        name: Name of the folder; unique among the runs that were loaded together.
        path: The folder.
        model: Name of the evaluated model.
        tasks: Task name -> its newest samples (or those of the date asked for).
        notes: What was left aside, and why.
    """

    name: str
    path: Path
    model: str
    tasks: Mapping[str, TaskRun]
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        names = {judge.name for task in self.tasks.values() if (judge := task.judge) is not None}
        judged = f"judged by {', '.join(sorted(names))}" if names else "not judged"
        return f"run {self.name} of {self.model}: {', '.join(self.tasks)}; {judged}"

    @staticmethod
    def load(path: str | Path, *, judge: str | None = None) -> Run:
        """As :func:`load_run`: a run folder, with the judgements of this name where it has several."""
        return load_run(path, judge=judge)

    @property
    def replies(self) -> Replies:
        """Every reply as a row; ``to_pandas()`` and ``to_dataset()`` of it are frame and data set."""
        from lm_eval_tasks.runs.reply_table import Replies

        return Replies(self)

    def task(self, name: str) -> TaskRun:
        """One task by name.

        Raises:
            DataError: If the run has no samples of it.
        """
        if name not in self.tasks:
            raise DataError(f"{self.path}: no samples of task {name!r}: {nearest(name, self.tasks)}")
        return self.tasks[name]

    def refined(self) -> Run:
        """The run with its refined replies in the place of its plain ones, under the plain tasks' names.

        Raises:
            DataError: If it has no refined replies.
        """
        # Other prompts are what is meant to be compared here, so no fingerprint and no warning about it.
        refined = {
            name.removesuffix(REFINED): replace(task, prompt_fingerprint=None)
            for name, task in self.tasks.items()
            if name.endswith(REFINED)
        }
        if not refined:
            raise DataError(
                f"{self.path}: no refined replies, only {', '.join(self.tasks)}; "
                f"tasks whose names end in {REFINED} ask for them"
            )
        plain = {name: task for name, task in self.tasks.items() if not name.endswith(REFINED)}
        note = f"refined replies stand for the plain ones of {', '.join(refined)}"
        return replace(self, tasks={**plain, **refined}, notes=(*self.notes, note))


def load_run(path: str | Path, *, judge: str | None = None, date: str | None = None) -> Run:
    """Finds what a run folder holds.

    Args:
        path: The folder given as ``--output_path``, or the model's folder inside it.
        judge: Name of the judgements to use, where a log has several; without it the newest that isn't of
            people.
        date: Beginning of the log date to use (e.g. ``2025-03-01``); without it the newest of each task.

    Raises:
        DataError: If there is no samples log of our tasks, several models' logs, or no such judgements.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    holders = _holders(folder)
    if not holders:
        raise DataError(
            f"{folder}: no samples log (samples_<task>_<date>.jsonl); "
            "run lm_eval with --log_samples, or anchor-eval run"
        )
    if len(holders) > 1:
        names = ", ".join(str(holder) for holder in holders)
        raise DataError(f"{folder}: holds runs of {len(holders)} models; name one of them: {names}")
    return _load(holders[0], folder, folder.resolve().name, judge, date)


def find_runs(folder: str | Path, *, judge: str | None = None) -> list[Run]:
    """Loads every run below a folder, sorted by name (the path below ``folder``).

    Raises:
        DataError: If there is none, or one can't be read.
    """
    return sorted(
        (_load(holder, root, name, judge, None) for holder, root, name in _below(Path(folder))),
        key=lambda run: run.name,
    )


def names_below(folder: str | Path) -> list[str]:
    """Names of the runs below a folder, as :func:`find_runs` gives them; no file is opened.

    Raises:
        DataError: If there is none.
    """
    return sorted(name for _, _, name in _below(Path(folder)))


def _below(base: Path) -> list[tuple[Path, Path, str]]:
    """Every run below a folder: where its logs lie, its root and its name."""
    if not base.is_dir():
        raise DataError(f"{base}: no such folder")
    holders = sorted({log.parent for log in base.rglob("samples_*.jsonl") if _SAMPLES.fullmatch(log.name)})
    if not holders:
        raise DataError(f"{base}: no run below it (no samples_<task>_<date>.jsonl)")
    siblings: dict[Path, int] = defaultdict(int)
    for holder in holders:
        siblings[holder.parent] += 1
    found = []
    for holder in holders:
        alone = siblings[holder.parent] == 1 and holder != base
        root = holder.parent if alone else holder
        name = root.resolve().name if root == base else root.relative_to(base).as_posix()
        found.append((holder, root, name))
    return found


def _holders(folder: Path) -> list[Path]:
    """The folder itself if logs lie in it, else the folders directly below that hold some."""
    if any(_SAMPLES.fullmatch(log.name) for log in folder.glob("samples_*.jsonl")):
        return [folder]
    return sorted({log.parent for log in folder.glob("*/samples_*.jsonl") if _SAMPLES.fullmatch(log.name)})


def _load(holder: Path, root: Path, name: str, judge: str | None, date: str | None) -> Run:
    logs: dict[str, list[tuple[str, Path]]] = defaultdict(list)
    for log in holder.glob("samples_*.jsonl"):
        found = _SAMPLES.fullmatch(log.name)
        if found and (date is None or found["date"].startswith(date)):
            logs[found["task"]].append((found["date"], log))
    if not logs:
        raise DataError(f"{holder}: no samples log of {date}")
    summaries = read_summaries(holder)
    tasks, notes, foreign = {}, [], []
    for task, dated in sorted(logs.items()):
        newest, log = max(dated)
        if not _is_ours(task, log):
            foreign.append(task)
            continue
        if len(dated) > 1:
            notes.append(f"{task}: the newest of {len(dated)} logs is used ({newest})")
        tasks[task], stale = _task_run(task, newest, log, summaries, judge)
        notes += stale
    if not tasks:
        raise DataError(f"{holder}: no samples of an explanation task, only of {', '.join(foreign)}")
    if foreign:
        notes.append(f"samples of other tasks are left aside: {', '.join(foreign)}")
    model = next(iter(tasks.values())).model
    return Run(name, root, model, tasks, tuple(notes))


def _task_run(
    task: str,
    date: str,
    log: Path,
    summaries: list[tuple[Path, JudgementSummary]],
    judge: str | None,
) -> tuple[TaskRun, list[str]]:
    results_file = log.with_name(f"results_{date}.json")
    results = read_object(results_file) if results_file.is_file() else {}
    config = _mapping(_mapping(results.get("configs")).get(task))
    metadata = _mapping(config.get("metadata"))
    about = [(path, summary) for path, summary in summaries if summary.task == task]
    digest = sha256_of(log) if about else ""
    fresh = [entry for entry in about if entry[1].source_sha256 == digest]
    notes = [
        f"{task}: judgements {summary.name!r} are of another log ({summary.source}) and are not used"
        for path, summary in about
        if (path, summary) not in fresh
    ]
    names = tuple(summary.name for _, summary in fresh)
    inline = _inline_judge(metadata, results_file)
    # People rate some of the statements; their judgements stand for a run's where they are asked for by name.
    of_models = [entry for entry in fresh if entry[1].judge.backend != PEOPLE]
    used = of_models[0] if of_models else fresh[0] if fresh and inline is None else None
    if judge is not None:
        used = _wanted(judge, fresh, inline, f"{log.parent}: {task}")
    elif len(of_models) > 1:
        several = ", ".join(summary.name for _, summary in of_models)
        notes.append(f"{task}: the newest of {len(of_models)} judgements is used ({several})")
    counts = _mapping(metadata.get("counts"))
    notes += _failed(task, counts)
    left_out = counts.get("rows_left_out")
    left_out = left_out if isinstance(left_out, int) else 0
    named = counts.get("left_out")
    places = tuple(map(str, named)) if isinstance(named, list) else ()
    if left_out:
        notes.append(f"{task}: {left_out_text(left_out, places)}")
    version = metadata.get("version", _mapping(results.get("versions")).get(task))
    repeats = config.get("repeats")
    run = TaskRun(
        task=task,
        model=str(results.get("model_name") or log.parent.name),
        date=date,
        samples_file=log,
        version=None if version is None else str(version),
        prompt_fingerprint=_text(metadata.get("prompt_fingerprint")),
        # Before there was a choice, all were asked.
        reply_form=_text(metadata.get("reply_form"))
        or ("asked" if "prompt_fingerprint" in metadata else None),
        repeats=repeats if isinstance(repeats, int) else None,
        rows_left_out=left_out,
        left_out=places,
        sampling=_mapping(config.get("generation_kwargs")) or None,
        source=_source(metadata, log.parent),
        chat_template=_text(results.get("chat_template_sha")),
        judgements_file=used[0] if used else None,
        summary=used[1] if used else None,
        judgements=names,
        inline_judge=inline,
    )
    return run, notes


def _wanted(
    judge: str, found: list[tuple[Path, JudgementSummary]], inline: JudgeInfo | None, where: str
) -> tuple[Path, JudgementSummary] | None:
    """The judgements of this name, or of the only name that it is a part of; None for those in the log."""
    exact = [entry for entry in found if judge in (entry[1].name, entry[1].judge.name)]
    alike = exact or [entry for entry in found if slug(judge) in entry[1].name]
    if len(alike) == 1 or exact:
        return alike[0]
    if not alike and inline is not None and judge in inline.name:
        return None
    names = [summary.name for _, summary in found] + ([inline.name] if inline else [])
    known = nearest(judge, names) if names else "there are none; anchor-eval score makes them"
    raise DataError(f"{where}: no judgements {judge!r}: {known}")


def _inline_judge(metadata: Mapping[str, Any], results_file: Path) -> JudgeInfo | None:
    info = metadata.get("judge_info")
    if info is None:
        return None
    try:
        return JudgeInfo.from_json(info)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{results_file}: 'judge_info' can't be read ({error!r})") from None


def _is_ours(task: str, log: Path) -> bool:
    """Whether a log is of an explanation task: a built-in one, or one whose first row shows it."""
    for _, row in read_rows(log):
        return task in task_names() or is_explain_row(row)
    raise DataError(f"{log}: the samples log is empty")


def _failed(task: str, counts: Mapping[str, Any]) -> list[str]:
    """A note on replies that the model's endpoint failed to give, as the results count them."""
    failed = _mapping(counts.get("failed"))
    if not failed:
        return []
    number = sum(count for count in failed.values() if isinstance(count, int))
    of_all = f"{number} of {counts.get('samples')} replies"
    return [f"{task}: {of_all} failed and count nowhere; the first: {next(iter(failed))}"]


def _source(metadata: Mapping[str, Any], folder: Path) -> Path | None:
    """The task file; one in the run folder is named from where the log lies, so that the run can move."""
    source = _text(metadata.get("config_source"))
    if source is None or source == "inline":
        return None
    return folder / source if source.startswith("../") and (folder / source).is_file() else Path(source)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
