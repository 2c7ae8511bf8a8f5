"""Runs as a data set: a reply a row, with its explanation and verdicts, and a card that says what it is."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from judges.errors import DataError
from judges.storage.files import write_records
from lm_eval_tasks.publishing.cards import TAG, card, fenced, made_with, plain, table
from lm_eval_tasks.runs.discovery import Run, TaskRun
from lm_eval_tasks.runs.judgement_files import PEOPLE
from lm_eval_tasks.stats.estimation.estimates import Estimate, means
from lm_eval_tasks.stats.estimation.intervals import Bounds
from lm_eval_tasks.stats.metrics import Summary, summarise
from lm_eval_tasks.tables import number_of, percent
from lm_eval_tasks.tasks.load import load_task, task_names

ALL = "all"
SPLIT = "test"
_TYPES: dict[str, str] = {
    "run": "string",
    "model": "string",
    "judge": "string",
    "task": "string",
    "id": "string",
    "sample": "int64",
    "context": "string",
    "question": "string",
    "choices": "list",
    "gold": "string",
    "choice": "string",
    "right": "bool",
    "explanation": "string",
    "reply": "string",
    "score": "float64",
    "problem": "string",
    "unjudged": "string",
    "judge_reply": "string",
}
_COLUMNS = """\
| column | is |
|---|---|
| `run`, `model`, `judge`, `task` | which evaluation the reply is from, and who judged it |
| `id`, `sample` | the question, the same in all runs, and which of its replies this is (from 0) |
| `context`, `question`, `choices`, `gold` | what was asked; `gold` is the right choice's label |
| `reply` | what the model wrote, as it wrote it |
| `explanation`, `choice`, `right` | the parts of it that could be read, and whether the choice is right |
| `score` | the judge's verdicts in points |
| CRITERIA | the judge's verdict on each criterion |
| `problem`, `unjudged` | why a reply can't be read, and why it has no verdict; empty where neither is so |
| `judge_reply` | the judge's own words |"""
_TEST_SET = "- Its questions are those of public test sets: don't train on what you evaluate with."
_LIMITS = (
    "- Verdicts of a model are no truth: they depend on the judge, its rubric and its prompt, and are only "
    "to be compared with verdicts of the same judge.\n"
    "- A good explanation need not be the reason for the choice: that is another question, which these "
    "verdicts don't answer.\n"
    "- Explanations of wrong choices are in here, and texts that models wrote may be wrong, biased or rude."
)


def write_explanations(runs: Sequence[Run], folder: Path, *, name: str, licence: str | None = None) -> None:
    """Writes the data set, ``data/RUN.jsonl`` for each run, and its card.

    Args:
        runs: What is in it, as everybody may see it.
        folder: Where to; it is there already.
        name: Its name on the hub.
        licence: Of what is published; None says nothing.

    Raises:
        DataError: If there is no reply in any of the runs.
    """
    (folder / "data").mkdir()
    criteria = _criteria(runs)
    stems = _stems([run.name for run in runs])
    counts = []
    for run, stem in zip(runs, stems, strict=True):
        write_records(folder / "data" / f"{stem}.jsonl", _rows(run, criteria))
        counts.append(len(run.replies))
    if not sum(counts):
        raise DataError("no reply in any of these runs: nothing to publish")
    columns = {**_TYPES, **dict.fromkeys(criteria.values(), "string")}
    text = _card(runs, stems, columns, list(criteria.values()), sum(counts), name, licence)
    (folder / "README.md").write_text(text, encoding="utf-8")


def _rows(run: Run, criteria: dict[str, str]) -> Iterator[dict[str, Any]]:
    judges = {task.task: task.judge for task in run.tasks.values()}
    models = {task.task: task.model for task in run.tasks.values()}
    for row in run.replies:
        judge = judges[row["task"]]
        own = {} if judge is None else {key: row[key] for key in judge.criteria}
        yield {
            "run": run.name,
            "model": models[row["task"]],
            "judge": None if judge is None else judge.name,
            **{key: row[key] for key in _TYPES if key in row},
            **{column: own.get(key) for key, column in criteria.items()},
        }


def _criteria(runs: Sequence[Run]) -> dict[str, str]:
    """Criterion key -> its column, over all rubrics that judged."""
    judges = [task.judge for run in runs for task in run.tasks.values()]
    keys = dict.fromkeys(key for judge in judges if judge is not None for key in judge.criteria)
    return {key: f"verdict_{key}" if key in _TYPES else key for key in keys}


def _stems(names: Sequence[str]) -> list[str]:
    """Names of runs as names of files and of configurations, each once."""
    found: list[str] = []
    taken = {ALL}
    for name in names:
        stem = plain_stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
        number = 2
        while stem.lower() in taken:
            stem, number = f"{plain_stem}-{number}", number + 1
        taken.add(stem.lower())
        found.append(stem)
    return found


