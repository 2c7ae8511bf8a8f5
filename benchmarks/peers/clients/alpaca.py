"""AlpacaEval: its evaluator for a judge on vLLM, each explanation against another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from job import Job, run

SHIPPED = "weighted_alpaca_eval_vllm_llama3_70b"


def judge(job: Job) -> int:
    from alpaca_eval import constants
    from alpaca_eval.annotators import PairwiseAnnotator

    text = (constants.EVALUATORS_CONFIG_DIR / SHIPPED / "configs.yaml").read_text()
    (evaluator,) = yaml.safe_load(text).values()
    evaluator["completions_kwargs"]["model_name"] = job.model
    evaluator["prompt_template"] = str(constants.EVALUATORS_CONFIG_DIR / evaluator["prompt_template"])
    if job.max_tokens is not None:
        evaluator["completions_kwargs"]["max_tokens"] = job.max_tokens
        evaluator["completion_parser_kwargs"]["log_prob_index"] = -1
    if job.in_flight is not None:
        evaluator["completions_kwargs"]["num_procs"] = job.in_flight
    config = Path(job.folder) / "evaluator" / "configs.yaml"
    config.parent.mkdir()
    config.write_text(yaml.safe_dump({"judge": evaluator}))
    annotator = PairwiseAnnotator(annotators_config=str(config))
    rows = [
        {"instruction": item["question"], "output_1": item["explanation"], "output_2": item["other"]}
        for item in job.items
    ]
    # Tuned, all rows are one chunk: between two chunks the endpoint idles.
    chunks: dict[str, Any] = {} if job.in_flight is None else {"chunksize": len(rows)}
    found = annotator(rows, **chunks)
    return sum(row["preference"] is not None or not job.parse for row in found)


if __name__ == "__main__":
    run(judge)
