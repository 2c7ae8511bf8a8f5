"""Where a run stands, for people and for machines."""

from __future__ import annotations

from collections.abc import Sequence

from anchor_train.pipeline.pipeline import StageStatus, in_order
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.registry import KINDS
from lm_eval_tasks.records import Json


def as_rows(statuses: Sequence[StageStatus], run: RunFolder) -> Json:
    """The status for machines: ``{run, next, disk_bytes, stages: [...]}``."""
    upcoming = in_order(statuses)
    return {
        "run": str(run.path),
        "next": None if upcoming is None else upcoming.stage.key,
        "disk_bytes": run.disk_bytes(),
        "stages": [_row(status) for status in statuses],
    }


def status_text(statuses: Sequence[StageStatus], run: RunFolder) -> str:
    """The status for people."""
    width = max(len(status.stage.key) for status in statuses)
    lines = [
        f"{status.stage.key:<{width}}  {status.state:<8}  {_line(status)}".rstrip() for status in statuses
    ]
    upcoming = in_order(statuses)
    if upcoming is None:
        lines.append("everything is finished")
    else:
        why = f": {'; '.join(upcoming.why)}" if upcoming.why else ""
        lines.append(f"next: {upcoming.stage.key} ({upcoming.state}{why})")
    lines.append(f"{run.path}: {run.disk_bytes() / 2**20:.1f} MiB")
    return "\n".join(lines)


def results_text(statuses: Sequence[StageStatus], run: RunFolder) -> str:
    """What came out: reports in full, a line for each stage without one."""
    blocks = []
    for status in statuses:
        if status.record is None or status.state != "finished":
            continue
        report = KINDS[status.stage.kind].report
        if report is None:
            blocks.append(f"{status.stage.key}: {_line(status)}")
        else:
            blocks.append(report(status.record.summary, run.stage(status.stage.key)))
    return "\n".join(blocks)


def _row(status: StageStatus) -> Json:
    record = status.record
    return {
        "stage": status.stage.key,
        "kind": status.stage.kind,
        "round": status.stage.round or None,
        "strategy": status.stage.strategy,
        "state": status.state,
        "why": list(status.why),
        "begun": status.begun,
        "finished": None if record is None else record.finished,
        "seconds": None if record is None else record.seconds,
        "summary": None if record is None else record.summary,
    }


def _line(status: StageStatus) -> str:
    if status.state in {"stale", "waiting"}:
        return "; ".join([*status.why, *(["begun anew, will be taken up again"] if status.begun else [])])
    if status.record is None:
        return "begun, will be taken up again" if status.begun else ""
    return f"{KINDS[status.stage.kind].line(status.record.summary)}, {status.record.seconds:.0f} s"
