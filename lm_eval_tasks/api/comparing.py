"""``compare`` and ``leaderboard`` as functions; what ``anchor-eval compare`` and ``leaderboard`` do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from judges.errors import ConfigError
from lm_eval_tasks.comparison.boards import collect
from lm_eval_tasks.comparison.named import Report, compare_runs
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.reports.paper_table import paper_table
from lm_eval_tasks.comparison.reports.text import as_json, as_text, p_text
from lm_eval_tasks.leaderboard.pages.site import Figures, Written, write_site
from lm_eval_tasks.leaderboard.pages.training import runs_below
from lm_eval_tasks.runs.discovery import Run, load_run
from lm_eval_tasks.stats.estimation.intervals import CONFIDENCE

if TYPE_CHECKING:
    import pandas

RunLike: TypeAlias = Run | str | Path


@dataclass(frozen=True, eq=False)
class Comparison:
    """Runs compared: prints as ``anchor-eval compare`` does, and shows as a table in a notebook.

    Attributes:
        report: Everything that came out.
        settings: How it was estimated.
    """

    report: Report
    settings: Settings

    def __str__(self) -> str:
        return as_text(self.report, self.settings)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        frame = self.to_frame()
        for column in frame:
            text = p_text if column in _P_VALUES else _number
            frame[column] = [text(value) if isinstance(value, float) else value for value in frame[column]]
        notes = "".join(f"<li>{escape(str(note))}</li>" for note in self.report.notes)
        return f"{frame.to_html(index=False, escape=True)}<ul>{notes}</ul>"

    def to_frame(self) -> pandas.DataFrame:
        """One row for each two runs and task; shares of 1, intervals by question.

        Returns:
            Columns ``first, second, task, questions, win, tie, loss, margin, margin_low, margin_high,
            p_value, adjusted_p, accuracy`` (the difference in accuracy; missing where questions are open).
        """
        import pandas

        return pandas.DataFrame([row for pair in self.report.table.pairs.values() for row in _rows(pair)])

    def to_json(self) -> dict[str, Any]:
        """As ``anchor-eval compare --json`` prints it."""
        return as_json(self.report, self.settings)

    def to_latex(self) -> str:
        """The columns of the paper's Table 1.

        Raises:
            ConfigError: If it was compared without a baseline.
        """
        text = paper_table([self.report.table])
        if text is None:
            raise ConfigError("a table as in the paper needs compare(..., baseline=NAME)")
        return text


_P_VALUES = ("p_value", "adjusted_p")


def _number(value: float) -> str:
    return f"{value:.3f}"


def _rows(pair: Any) -> list[dict[str, Any]]:
    return [
        {
            "first": pair.first,
            "second": pair.second,
            "task": task,
            "questions": len(found.matched.shared) - found.unscored,
            "win": found.win.value,
            "tie": found.tie.value,
            "loss": found.loss.value,
            "margin": found.margin.value,
            "margin_low": found.margin.low,
            "margin_high": found.margin.high,
            "p_value": found.p_value,
            "adjusted_p": pair.adjusted_p,
            "accuracy": None if found.accuracy is None else found.accuracy.value,
        }
        for task, found in pair.tasks.items()
    ]


def compare(
    *runs: RunLike,
    baseline: str | None = None,
    tasks: Sequence[str] = (),
    judge: str | None = None,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Comparison:
    """Compares runs: every sample of one with every sample of the other, question by question.

    Args:
        *runs: Two at least: loaded, or their folders. Win and loss are the first one's.
        baseline: Name of a run; then each other run is compared with it alone.
        tasks: Only these; default: all that two runs share.
        judge: Whose judgements, of folders that have several.
        confidence: Coverage of the intervals.
        seed: Of the ratings' draws.

    Raises:
        ConfigError: If a name is unknown or comes twice, or there is one run only.
        DataError: If runs can't be read, share nothing, aren't judged, or were judged by different rubrics.
    """
    loaded = [one if isinstance(one, Run) else load_run(one, judge=judge) for one in runs]
    settings = Settings(seed=seed, confidence=confidence)
    return Comparison(compare_runs(loaded, tasks=tasks, baseline=baseline, settings=settings), settings)


def leaderboard(
    folder: str | Path,
    output: str | Path,
    *,
    baseline: str | None = None,
    judge: str | None = None,
    title: str = "Explanations compared",
    figures: Figures = "none",
) -> Written:
    """Writes the site of all runs below a folder; ``.index`` of what comes back is the page to open.

    Args:
        folder: A folder of runs, or a run folder of ``anchor-train``.
        output: Folder of the site; a site in it is replaced.
        baseline: Name of the run that the others are measured by.
        judge: Whose judgements, where a run has several.
        title: Name of the site.
        figures: Whose charts are drawn as files, too: ``none``, ``main`` or ``all``.

    Raises:
        ConfigError: If the output folder holds something else, or no run is called like the baseline.
        DataError: If there is no run, or one can't be read.
    """
    settings = Settings()
    collection = collect(runs_below(Path(folder), judge), baseline=baseline, settings=settings)
    return write_site(collection, Path(output), title=title, settings=settings, figures=figures)
