"""Seeds of single replies: one rule for all engines.

A reply's seed is told by the run's seed, the prompt and the number of the sample alone. So another seed of
the run gives other replies, samples of one question differ, and a reply stays what it is when others are left
out, asked before, or asked in another run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence


def sample_seed(seed: int, prompt: str, sample: int) -> int:
    """The seed of one reply (31 bits, as much as every engine takes).

    Args:
        seed: Of the run.
        prompt: What is asked; empty where the one who asks mixes it in.
        sample: Number of the sample among those of this prompt, from 0.
    """
    return _bits([seed, prompt, sample])


def batch_seed(seeds: Iterable[int]) -> int:
    """The seed of a batch that one generator draws for (31 bits): depends on its replies' seeds alone."""
    return _bits(list(seeds))


def _bits(content: Sequence[object]) -> int:
    text = json.dumps(list(content), ensure_ascii=True)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") % 2**31
