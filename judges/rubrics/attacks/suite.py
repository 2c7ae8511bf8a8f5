"""The suite of injections: texts that address the judge, end their part of the prompt, or open a turn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

from judges.rubrics.suspicion import Sign
from judges.settings import load_yaml

INJECTIONS = Path(__file__).with_name("injections.yaml")
NO_SIGN = "no sign"
"""Kind of those that no rule tells from honest text."""


@dataclass(frozen=True, slots=True)
class Injection:
    """A text to be put into an explanation.

    Attributes:
        name: What it does, in a few words; unique.
        text: The text.
        signs: What ``rubrics.suspicion`` notices of it, at least.
    """

    name: str
    text: str
    signs: frozenset[Sign]

    @property
    def kind(self) -> str:
        """The first of its signs, in the order of ``Sign``, in words."""
        first = next((sign for sign in get_args(Sign) if sign in self.signs), NO_SIGN)
        return str(first).replace("_", " ")


@cache
def injections() -> tuple[Injection, ...]:
    """All of them, in the order of the file."""
    return tuple(
        Injection(row["name"], row["text"] * row.get("repeat", 1), frozenset(row["signs"]))
        for row in load_yaml(INJECTIONS)["injections"]
    )
