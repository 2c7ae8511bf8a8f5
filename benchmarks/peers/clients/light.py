"""lighteval: its judge over LiteLLM."""

from __future__ import annotations

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("OPENAI_API_KEY", "none")

from job import Job, run
from lighteval.metrics.utils.llm_as_judge import JudgeLM

ASKED = (
    "Rate from 1 to 5 how right, coherent, clear, relevant and deep this explanation is. Explain, then write "
    "the number.\n\nQuestion:\n{question}\n\nExplanation:\n{answer}"
)


def judge(job: Job) -> int:
    os.environ["OPENAI_API_BASE"] = job.url
    os.chdir(job.folder)  # its cache of replies goes to the current folder
    options = {} if job.in_flight is None else {"concurrent_requests": job.in_flight, "caching": False}
    lighteval = JudgeLM(
        model=f"openai/{job.model}",
        templates=lambda question, answer, **_: [
            {"role": "user", "content": ASKED.format(question=question, answer=answer)}
        ],
        process_judge_response=lambda reply: int(reply.split()[-1]) if job.parse else reply,
        judge_backend="litellm",
        backend_options=options,
    )
    nothing = [None] * len(job.items)
    scores, _, _ = lighteval.evaluate_answer_batch(
        [item["question"] for item in job.items],
        [item["explanation"] for item in job.items],
        nothing,
        nothing,
    )
    return sum(score is not None for score in scores)


run(judge)
