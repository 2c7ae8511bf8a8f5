"""Local judging and sampling against the bare engine and against lm_eval's backends.

    python benchmarks/judging/local_engines.py judging  # the vllm judge against LLM.chat
    python benchmarks/judging/local_engines.py sampling  # on vLLM against SamplingParams(n=16), lm_eval
    python benchmarks/judging/local_engines.py sampling --engine transformers  # the same without vLLM
    python benchmarks/judging/local_engines.py judging --shape 1B --dtype bfloat16 --items 4096  # with a GPU

All sides hold the same random model, in one run, and take turns; each turn has prompts of its own, so that
none finds another's in a prefix cache, and begins when the engine of the turn before is at rest. Loading
isn't timed. The bare engine gets ready-made conversations in one list. Sampling counts tokens a second, since
random weights end replies where they like. On a CPU our backend runs vLLM in one process, the others as vLLM
does by default; ``VLLM_ENABLE_V1_MULTIPROCESSING=0`` (or ``=1``) has all of them run in the same way.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[2]
Turn: TypeAlias = Callable[[int], tuple[float, float]]
"""Does the work of a turn; gives what was done (judgements or tokens) and the seconds it took."""

CONTEXT = 2048
# An engine's processes spin for a second after their last step (vLLM's message queue) before they sleep.
REST_SECONDS = 2.0
GPU_SHARE = 0.4


def main() -> None:
    options = _options()
    from benchmarks.models import SHAPES, make_model

    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        shape = SHAPES[options.shape]
        model = make_model(Path(scratch) / "model", shape, options.dtype)
        print(f"{shape.parameters / 1e6:.0f}M parameters, {options.dtype}; {vars(options)}", flush=True)
        if options.what == "judging":
            sides = judging(model, options, stack)
        elif options.engine == "vllm":
            sides = sampling_by_vllm(model, options, stack)
        else:
            sides = sampling_by_transformers(model, options, stack)
        found: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(options.rounds + 1):
            order = list(sides.items())
            for place, (name, work) in enumerate(order[turn % len(order) :] + order[: turn % len(order)]):
                time.sleep(REST_SECONDS)
                done, seconds = work(100 * turn + place)
                if turn:  # the first one warms up
                    found[name].append(done / seconds)
                print(f"  {name}: {done:.0f} in {seconds:.2f} s", flush=True)
        unit = "judged/s" if options.what == "judging" else "tokens/s"
        print(f"{'':44}{unit:>10}{'ours is':>10}   (lowest .. highest)")
        ours = statistics.median(found["ours"])
        for name, rates in found.items():
            rate = statistics.median(rates)
            print(f"{name:44}{rate:10.1f}{ours / rate:9.2f}x   ({min(rates):.1f} .. {max(rates):.1f})")


def judging(model: Path, options: argparse.Namespace, stack: ExitStack) -> dict[str, Turn]:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    from benchmarks.peers.items import make_items
    from judges import Statement, load_judge
    from judges.records import Judgement
    from judges.rubrics.load import load_rubric

    judge = stack.enter_context(
        load_judge(_vllm_settings(model, options), cache=model.parent / "cache.sqlite")
    )
    engine = _bare_engine(model, options)
    form = StructuredOutputsParams(regex=load_rubric().form.regex)

    def ours(seed: int) -> tuple[float, float]:
        statements = [Statement(i["question"], i["explanation"]) for i in make_items(options.items, seed)]
        start = time.perf_counter()
        found = judge.assess_all(statements, progress=False)
        seconds = time.perf_counter() - start
        return sum(isinstance(one.outcome, Judgement) for one in found), seconds

    def chat(seed: int) -> tuple[float, float]:
        turns = [
            [{"role": role, "content": item[role]} for role in ("system", "user")]
            for item in make_items(options.items, seed)
        ]
        sampling = SamplingParams(temperature=0, max_tokens=256, structured_outputs=form)
        start = time.perf_counter()
        found = engine.chat(turns, sampling, use_tqdm=False)
        return len(found), time.perf_counter() - start

    return {"LLM.chat, one list": chat, "ours": ours}


def sampling_by_vllm(model: Path, options: argparse.Namespace, stack: ExitStack) -> dict[str, Turn]:
    from lm_eval.models.vllm_causallms import VLLM
    from vllm import SamplingParams

    # lm_eval's own engine serves as the bare one, too.
    harness = VLLM(
        pretrained=str(model),
        dtype=options.dtype,
        max_model_len=CONTEXT,
        batch_size="auto",
        **_engine_args(options),
    )

    def bare(seed: int, seeded: bool) -> tuple[float, float]:
        params = SamplingParams(
            n=options.samples,
            temperature=0.6,
            top_p=0.9,
            max_tokens=options.max_tokens,
            seed=seed if seeded else None,
        )
        start = time.perf_counter()
        found = harness.model.chat(_conversations(options, seed), params, use_tqdm=False)
        seconds = time.perf_counter() - start
        return sum(len(one.token_ids) for each in found for one in each.outputs), seconds

    return {
        f"LLM.chat, n={options.samples}": lambda seed: bare(seed, False),
        f"LLM.chat, n={options.samples}, seeded": lambda seed: bare(seed, True),
        f"lm_eval vllm, repeats={options.samples}": _harness(harness, options),
        "ours": _backend(_vllm_settings(model, options), options, stack),
    }


def sampling_by_transformers(model: Path, options: argparse.Namespace, stack: ExitStack) -> dict[str, Turn]:
    import torch
    from lm_eval.models.huggingface import HFLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    sides: dict[str, Turn] = {}
    for size in (*((1,) if options.one_by_one else ()), options.batch_size):
        harness = HFLM(pretrained=str(model), dtype=options.dtype, batch_size=size, device=device)
        sides[f"lm_eval hf, repeats={options.samples}, batch_size={size}"] = _harness(harness, options)
    settings = {"backend": "transformers", "model": str(model), "dtype": options.dtype}
    return {**sides, "ours": _backend({**settings, "batch_size": options.batch_size}, options, stack)}


def _backend(settings: dict[str, Any], options: argparse.Namespace, stack: ExitStack) -> Turn:
    """The sampler of ``anchor-train``: a chat backend with seeded samples."""
    from judges import load_backend
    from judges.records import Message, Reply, Sampling

    backend = stack.enter_context(load_backend(settings))

    def work(seed: int) -> tuple[float, float]:
        sampling = Sampling(
            n=options.samples, temperature=0.6, top_p=0.9, max_tokens=options.max_tokens, seed=seed
        )
        asked = [
            tuple(Message(turn["role"], turn["content"]) for turn in turns)
            for turns in _conversations(options, seed)
        ]
        start = time.perf_counter()
        replies = [outcome for _, outcome in backend.replies(asked, sampling)]
        seconds = time.perf_counter() - start
        tokens = 0
        for reply in replies:
            assert isinstance(reply, Reply), reply
            assert reply.usage is not None
            tokens += reply.usage.completion_tokens
        return tokens, seconds

    return work


def _harness(model: Any, options: argparse.Namespace) -> Turn:
    """The harness's backend with its requests as the evaluator makes them: each one N times."""
    from lm_eval.api.instance import Instance

    def work(seed: int) -> tuple[float, float]:
        arguments = {
            "until": ["<|im_end|>"],
            "do_sample": True,
            "temperature": 0.6,
            "top_p": 0.9,
            "max_gen_toks": options.max_tokens,
        }
        requests = []
        for number, turns in enumerate(_conversations(options, seed)):
            prompt = model.apply_chat_template(turns)
            metadata = ("bench", number, options.samples)
            one = Instance("generate_until", {}, (prompt, dict(arguments)), 0, metadata=metadata)
            requests += [one] * options.samples
        start = time.perf_counter()
        texts = model.generate_until(requests, disable_tqdm=True)
        seconds = time.perf_counter() - start
        # Random text doesn't always read back as the tokens that were written: taken as if none ended early.
        assert len(texts) == len(requests)
        return len(texts) * options.max_tokens, seconds

    return work


