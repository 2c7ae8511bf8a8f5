"""``score`` as a function; what ``anchor-eval score`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from judges.config import load_judge
from judges.errors import ConfigError
from judges.judge import Judge
from lm_eval_tasks.runs.discovery import Run, load_run
from lm_eval_tasks.runs.judging.panel import read_panel
from lm_eval_tasks.runs.judging.rescoring import require_judgements, score_task
from lm_eval_tasks.tasks.load import find_tasks


def score(
    run: Run | str | Path,
    judge: Judge | str | Path | Mapping[str, Any],
    *,
    tasks: Sequence[str] = (),
    name: str | None = None,
    force: bool = False,
) -> Run:
    """Has a run's explanations judged; the judgements lie beside the samples from then on.

    What is judged already is in the judge's cache, and isn't asked again.

    Args:
        run: Loaded, or its folder.
        judge: A judge, or what ``load_judge`` takes. A panel is scored by ``anchor-eval score``.
        tasks: Only these; default: all of the run's.
        name: Name to keep the judgements under; default: the judge's.
        force: Whether to replace another judge's judgements of the same name.

    Returns:
        The run with these judgements.

    Raises:
        ConfigError: If something of that is wrong, or another judge's judgements have that name.
        DataError: If the run can't be read or written to.
        NothingJudgedError: If not a single explanation got a verdict.
        BackendError: If the judge can't serve; its replies so far are in the cache.
        BudgetSpentError: If the judge may spend no more; its replies so far are in the cache.
    """
    found = run if isinstance(run, Run) else load_run(run)
    if isinstance(judge, str | Path) and read_panel(str(judge)) is not None:
        raise ConfigError(f"{judge}: a panel: anchor-eval score {found.path} --judge {judge}")
    chosen = [found.task(task) for task in tasks] if tasks else list(found.tasks.values())
    sources = {task.task: task.source for task in chosen if task.source is not None}
    specs = find_tasks([task.task for task in chosen], None, sources)
    with nullcontext(judge) if isinstance(judge, Judge) else load_judge(judge) as ready:
        summaries = [
            score_task(task, spec, ready, name=name, force=force)
            for task, spec in zip(chosen, specs, strict=True)
        ]
    require_judgements(summaries)
    return load_run(found.path, judge=summaries[0].name)
