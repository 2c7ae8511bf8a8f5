"""What callbacks do while a training runs."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import psutil
import pytest

from anchor_train.training.callbacks import ReturnMemory


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="another C library than glibc")
@pytest.mark.parametrize(("use_cpu", "given_back"), [(True, True), (False, False)])
def test_on_a_cpu_memory_between_what_is_kept_is_given_back_after_a_batch(use_cpu: bool, given_back: bool):
    process = psutil.Process()
    callback, arguments = ReturnMemory(), SimpleNamespace(use_cpu=use_cpu)
    callback.on_train_begin(arguments, None, None)
    blocks = [b"x" * 100_000 for _ in range(3000)]
    kept = blocks[::100]
    blocks.clear()  # in pieces of ten megabytes, with something small between them
    before = process.memory_info().rss
    callback.on_substep_end(arguments, None, None)
    assert (before - process.memory_info().rss > 200e6) is given_back
    assert len(kept) == 30
