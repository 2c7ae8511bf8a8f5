"""In which numbers a run's models compute: the same in training, sampling and evaluation unless said."""

from __future__ import annotations

from anchor_train.recipes.training_settings import ModelSettings
from judges.models.precision import fast_bfloat16, stored_dtype


def dtype_of(model: ModelSettings) -> str:
    """The type of the weights, by torch's name.

    ``auto`` is bfloat16 where it is the fast one: on a GPU that has it, and on a CPU that multiplies in it;
    float32 elsewhere.
    """
    if model.dtype != "auto":
        return model.dtype
    return "bfloat16" if fast_bfloat16() else "float32"


def told_dtype(model: ModelSettings) -> str | None:
    """What an engine is told; None where it takes that type by itself, since the weights are stored in it.

    So replies that were cached before there was one precision for all stay found where nothing has changed.
    """
    found = dtype_of(model)
    return None if model.dtype == "auto" and found == stored_dtype(model.name) else found
