"""The strategies, a file each (or a family): which stages make training data of replies, and which train.

In: A recipe as one strategy sees it, and the model that its round starts from.
Out: The stages that it asks for, by their kinds.
Not imported here: the recipe at run time, run folders, stages, anything heavy.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from anchor_train.recipes.strategies.strategy import Strategy

# Every strategy that a file of this folder names; the first is what a run's newest model is told by.
STRATEGIES: dict[str, Strategy] = {
    found.name: found
    for file in iter_modules(__path__)
    for found in vars(import_module(f"{__name__}.{file.name}")).values()
    if isinstance(found, Strategy)
}
