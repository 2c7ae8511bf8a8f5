"""What a vLLM engine needs on a CPU to start soon, run fast and leave room on the machine."""

from __future__ import annotations

from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

NUMA_NODES = Path("/sys/devices/system/node")

# A prompt split over two steps kills the engine when it is seeded: CPU generators have no offset.
# What prompts share is reused in whole blocks, and the CPU's 128 tokens are more than a question has;
# 32 is the least that its attention takes. Compiling takes minutes.
ENGINE_ARGS: dict[str, Any] = {
    "enforce_eager": True,
    "enable_chunked_prefill": False,
    "block_size": 32,
}


def leave_memory(environment: MutableMapping[str, str]) -> None:
    """Has the engine's cache take a quarter of the memory that is free, at least 1 GB, unless told otherwise.

    By default it takes nearly all there is, and doesn't start where other programs hold some of it.
    """
    from psutil import virtual_memory

    environment.setdefault("VLLM_CPU_KVCACHE_SPACE", str(max(1, virtual_memory().available // 4 // 2**30)))


def in_one_process(environment: MutableMapping[str, str]) -> None:
    """Has vLLM run in the process that asks for it, unless ``environment`` says otherwise.

    By default it starts two more, which wait for each other by spinning on the cores that compute
    (``vllm.distributed.device_communicators.shm_broadcast``); without them it starts in less than half the
    time and writes 1.6 times as fast (benchmarks/RESULTS.md). Only they can bind threads to cores, though,
    so they are kept where that matters: on machines of several NUMA nodes, or if
    ``VLLM_CPU_OMP_THREADS_BIND`` is set.
    """
    if "VLLM_CPU_OMP_THREADS_BIND" in environment or len(list(NUMA_NODES.glob("node[0-9]*"))) > 1:
        return
    environment.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
