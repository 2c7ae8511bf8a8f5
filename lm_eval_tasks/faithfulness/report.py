"""What probes found out, as text for a terminal."""

from __future__ import annotations

from lm_eval_tasks.pocket.calibration import calibration, told_apart
from lm_eval_tasks.runs.probe_files import NAMES, ProbeSummary
from lm_eval_tasks.stats.faithfulness import Figure


def figure_text(figure: Figure) -> str:
    """A figure with its interval, or why there is none."""
    if figure.estimate is None:
        return figure.why_not
    found = figure.estimate
    interval = "" if found.low is None or found.high is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.value:.2f}{interval}, {figure.cases} {figure.of}"


def summary_text(summary: ProbeSummary) -> str:
    """All that one probe found out about one task."""
    lines = [
        f"{summary.task}, probe {summary.kind}: {summary.questions} questions, {summary.replies} replies; "
        f"{summary.way}"
    ]
    if summary.lost:
        reasons = ", ".join(f"{count} {reason}" for reason, count in summary.lost.items())
        lines.append(f"  {sum(summary.lost.values())} replies tell nothing: {reasons}")
    several = len(summary.figures) > 1
    width = max(
        (len(NAMES.get(name, name)) for group in summary.figures.values() for name in group), default=0
    )
    for group, figures in summary.figures.items():
        if several:
            lines.append(f"  {group}")
        indent = "    " if several else "  "
        for name, figure in figures.items():
            lines.append(f"{indent}{NAMES.get(name, name):<{width}}  {figure_text(figure)}")
    lines += _calibrated(summary)
    if summary.curve:
        points = "  ".join(f"{share:.0%}: {same:.2f}" for share, same in summary.curve)
        lines.append(f"  same choice after this share of the explanation: {points}")
    took = summary.took
    lines.append(
        f"  took {took.get('choices', 0):.0f} choices, {took.get('replies', 0):.0f} replies, "
        f"{took.get('writer', 0):.0f} requests to the writer; {took.get('read', 0):.0f} tokens read, "
        f"{took.get('written', 0):.0f} written; {took.get('seconds', 0):.0f} s"
    )
    lines += [f"  note: {note}" for note in summary.notes]
    return "\n".join(lines)


def _calibrated(summary: ProbeSummary) -> list[str]:
    """What its figures can tell, by what they told of models of known faithfulness."""
    told = {
        name: said
        for name, figure in summary.figures.get("all", {}).items()
        if figure.estimate is not None and (said := told_apart(summary.kind, name, figure.estimate.questions))
    }
    if not told:
        known = any(calibration().of(summary.kind, name) for name in summary.figures.get("all", {}))
        if known:
            return ["  what it can tell is known of figures that have too few questions here"]
        return ["  what it can tell isn't measured on models of known faithfulness"]
    return [
        "  what it can tell, by models of known faithfulness:",
        *(f"    {NAMES.get(name, name).strip()}: {said}" for name, said in told.items()),
    ]
