"""A run folder's figures, and on demand its texts, put into a tracker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lm_eval_tasks.comparison.named import Report
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.runs.reply_table import Replies
from lm_eval_tasks.runs.training_step import training_step
from lm_eval_tasks.tracking.figures import comparison_figures, task_figures
from lm_eval_tasks.tracking.target import Target, tracked

SAMPLES = "samples"


@dataclass(frozen=True, slots=True)
class Tracking:
    """What the user asked for.

    Attributes:
        target: Where figures go.
        samples: Whether questions, explanations and verdicts go there, too.
    """

    target: Target
    samples: bool = False

    def run(self, run: Run, tasks: Sequence[str] = ()) -> None:
        """Puts what a run gave into its tracker.

        Args:
            run: The run, with the judgements that are meant.
            tasks: Only these; default: all.

        Raises:
            TrackingError: If the tracker doesn't take it.
        """
        chosen = {name: run.task(name) for name in tasks or run.tasks}
        figures = {key: value for one in chosen.values() for key, value in task_figures(one).items()}
        step = training_step(run)
        with tracked(self.target, run.path) as tracker:
            tracker.log(figures, step)
            if self.samples:
                rows = [row for row in Replies(run) if row["task"] in chosen]
                tracker.log_texts(SAMPLES, rows, step)

    def comparison(self, report: Report, runs: Mapping[str, Run]) -> None:
        """Puts how runs compare into the tracker's runs of them.

        Args:
            report: The comparison.
            runs: Name in it -> run.

        Raises:
            TrackingError: If the tracker doesn't take it.
        """
        for name, figures in comparison_figures(report).items():
            with tracked(self.target, runs[name].path) as tracker:
                tracker.log(figures, training_step(runs[name]))
