"""inspect_ai: ``model_graded_qa`` on explanations that are there already, by ``eval`` or ``score``."""

from __future__ import annotations

import sys
from typing import Any

from inspect_ai import Task, eval, score
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, get_model
from inspect_ai.scorer import model_graded_qa
from inspect_ai.solver import solver
from job import Job, run

CRITERION = "The explanation is right, coherent, clear, relevant and deep."


@solver
def given() -> Any:
    async def solve(state: Any, generate: Any) -> Any:
        state.output = ModelOutput.from_content("given", state.metadata["explanation"])
        return state

    return solve


def evaluate(job: Job, scorer: Any) -> Any:
    samples = [
        Sample(input=item["question"], target=CRITERION, metadata={"explanation": item["explanation"]})
        for item in job.items
    ]
    task = Task(dataset=MemoryDataset(samples), solver=given(), scorer=scorer)
    limits = {} if job.in_flight is None else {"max_samples": job.in_flight}
    (log,) = eval(task, model="mockllm/model", log_dir=job.folder, display="none", **limits)
    return log


def grader(job: Job) -> Any:
    config: dict[str, Any] = {}
    if job.in_flight is not None:
        config["max_connections"] = job.in_flight
    if job.max_tokens is not None:
        config["max_tokens"] = job.max_tokens
    from inspect_ai.model import GenerateConfig

    model = get_model(
        f"openai-api/local/{job.model}", base_url=job.url, api_key="none", config=GenerateConfig(**config)
    )
    return model_graded_qa(model=model)


def judged(log: Any, job: Job) -> int:
    if log.status != "success":
        raise SystemExit(f"inspect: {log.error}")
    return sum(bool(sample.scores) or not job.parse for sample in log.samples)


def by_eval(job: Job) -> int:
    return judged(evaluate(job, grader(job)), job)


def by_score(job: Job) -> int:
    return judged(score(LOG, grader(job), display="none"), job)


if sys.argv[2:] == ["score"]:
    import json
    from pathlib import Path

    # What is scored lies there before: not timed.
    LOG = evaluate(Job(**json.loads(Path(sys.argv[1]).read_text())), None)
    run(by_score)
else:
    run(by_eval)
