"""Which built-in recipe fits a model and a machine: by the model's parameters and the GPUs that there are."""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SMALL, GPU, PAPER = "small", "gpu", "paper"
# Parameters up to which recipe ``small`` is meant, and ``gpu``.
SMALL_MODEL = 1.3e9
GPU_MODEL = 15e9
_IN_A_NAME = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s?([bm])(?![a-z0-9])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to run on.

    Attributes:
        gpus: Bytes of memory of each GPU; empty without any.
        vllm: Whether vLLM is installed.
    """

    gpus: tuple[int, ...]
    vllm: bool

    def __str__(self) -> str:
        if not self.gpus:
            return "no GPU"
        many = "GPU" if len(self.gpus) == 1 else f"{len(self.gpus)} GPUs"
        return f"{many} of {min(self.gpus) / 2**30:.0f} GiB"


@dataclass(frozen=True, slots=True)
class Fitting:
    """A recipe that fits.

    Attributes:
        recipe: Its name.
        engine: How local models write.
        why: In one line.
        warning: Whether ``why`` warns of something.
    """

    recipe: str
    engine: str
    why: str
    warning: bool = False


def this_machine() -> Machine:
    """Looks at this machine; without torch no GPU can be used, so none is looked for."""
    found: list[int] = []
    if find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            found = [
                torch.cuda.get_device_properties(place).total_memory
                for place in range(torch.cuda.device_count())
            ]
    return Machine(tuple(found), find_spec("vllm") is not None)


def parameters_of(model: str) -> int | None:
    """How many parameters a model has: counted in its folder, or as its name says; None if neither tells."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        counts = [_counted(path) for path in sorted(folder.glob("*.safetensors"))]
        if counts:
            return sum(counts)
    named = _IN_A_NAME.findall(Path(model).name)
    if not named:
        return None
    number, unit = named[-1]
    return int(float(number) * (1e9 if unit.lower() == "b" else 1e6))


def fitting(model: str, machine: Machine) -> Fitting:
    """The recipe for a model on a machine."""
    count = parameters_of(model)
    # On a CPU vLLM takes longer to start, a stage at a time, than it gains in a first run.
    engine = "vllm" if machine.vllm and machine.gpus else "transformers"
    if count is None:
        recipe = GPU if machine.gpus else SMALL
        why = f"Recipe {recipe}: the size of {model} can't be told from here, and there is {machine}."
        return Fitting(recipe, engine, f"{why} --recipe names another one (small, gpu, paper).", True)
    size = f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.1f}M"
    head = f"a model of {size} parameters, and {machine}"
    if count <= SMALL_MODEL:
        return Fitting(SMALL, engine, f"Recipe {SMALL}: {head}.")
    if not machine.gpus:
        why = f"Recipe {GPU}: {head}; on a CPU it takes days, take a smaller model or a machine with a GPU."
        return Fitting(GPU, engine, why, True)
    # Weights in 16 bits, and as much again for what training needs beside them.
    needed = 4 * count
    if needed > min(machine.gpus) or count > GPU_MODEL:
        why = f"Recipe {GPU}: {head}, which may be too little; model.load_in_4bit needs a quarter of it."
        return Fitting(GPU, engine, why, True)
    return Fitting(GPU, engine, f"Recipe {GPU}: {head}.")


def _counted(path: Path) -> int:
    """The parameters in a file of weights, by its header alone; 0 if it can't be read."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
        return sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, struct.error):
        return 0
