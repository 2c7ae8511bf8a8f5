"""The rows of ``pocket_explain``, in the form that lm-evaluation-harness takes from a ``custom_dataset``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

from judges.errors import ConfigError
from judges.settings import nearest
from lm_eval_tasks.pocket.questions import Mix, questions

# Questions of each split, unless asked for more or fewer.
SIZES = {"train": 1000, "validation": 200, "test": 400}


def splits(
    pocket_seed: int = 0,
    pocket_mix: Mix = "even",
    pocket_sizes: dict[str, int] | None = None,
    **_others: Any,
) -> Any:
    """The questions of all splits, each drawn when it is first looked at.

    The options come from the YAML's ``dataset_kwargs``, or from ``lm_eval --metadata``, which may hold others
    that are not for the data set.

    Args:
        pocket_seed: Which stream of stories; every seed gives other questions of the same kind.
        pocket_mix: ``easy`` (one or two steps), ``mixed`` (mostly one or two), ``even`` (one to four, equally
            often) or ``hard`` (two to four).
        pocket_sizes: Split -> number of questions, where it isn't the usual one.

    Returns:
        Split -> ``datasets.Dataset``, one row a question (:meth:`lm_eval_tasks.records.Question.to_json`).

    Raises:
        ConfigError: If an option is none of those.
    """
    if pocket_mix not in get_args(Mix):
        raise ConfigError(f"pocket_mix {pocket_mix!r}: {nearest(str(pocket_mix), get_args(Mix))}")
    for split in pocket_sizes or {}:
        if split not in SIZES:
            raise ConfigError(f"pocket_sizes: no split {split!r}: {nearest(split, SIZES)}")
    return _Splits(pocket_seed, pocket_mix, {**SIZES, **(pocket_sizes or {})})


class _Splits(Mapping[str, Any]):
    """What is looked at is drawn: a process that evaluates has no use for the training questions."""

    def __init__(self, seed: int, mix: Mix, sizes: Mapping[str, int]) -> None:
        self._seed, self._mix, self._sizes = seed, mix, sizes

    def __getitem__(self, split: str) -> Any:
        return _rows(split, self._sizes[split], self._seed, self._mix)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)

    def __contains__(self, split: object) -> bool:
        return split in self._sizes


@lru_cache(maxsize=16)
def _rows(split: str, count: int, seed: int, mix: Mix) -> Any:
    import datasets

    found = questions(split, count, seed, mix)  # type: ignore[arg-type]
    return datasets.Dataset.from_list([question.to_json() for question in found])
