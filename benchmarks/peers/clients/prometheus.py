"""prometheus-eval: absolute grades with feedback, through its asynchronous LiteLLM client."""

from __future__ import annotations

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("OPENAI_API_KEY", "none")

from job import Job, run
from prometheus_eval import PrometheusEval, utils
from prometheus_eval.litellm import AsyncLiteLLM
from prometheus_eval.prompts import ABSOLUTE_PROMPT_WO_REF, SCORE_RUBRIC_TEMPLATE

LEVELS = ("wrong", "mostly wrong", "partly right", "mostly right", "right")
RUBRIC = SCORE_RUBRIC_TEMPLATE.format(
    criteria="Is the explanation right, coherent, clear, relevant and deep?",
    **{f"score{k}_description": f"The explanation is {level}." for k, level in enumerate(LEVELS, 1)},
)


def judge(job: Job) -> int:
    tuned = {} if job.in_flight is None else {"batch_size": len(job.items), "requests_per_minute": 10**6}
    if not job.parse:
        utils.parse_output = lambda output, mode: (output, 3)  # random text isn't asked for again
    model = AsyncLiteLLM(f"openai/{job.model}", api_base=job.url, **tuned)
    evaluator = PrometheusEval(model=model, absolute_grade_template=ABSOLUTE_PROMPT_WO_REF)
    _, scores = evaluator.absolute_grade(
        instructions=[item["question"] for item in job.items],
        responses=[item["explanation"] for item in job.items],
        rubric=RUBRIC,
        reference_answers=[None] * len(job.items),
    )
    return sum(score is not None for score in scores)


run(judge)
