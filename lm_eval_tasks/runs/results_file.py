"""The harness's results file, completed by what a judge made of the replies after the harness had ended.

``lm_eval`` with a judge writes the judge's metrics into ``results_<date>.json`` itself; ``anchor-eval run``
judges later, so it adds them, under the same keys.
"""

from __future__ import annotations

from typing import Any

from judges.storage.files import read_object, write_json
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.runs.judgement_files import JudgementSummary
from lm_eval_tasks.stats.metrics import higher_is_better


def add_judged(run: TaskRun, summary: JudgementSummary) -> None:
    """Puts a task's metrics into the results file of its log; metrics that are there are replaced.

    Args:
        run: The task's samples.
        summary: What a judge made of them.

    Raises:
        DataError: If the file can't be read or written.
    """
    path = run.samples_file.with_name(f"results_{run.date}.json")
    if not path.is_file():
        return
    results = read_object(path)
    values = _inside(results, "results", run.task)
    directions = _inside(results, "higher_is_better", run.task)
    for name, found in summary.metrics.items():
        values[f"{name},none"] = found.value
        values[f"{name}_stderr,none"] = "N/A" if found.stderr is None else found.stderr
        better = higher_is_better(name)
        if better is not None:
            directions[name] = better
    counts = _inside(results, "configs", run.task, "metadata", "counts")
    counts |= {"judged": summary.judged, "unjudged": dict(summary.unjudged)}
    _inside(results, "configs", run.task, "metadata")["judgements"] = summary.name
    write_json(path, results)


def _inside(tree: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The mapping at a place of a tree, made where there is none."""
    for key in keys:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    return tree
