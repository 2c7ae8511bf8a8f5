"""The rows of ``pocket_explain``, in the form that lm-evaluation-harness takes from a ``custom_dataset``."""

from __future__ import annotations

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
    """Draws the questions of all splits.

    The options come from the YAML's ``dataset_kwargs``, or from ``lm_eval --metadata``, which may hold others
    that are not for the data set.

    Args:
        pocket_seed: Which stream of stories; every seed gives other questions of the same kind.
        pocket_mix: ``easy`` (one or two steps), ``mixed`` (mostly one or two), ``even`` (one to four, equally
            often) or ``hard`` (two to four).
        pocket_sizes: Split -> number of questions, where it isn't the usual one.

    Returns:
        A ``datasets.DatasetDict`` with one row a question (:meth:`lm_eval_tasks.records.Question.to_json`).

    Raises:
        ConfigError: If an option is none of those.
    """
    import datasets

    if pocket_mix not in get_args(Mix):
        raise ConfigError(f"pocket_mix {pocket_mix!r}: {nearest(str(pocket_mix), get_args(Mix))}")
    for split in pocket_sizes or {}:
        if split not in SIZES:
            raise ConfigError(f"pocket_sizes: no split {split!r}: {nearest(split, SIZES)}")
    sizes = {**SIZES, **(pocket_sizes or {})}
    return datasets.DatasetDict(
        {
            split: datasets.Dataset.from_list(
                [question.to_json() for question in questions(split, size, pocket_seed, pocket_mix)]  # type: ignore[arg-type]
            )
            for split, size in sizes.items()
        }
    )