def _conversations(options: argparse.Namespace, seed: int) -> list[list[dict[str, str]]]:
    """Explain-then-choose prompts of about 250 tokens; none ends with a reply that another turn has."""
    from benchmarks.peers.items import SAMPLES, make_items

    items = make_items(SAMPLES * options.items, 7000 + seed)[::SAMPLES]
    return [
        [{"role": "system", "content": item["system"]}, {"role": "user", "content": item["question"]}]
        for item in items
    ]


def _engine_args(options: argparse.Namespace) -> dict[str, Any]:
    from judges.backends.vllm.cpu import ENGINE_ARGS

    args: dict[str, Any] = {"max_num_seqs": options.slots, "enable_prefix_caching": True}
    # Two engines share a GPU; on a CPU both have what our backend sets by itself.
    return args | ({"gpu_memory_utilization": GPU_SHARE} if options.gpu else ENGINE_ARGS)


def _bare_engine(model: Path, options: argparse.Namespace) -> Any:
    from vllm import LLM

    return LLM(str(model), dtype=options.dtype, max_model_len=CONTEXT, **_engine_args(options))


def _vllm_settings(model: Path, options: argparse.Namespace) -> dict[str, Any]:
    settings: dict[str, Any] = {"backend": "vllm", "model": str(model), "dtype": options.dtype}
    settings |= {"max_model_len": CONTEXT, "engine_args": {"max_num_seqs": options.slots}}
    return settings | ({"gpu_memory_utilization": GPU_SHARE} if options.gpu else {})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("judging", "sampling"))
    parser.add_argument("--engine", choices=("vllm", "transformers"), default="vllm")
    parser.add_argument("--shape", default="31M", help="one of benchmarks/models.py")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--items", type=int, default=256, help="explanations, or questions to sample from")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--max-tokens", type=int, default=128, help="of a sampled reply")
    parser.add_argument("--slots", type=int, default=64, help="sequences that vLLM runs at once")
    parser.add_argument("--batch-size", type=int, default=16, help="of lm_eval hf and of ours")
    parser.add_argument(
        "--one-by-one", action="store_true", help="also lm_eval hf with its default batch of 1"
    )
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    import torch

    options.gpu = torch.cuda.is_available()
    return options


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    main()
