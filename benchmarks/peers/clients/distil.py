"""distilabel: its PrometheusEval task, in a pipeline or called by itself."""

from __future__ import annotations

import sys
from typing import Any

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import PrometheusEval
from job import Job, run

SETTINGS = {"mode": "absolute", "rubric": "reasoning"}


def llm(job: Job) -> Any:
    generation = {} if job.max_tokens is None else {"max_new_tokens": job.max_tokens}
    return OpenAILLM(model=job.model, base_url=job.url, api_key="none", generation_kwargs=generation)


def rows(job: Job) -> list[dict[str, str]]:
    return [{"instruction": item["question"], "generation": item["explanation"]} for item in job.items]


def judged(found: list[dict[str, Any]], job: Job) -> int:
    return sum(row["result"] is not None or not job.parse for row in found)


def by_pipeline(job: Job) -> int:
    with Pipeline(name="judge", cache_dir=job.folder) as pipeline:
        LoadDataFromDicts(data=rows(job)) >> PrometheusEval(llm=llm(job), **SETTINGS)
    found = pipeline.run(use_cache=False)
    return judged(found["default"]["train"].to_list(), job)


def by_task(job: Job) -> int:
    task = PrometheusEval(name="judge", llm=llm(job), pipeline=None, **SETTINGS)
    task.load()
    found = [row for part in task.process(rows(job)) for row in part]
    return judged(found, job)


if __name__ == "__main__":
    run(by_task if sys.argv[2:] == ["task"] else by_pipeline)
