"""Layers of settings: one mapping laid over another."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

# Settings whose mappings replace what they extend as a whole: keys of one backend mean nothing to another.
WHOLE = frozenset(
    {
        ("engine",),
        ("judge",),
        ("evaluate", "judge"),
        ("consultant", "backend"),
        ("sampler", "backend"),
        ("staple", "discover", "backend"),
    }
)


def merged(
    below: Mapping[str, Any],
    above: Mapping[str, Any],
    at: tuple[str, ...] = (),
    whole: frozenset[tuple[str, ...]] = WHOLE,
) -> dict[str, Any]:
    """What ``above`` says over what ``below`` says, key by key.

    Args:
        below: Nested mappings.
        above: Over them.
        at: Where in the recipe both stand.
        whole: Paths whose mappings replace those below as a whole.
    """
    found = dict(copy.deepcopy(below))
    for key, value in above.items():
        path = (*at, str(key))
        under = found.get(key)
        if isinstance(under, dict) and isinstance(value, dict) and path not in whole:
            found[key] = merged(under, value, path, whole)
        else:
            found[key] = copy.deepcopy(value)
    return found
