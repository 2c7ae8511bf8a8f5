"""Whether judges are ready: each address of an endpoint is asked to judge one explanation.

Engines on this machine aren't started; their settings, libraries and folders are looked at.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from judges.backends.openai.settings import OpenAISettings, checked_settings
from judges.config import load_judge, read_judge
from judges.errors import AnchorError, MissingExtraError
from judges.judge import Judge
from judges.records import Judgement, Statement
from lm_eval_tasks.doctor.findings import Finding
from lm_eval_tasks.runs.judging.panel import read_panel

_PATIENCE = 60.0
"""Seconds for one request; a server that loads its model when it is first asked needs some."""
_EXAMPLE = Statement(
    "A train leaves at 9:40 and arrives at 11:05. How long does it travel?\n\n(A) 75 minutes\n(B) 85 minutes",
    "From 9:40 to 10:40 is one hour, and from 10:40 to 11:05 another 25 minutes: 85 minutes in all, so (B).",
    choice="B) 85 minutes",
    right_answer="B) 85 minutes",
    reference="Twenty minutes to 10:00, one hour to 11:00, and five minutes more.",
)


def judge_findings(specs: Sequence[str]) -> Iterator[Finding]:
    """What can be said of each judge, or of each member of a panel, before it is needed.

    Args:
        specs: As ``--judge`` takes them.
    """
    for spec in specs:
        try:
            panel = read_panel(spec)
        except AnchorError as error:
            yield _wrong(spec, error)
            continue
        for member in (spec,) if panel is None else panel.panel:
            yield from _judge(member)


def _judge(spec: str) -> Iterator[Finding]:
    try:
        values = read_judge(spec)
        # Where it runs, and whether in batches, is nothing that one request could tell.
        values = {key: value for key, value in values.items() if key not in ("executor", "batch")}
        if values.get("backend") != "openai":
            with load_judge(values, cache=None) as judge:
                said = f"settings are right (rubric {judge.rubric.name}); its engine starts when it is asked"
            yield Finding("judges", spec, "ok", said)
            return
        with load_judge(values, cache=None):  # refuses what is wrong in its file, whatever the address
            pass
        urls = _addresses(values)
    except AnchorError as error:
        yield _wrong(spec, error)
        return
    with ThreadPoolExecutor(max_workers=8) as pool:
        yield from pool.map(lambda url: _asked(spec, values, url, alone=len(urls) == 1), urls)


def _addresses(values: Mapping[str, Any]) -> tuple[str, ...]:
    own = {key: value for key, value in values.items() if key in OpenAISettings.model_fields}
    return checked_settings(own)[0].urls


def _asked(spec: str, values: Mapping[str, Any], url: str, *, alone: bool) -> Finding:
    """One address of a judge, asked about one explanation."""
    about = spec if alone else f"{spec} at {url}"
    timeout = min(float(values.get("timeout", _PATIENCE)), _PATIENCE)
    one = {**values, "base_url": url, "timeout": timeout, "max_attempts": 2, "backoff": 0.0, "patience": 0.0}
    look = f"curl -sS -i {shlex.quote(f'{url}/models')}"
    try:
        with load_judge(one, cache=None) as judge:
            (found,) = judge.assess_all([_EXAMPLE], progress=False)
            held = _held(judge)
    except AnchorError as error:
        return Finding("judges", about, "amiss", str(error), look)
    if not isinstance(found.outcome, Judgement):
        if found.outcome.reason == "failed":
            return Finding("judges", about, "amiss", found.outcome.detail, look)
        said = f"it answers, and without verdicts: {found.outcome}"
        return Finding("judges", about, "amiss", said)
    price = "" if found.price is None else f", price {found.price:.6f}"
    tokens = (
        "" if found.usage is None else f", {found.usage.prompt_tokens}+{found.usage.completion_tokens} tokens"
    )
    said = f"judges an explanation in {found.seconds:.1f} s, {held}{tokens}{price}"
    return Finding("judges", about, "ok", said)


def _held(judge: Judge) -> str:
    if judge.info.constrained:
        return "held to the verdict form"
    return "not held to the verdict form" if judge.info.constrained is False else "form unknown"


def _wrong(spec: str, error: AnchorError) -> Finding:
    mend = (
        f"pip install 'anchored-explanations[{error.extra}]'" if isinstance(error, MissingExtraError) else ""
    )
    return Finding("judges", spec, "amiss", str(error), mend)
