"""This library: a judge with its cache on disk."""

from __future__ import annotations

import sys
from pathlib import Path

import aiohttp  # noqa: F401 -- imports aren't timed
import openai  # noqa: F401
from job import Job, run

import judges.backends.openai.backend  # noqa: F401
from judges import Statement, load_judge
from judges.records import Judgement


def judge(job: Job) -> int:
    settings = {"backend": "openai", "model": job.model, "base_url": job.url}
    if job.in_flight is not None:
        settings["concurrency"] = job.in_flight
    if job.max_tokens is not None:
        settings["sampling"] = {"max_tokens": job.max_tokens}
    if sys.argv[2:]:
        settings["verdict_form"] = sys.argv[2]
    statements = [Statement(item["question"], item["explanation"]) for item in job.items]
    with load_judge(settings, cache=Path(job.folder) / "replies.sqlite") as ours:
        found = ours.assess_all(statements, progress=False)
        print(ours.accounts)
    return sum(isinstance(one.outcome, Judgement) for one in found)


run(judge)
