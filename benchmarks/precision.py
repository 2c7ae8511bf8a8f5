"""What bfloat16 costs on a processor: a model reads a batch of prompts and writes, in either number type.

    python -m tests.real_model smollm2
    python -m benchmarks.precision smollm2

In turns, in one process; prints seconds (median, least, most), and how many times as long bfloat16 takes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from judges.models.precision import fast_bfloat16

PROMPT = "Explain why ice floats on water and why a stone doesn't. " * 20


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="its folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=24, help="that are written to each prompt")
    options = parser.parse_args()

    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(options.model)([PROMPT] * options.batch, return_tensors="pt")
    models = {
        name: AutoModelForCausalLM.from_pretrained(options.model, dtype=getattr(torch, name))
        for name in ("float32", "bfloat16")
    }
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(options.rounds):
        for name, model in models.items():
            began = time.perf_counter()
            model.generate(
                **ids, max_new_tokens=options.tokens, min_new_tokens=options.tokens, do_sample=False
            )
            seconds[name].append(time.perf_counter() - began)
    told = "has" if fast_bfloat16() else "has no"
    print(f"{os.cpu_count()} cores; this processor {told} instructions for bfloat16")
    for name, found in seconds.items():
        print(f"{name}: {statistics.median(found):.1f} s ({min(found):.1f} .. {max(found):.1f})")
    ratio = statistics.median(seconds["bfloat16"]) / statistics.median(seconds["float32"])
    print(f"bfloat16 takes {ratio:.1f} times as long")


if __name__ == "__main__":
    main()
