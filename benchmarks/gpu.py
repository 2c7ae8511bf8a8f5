"""Everything that is worth measuring on a GPU, in one command: judging, sampling and DPO at a real shape.

    python benchmarks/gpu.py --shape 8B --peak-tflops 989        # one H100 or H200, bf16
    python benchmarks/gpu.py --shape tiny --dtype float32        # a trial on a CPU, in minutes

Random weights, so nothing is downloaded. Each part is one of the other benchmarks with settings that keep a
GPU busy, in processes of their own that end before the next part; a part that fails doesn't stop the others.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def parts(options: argparse.Namespace) -> dict[str, list[str]]:
    """Name -> command."""
    shape = ["--shape", options.shape, "--dtype", options.dtype, "--rounds", str(options.rounds)]
    slots = ["--slots", str(options.slots)]
    engines = str(HERE / "judging" / "local_engines.py")
    dpo = [str(HERE / "bench_dpo_step.py"), "--shape", options.shape, "--gradient-checkpointing"]
    dpo += ["--prompt", str(options.prompt), "--reply", str(options.reply)]
    if options.peak_tflops:
        dpo += ["--peak-tflops", str(options.peak_tflops)]
    judged, sampled, few = options.items, max(1, options.items // 16), max(1, options.items // 64)
    return {
        "judged/s, vLLM": [engines, "judging", *shape, *slots, "--items", str(judged)],
        "tokens/s, vLLM": [engines, "sampling", *shape, *slots, "--items", str(sampled)],
        "tokens/s, transformers": [
            *[engines, "sampling", "--engine", "transformers", *shape],
            *["--items", str(few), "--batch-size", str(options.batch_size), "--one-by-one"],
        ],
        "DPO step": dpo,
    }


def main() -> None:
    options = _options()
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{datetime.date.today()}, {name}, torch {torch.__version__}", flush=True)
    failed = []
    for part, command in parts(options).items():
        if options.only and not any(word in part for word in options.only):
            continue
        print(f"\n== {part}: python {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, *command]).returncode:
            failed.append(part)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", default="1B", help="one of benchmarks/models.py")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--items", type=int, default=4096, help="explanations; a 16th as many questions")
    parser.add_argument("--slots", type=int, default=256, help="sequences that vLLM runs at once")
    parser.add_argument("--batch-size", type=int, default=64, help="of transformers")
    parser.add_argument("--prompt", type=int, default=384, help="tokens of a pair's prompt")
    parser.add_argument("--reply", type=int, default=256, help="tokens of each of its replies")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak-tflops", type=float, help="of the device, dense, in this dtype")
    parser.add_argument("--only", nargs="*", help="words of the parts to run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
