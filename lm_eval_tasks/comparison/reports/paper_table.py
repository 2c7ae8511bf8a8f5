"""Models against one baseline as a LaTeX table with the columns of the paper's Table 1, ready to paste."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lm_eval_tasks.comparison.entry import Entry
from lm_eval_tasks.comparison.pair import Comparison
from lm_eval_tasks.comparison.standings import Table
from lm_eval_tasks.tables import latex_text, percent, signed_percent

_TITLES = {
    "aqua_rat_explain": "AQuA-RAT",
    "arc_challenge_explain": "ARC-Challenge",
    "logiqa_explain": "LogiQA",
    "openbookqa_explain": "OpenBookQA",
}
_HEAD = r"Data set & Base acc. & Model & Acc. & Win & Tie & Loss & Win $-$ Loss \\"


def paper_table(tables: Sequence[Table]) -> str | None:
    """Data set, baseline's accuracy, model, accuracy, win, tie, loss, win - loss; all in percent.

    The spread behind an accuracy is that over the samples, as in the paper. What the paper doesn't print, the
    95% interval of each win - loss and the number of questions, stands in comments below the table.

    Args:
        tables: Compared runs, with one baseline; tasks and models stand in their order.

    Returns:
        None if there is no baseline, or nothing was compared with it.
    """
    baseline = next((one.baseline for one in tables if one.baseline is not None), None)
    lines: list[str] = []
    comments: list[str] = []
    for table, task in [(one, task) for one in tables for task in one.entries]:
        base = None if baseline is None else table.entries[task].get(baseline)
        rows = list(_compared(table, task))
        if base is None or not rows:
            continue
        if lines:
            lines.append(r"\midrule")
        for place, (entry, found) in enumerate(rows):
            cells = (
                latex_text(_TITLES.get(task, task.removesuffix("_explain"))) if place == 0 else "",
                _accuracy(base) if place == 0 else "",
                latex_text(entry.run),
                _accuracy(entry),
                percent(found.win.value),
                percent(found.tie.value),
                percent(found.loss.value),
                _minus(signed_percent(found.margin.value)),
            )
            lines.append(" & ".join(cells) + r" \\")
            comments.append(_comment(task, entry.run, found))
    if not lines:
        return None
    caption = f"Accuracy, and explanations compared with those of {baseline}, in percent."
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(caption)}}}",
            r"\begin{tabular}{llllrrrr}",
            r"\toprule",
            _HEAD,
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "% 95% intervals of win - loss, by question:",
            *comments,
            "",
        ]
    )


def _compared(table: Table, task: str) -> Iterator[tuple[Entry, Comparison]]:
    """The runs with their comparison with the baseline, which is the second of every pair that it is in."""
    for run in table.runs:
        entry = table.entries[task].get(run)
        pair = None if run == table.baseline else table.pair(run, str(table.baseline))
        if entry is not None and pair is not None and task in pair.tasks:
            yield entry, pair.tasks[task]


def _accuracy(entry: Entry) -> str:
    if entry.accuracy is None:
        return "--"
    spread = "" if entry.spread is None else rf" $\pm$ {percent(entry.spread)}"
    return percent(entry.accuracy.value) + spread


def _comment(task: str, run: str, found: Comparison) -> str:
    margin = found.margin
    questions = f"{margin.questions} questions"
    if margin.low is None or margin.high is None:
        return f"% {latex_text(task)}, {latex_text(run)}: too few questions ({questions})"
    interval = f"[{signed_percent(margin.low)}, {signed_percent(margin.high)}]"
    return f"% {latex_text(task)}, {latex_text(run)}: {interval}, {questions}"


def _minus(text: str) -> str:
    return text.replace("+", "").replace("-", "$-$")
