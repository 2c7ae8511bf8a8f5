"""Where a run stands, for people and for machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anchor_train.pipeline.pipeline import StageStatus, in_order
from anchor_train.preferences.pair_report import PairReport
from anchor_train.principles.report import CONSTITUTION, ConstitutionReport, DiscoveryReport
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.group_report import GroupReport
from anchor_train.stages.table import Table
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
    """What came out: reports of pairs and the table in full, a line for each other stage."""
    blocks = []
    for status in statuses:
        if status.record is None or status.state != "finished":
            continue
        if status.stage.kind == "pairs":
            blocks.append(PairReport.from_json(status.record.summary).to_text())
        elif status.stage.kind == "groups":
            blocks.append(GroupReport.from_json(status.record.summary).to_text())
        elif status.stage.kind == "discover":
            blocks.append(DiscoveryReport.from_json(status.record.summary).to_text())
        elif status.stage.kind == "cluster":
            report = ConstitutionReport.from_json(status.record.summary).to_text()
            blocks.append(f"{report}\n{run.stage(status.stage.key) / CONSTITUTION}")
        elif status.stage.kind == "table":
            blocks.append(Table.from_json(status.record.summary).to_text())
        else:
            blocks.append(f"{status.stage.key}: {_line(status)}")
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
    return f"{_SUMMARIES[status.stage.kind](status.record.summary)}, {status.record.seconds:.0f} s"


def _questions(found: Mapping[str, Any]) -> str:
    return f"{found['questions']} of {found['available']} questions ({found['repeated']} repeats left out)"


def _training(found: Mapping[str, Any]) -> str:
    return f"{found['examples']} examples, {found['steps']} steps, loss {found['loss']:.4f}"


def _sample(found: Mapping[str, Any]) -> str:
    return (
        f"{found['replies']} replies to {found['questions']} questions ({found['failed']} failed), "
        f"{found['right']} right; unreadable: {found['without_explanation']} explanations, "
        f"{found['without_choice']} choices; {found['cut_at_max_tokens']} cut at max_tokens"
    )


def _judge(found: Mapping[str, Any]) -> str:
    behaviours = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in sorted(found["behaviours"].items()))
    return (
        f"{found['judged']} of {found['replies']} judged by {found['judge']['name']} "
        f"({found['failed']} unjudged, {found['without_explanation']} unreadable); {behaviours}"
        f"{_price(found)}"
    )


def _consult(found: Mapping[str, Any]) -> str:
    return f"{found['asked']} arguments ({found['failed']} failed)"


def _pairs(found: Mapping[str, Any]) -> str:
    share = "-" if found["lambda"] is None else f"{found['lambda']:.3f}"
    return f"{found['total']} pairs of {found['questions']} questions, lambda {share}"


def _groups(found: Mapping[str, Any]) -> str:
    return (
        f"{found['total']} groups of {found['questions']} questions, {found['contrasted']} with better and "
        f"worse replies"
    )


def _align(found: Mapping[str, Any]) -> str:
    metrics = found["metrics"]
    ends = [metrics.get(f"assessment_accuracy/{when}") for when in ("before", "after")]
    if None in ends:
        return _training(found)
    return f"{_training(found)}, assessment accuracy {ends[0]:.1%} -> {ends[1]:.1%}"


def _discover(found: Mapping[str, Any]) -> str:
    return f"{DiscoveryReport.from_json(found).line()} ({found['failed']} failed)"


def _cluster(found: Mapping[str, Any]) -> str:
    return ConstitutionReport.from_json(found).line()


def _generate(found: Mapping[str, Any]) -> str:
    return f"{found['replies']} replies to {found['questions']} questions"


def _score(found: Mapping[str, Any]) -> str:
    return f"{found['judged']} of {found['replies']} judged by {found['judge']['name']}{_price(found)}"


def _form(found: Mapping[str, Any]) -> str:
    return str(found["why"])


def _table(found: Mapping[str, Any]) -> str:
    return ", ".join(row["model"] for row in found["rows"])


def _price(found: Mapping[str, Any]) -> str:
    accounts = found["accounts"]
    price = accounts.get("price")
    read, written = accounts["prompt_tokens"], accounts["completion_tokens"]
    tokens = "; tokens unknown" if read is None or written is None else f"; {read} + {written} tokens"
    return tokens + ("" if price is None else f", price {price:.4f}")


_SUMMARIES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "questions": _questions,
    "form": _form,
    "sft": _training,
    "sample": _sample,
    "judge": _judge,
    "consult": _consult,
    "pairs": _pairs,
    "dpo": _training,
    "groups": _groups,
    "align": _align,
    "discover": _discover,
    "cluster": _cluster,
    "train": _training,
    "generate": _generate,
    "score": _score,
    "table": _table,
}
