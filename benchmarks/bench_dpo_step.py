"""What a DPO step costs here and in bare TRL: the same batch, adapter and losses; time and peak memory.

    python benchmarks/bench_dpo_step.py             # a small model, on whatever device there is
    python benchmarks/bench_dpo_step.py --shape 8B --gradient-checkpointing --peak-tflops 989     # on an H100

Each side runs in a process of its own, in turns, so that neither inherits the other's memory or warm caches.
The model is random; batches are random tokens of fixed lengths. Times are per optimiser step, the first left
out; CPU seconds hardly depend on what else the machine does. With the device's peak, model FLOP utilisation
is printed: of frozen weights only the forward pass and the gradient of the activations count (4 FLOPs a
weight and token), and 2 for the reference.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.models import SHAPES, llama_config  # noqa: E402

SIDES = ("trl", "ours")


def main() -> None:
    options = _options()
    if options.side:
        print(json.dumps(measure(options)))
        return
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    for _ in range(options.rounds):
        for side in SIDES:
            run = subprocess.run(
                [sys.executable, __file__, *sys.argv[1:], "--side", side],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found[side].append(json.loads(run.stdout.splitlines()[-1]))
    heads = f"{'CPU s/step':>12}{'peak memory MiB':>18}{'first loss':>12}"
    print(f"{'':6}{'s/step (median)':>18}{'(min .. max)':>22}{heads}")
    for side in SIDES:
        times = [seconds for result in found[side] for seconds in result["seconds"]]
        spread = f"({min(times):.4f} .. {max(times):.4f})"
        memory = statistics.median(result["peak_mib"] for result in found[side])
        loss = found[side][0]["first_loss"]
        cpu = statistics.median(seconds for result in found[side] for seconds in result["cpu"])
        print(
            f"{side:6}{statistics.median(times):18.4f}{spread:>22}{cpu:12.4f}{memory:18.0f}{loss:12.6f}",
            end="",
        )
        used = flops(options) / statistics.median(times)
        peak = options.peak_tflops
        print(f"   {used / 1e12:.2f} TFLOP/s" + (f", {used / peak / 1e12:.1%} of the peak" if peak else ""))
    print(f"on {found['ours'][0]['device']}; {vars(options)}")


def flops(options: argparse.Namespace) -> float:
    """Model FLOPs of a step; attention's own products and the adapter are left out (a few per cent)."""
    shape = SHAPES[options.shape]
    tokens = 2 * options.batch * (options.prompt + options.reply)
    weights = shape.parameters - shape.vocab * shape.hidden  # looking up embeddings costs nothing
    return float(tokens * weights * (4 if options.precompute else 6))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Trains a few steps on one side."""
    import torch
    from transformers import TrainerCallback
    from trl import DPOTrainer

    from anchor_train.recipes.training_settings import DpoSettings, LoraSettings, ModelSettings
    from anchor_train.training.job import OutputFolder
    from anchor_train.training.methods.dpo import METHOD, AnchorDpoTrainer, training_rows
    from anchor_train.training.rendering import Fitted, TokenisedPair
    from anchor_train.training.train import run, take_up, trainer_arguments
    from tests.tiny_models import make_tiny_model

    class Clock(TrainerCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            self.times: list[float] = []
            self.cpu_times: list[float] = []
            self.losses: list[float] = []

        def on_step_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            self.start, self.cpu_start = _now(), time.process_time()

        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            self.times.append(_now() - self.start)
            self.cpu_times.append(time.process_time() - self.cpu_start)
            self.peak_mib = _peak_mib()  # of the steps, not of what is saved at the end

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
            if logs and "loss" in logs:
                self.losses.append(logs["loss"])

    generator = torch.Generator().manual_seed(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, SHAPES[options.shape].vocab, (count,), generator=generator).tolist())

    pairs = [
        TokenisedPair(str(i), tokens(options.prompt), tokens(options.reply), tokens(options.reply))
        for i in range(options.batch)
    ]
    settings = DpoSettings(
        optimiser={
            "learning_rate": 5e-7,
            "warmup": 0.1,
            "max_grad_norm": 0.3,
            "batch_size": options.batch,
            "per_device_batch_size": options.batch,
            "gradient_checkpointing": options.gradient_checkpointing,
        },
        max_steps=options.steps,
        max_length=options.prompt + options.reply,
        beta=0.1,
        log_every=1,
        save_every=10**6,
        precompute_reference=options.precompute,
        sample_every=None,
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = OutputFolder(Path(scratch) / "dpo")
        tokenizer_folder = make_tiny_model(Path(scratch) / "tiny")
        model_settings = ModelSettings(name=str(tokenizer_folder))
        take_up(folder, "bench")
        arguments = trainer_arguments(METHOD, settings, model_settings, folder, seed=0)
        trainer = (AnchorDpoTrainer if options.side == "ours" else _bare(DPOTrainer))(
            model=_adapted(options, model_settings, LoraSettings(r=options.rank, alpha=128, dropout=0.05)),
            args=arguments,
            train_dataset=training_rows(pairs),
            processing_class=_tokenizer(model_settings),
        )
        clock = Clock()
        if options.side == "ours":
            run(
                trainer,
                stage="dpo",
                folder=folder,
                settings=settings,
                fitted=Fitted(tuple(pairs)),
                resume=None,
                callbacks=[clock],
            )
        else:
            trainer.add_callback(clock)
            trainer.train()
    return {
        "seconds": clock.times[1:],
        "cpu": clock.cpu_times[1:],
        "peak_mib": clock.peak_mib,
        "first_loss": clock.losses[0],
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU",
    }


def _bare(trainer: Any) -> Any:
    """TRL's own trainer, but for the tokenising: both sides get the same tokens."""
    return type("BareTrainer", (trainer,), {"_prepare_dataset": lambda self, dataset, *rest: dataset})


def _adapted(options: argparse.Namespace, model: Any, lora: Any) -> Any:
    import torch
    from peft import get_peft_model
    from transformers import LlamaForCausalLM

    from anchor_train.training.base_model import lora_config, weights_dtype

    torch.manual_seed(0)
    config = llama_config(SHAPES[options.shape])
    torch.set_default_dtype(weights_dtype(model))
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        base = LlamaForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    return get_peft_model(base, lora_config(lora))


def _tokenizer(model: Any) -> Any:
    from anchor_train.training.base_model import load_tokenizer

    return load_tokenizer(model)


def _peak_mib() -> float:
    """Of the GPU's memory, or of the whole process."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _now() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in {
        "rank": 256,
        "batch": 6,
        "prompt": 96,
        "reply": 32,
        "steps": 11,
        "rounds": 3,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--shape", choices=SHAPES, default="6M", help="one of benchmarks/models.py")
    parser.add_argument("--peak-tflops", type=float, help="of the device, dense, in the dtype of the weights")
    parser.add_argument("--precompute", action="store_true", help="reference log-probabilities beforehand")
    parser.add_argument("--gradient-checkpointing", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