def _card(
    runs: Sequence[Run],
    stems: Sequence[str],
    columns: dict[str, str],
    criteria: Sequence[str],
    rows: int,
    name: str,
    licence: str | None,
) -> str:
    features = [
        {"name": key, "sequence": "string"} if kind == "list" else {"name": key, "dtype": kind}
        for key, kind in columns.items()
    ]
    configs = [ALL, *stems]
    files = ["data/*.jsonl", *(f"data/{stem}.jsonl" for stem in stems)]
    tasks = list(dict.fromkeys(task for run in runs for task in run.tasks))
    sources = _sources(tasks)
    judges = {task.judge.name: task.judge for run in runs for task in run.tasks.values() if task.judge}
    by_model = all(judge.backend != PEOPLE for judge in judges.values())
    head = {
        "pretty_name": name.rpartition("/")[2],
        "license": licence,
        "language": ["en"] if _all_built_in(tasks) else None,
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": [_size_category(rows)],
        "annotations_creators": ["machine-generated"] if judges and by_model else None,
        "source_datasets": sources,
        "tags": [TAG, "self-explanations", "llm-as-a-judge"],
        "configs": [
            {
                "config_name": config,
                "data_files": [{"split": SPLIT, "path": path}],
                **({"default": True} if config == ALL else {}),
            }
            for config, path in zip(configs, files, strict=True)
        ],
        "dataset_info": [{"config_name": config, "features": features} for config in configs],
    }
    named = ", ".join(f"`{key}`" for key in criteria) or "(none: nobody judged)"
    lines = [
        f"- {plain(judge.name)}: rubric {plain(judge.asked)}, "
        f"{number_of(len(judge.criteria), 'criterion', 'criteria')}, "
        f"scores from {judge.score_range[0]:g} to {judge.score_range[1]:g}"
        for judge in judges.values()
    ]
    load = (
        f'import datasets\n\nreplies = datasets.load_dataset("{name}", split="{SPLIT}")        # all runs\n'
    )
    load += f'one = datasets.load_dataset("{name}", "{stems[0]}", split="{SPLIT}")  # one of them'
    parts = [
        f"# {plain(name.rpartition('/')[2])}",
        f"{number_of(rows, 'reply', 'replies')} of language models from {number_of(len(runs), 'run')}: "
        f"explanations "
        "of their answers, with the verdicts of judges.",
        f"## Use\n\n{fenced(load, 'python')}",
        "## What came out\n\nMeans over questions, with 95% intervals by question.\n\n" + _results(runs),
        "## Judges\n\n" + ("\n".join(lines) or "Nobody has judged these replies."),
        f"## Columns\n\n{_COLUMNS.replace('CRITERIA', named)}",
        f"## Where it is from\n\n{_origin(tasks, sources)}",
        "## Limits\n\n" + "\n".join([_LIMITS, *([_TEST_SET] if sources else [])]),
        f"Made with {made_with()} (`anchor-eval publish`).",
    ]
    return card(head, parts)


def _results(runs: Sequence[Run]) -> str:
    header = ("run", "model", "task", "questions", "replies", "readable", "judged", "accuracy, %", "score")
    return table(header, [_line(run, task) for run in runs for task in run.tasks.values()])


def _line(run: Run, task: TaskRun) -> list[str]:
    metrics = task.summary.metrics if task.summary is not None else summarise(task.read(), None)
    questions = replies = readable = judged = 0
    scores = []
    for scored in task.read():
        questions += 1
        replies += len(scored.responses)
        readable += sum(reply.response.explanation is not None for reply in scored.responses)
        known = [reply.score for reply in scored.responses if reply.score is not None]
        judged += len(known)
        if known:
            scores.append(statistics.fmean(known))
    score = None
    if task.judge is not None and scores:
        low, high = task.judge.score_range
        (mean,) = means([one / task.judge.units for one in scores], Bounds(low, high))
        score = mean.estimate()
    return [
        *(plain(text) for text in (run.name, task.model, task.task)),
        *(f"{count:,}" for count in (questions, replies, readable, judged)),
        _with_interval(metrics.get("acc"), percent),
        _with_interval(score, lambda value: f"{value:.2f}"),
    ]


def _with_interval(found: Summary | Estimate | None, shown: Callable[[float], str]) -> str:
    if found is None:
        return "-"
    if found.low is None or found.high is None:
        return shown(found.value)
    return f"{shown(found.value)} ({shown(found.low)} to {shown(found.high)})"


def _sources(tasks: Sequence[str]) -> list[str]:
    known = set(task_names())
    specs = [load_task(task) for task in tasks if task in known]
    return list(dict.fromkeys(spec.dataset_path for spec in specs if spec.dataset_path))


def _all_built_in(tasks: Sequence[str]) -> bool:
    return set(tasks) <= set(task_names())


def _origin(tasks: Sequence[str], sources: Sequence[str]) -> str:
    asked = f"Questions of {', '.join(f'`{task}`' for task in tasks)}"
    if sources:
        asked += f", which are those of {', '.join(f'`{source}`' for source in sources)}"
    return (
        f"{asked}; they stand under their own terms. Models were asked to explain first and then to "
        f"choose; explanations and "
        "choices are theirs, verdicts are those of the judges above."
    )


def _size_category(rows: int) -> str:
    ends = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for end, name in ends if rows < end), "1M<n<10M")
