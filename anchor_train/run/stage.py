"""The vocabulary of the pipeline: what a stage is, what it is given, what it leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.run.run_folder import RunFolder
from lm_eval_tasks.records import Json

BASE_MODEL = "base"
SFT_MODEL = "sft"
FORM = "form"
"""Key of the stage that chooses the reply form; what a stage reads of it goes by that name, too."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One node of the graph.

    Attributes:
        key: Unique in the run; also its folder, e.g. ``round-1/anchor/dpo``.
        kind: Name of its kind (:mod:`anchor_train.stages.parts.kind`).
        needs: What it reads -> key of the stage that leaves it.
        settings: Dotted name -> value of every setting that its result depends on.
        externals: Name -> hash of everything else that its result depends on (model, prompts, rubric).
        strategy: Name, as in the recipe, of the strategy whose model it works on; None where they share it.
        method: The strategy itself, where the name is that of a variant.
        round: Counted from 1; 0 outside the rounds.
        users: Of samples: the strategies and variants that take them up.
        fresh: Whether it takes up the questions of this round alone.
        model: Evaluated model; None but in ``generate`` and ``score``.
        refined: Whether that model is asked for a reply, a principle and a refined reply, which counts.
    """

    key: str
    kind: str
    needs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    externals: Mapping[str, str] = field(default_factory=dict)
    strategy: str | None = None
    method: str | None = None
    round: int = 0
    users: tuple[str, ...] = ()
    fresh: bool = False
    model: str | None = None
    refined: bool = False

    @property
    def draws(self) -> str:
        """What its random numbers are told by: variants of a strategy share them, so that they differ by
        their settings alone."""
        if self.strategy is None:
            return self.key
        return self.key.replace(f"/{self.strategy}/", f"/{self.method}/")


@dataclass(frozen=True, slots=True)
class StageJob:
    """What a stage is given, to do its work or to be looked at.

    Attributes:
        run: The run folder.
        recipe: The recipe, with a variant's settings in place where the stage is of one.
        stage: The stage.
        belongs_to: Hash of all that its result depends on; journals carry it. Empty if it is only looked at.
        retry_failed: Ask again where an earlier attempt got no good reply.
    """

    run: RunFolder
    recipe: Recipe
    stage: Stage
    belongs_to: str = ""
    retry_failed: bool = False

    @property
    def folder(self) -> Path:
        """The stage's folder."""
        return self.run.stage(self.stage.key)

    def needed(self, name: str) -> Path:
        """Folder of the stage that leaves what this one reads."""
        return self.run.stage(self.stage.needs[name])


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage leaves.

    Attributes:
        outputs: Paths within its folder; later stages depend on their content.
        summary: Counts, costs and results for ``status``.
    """

    outputs: tuple[str, ...]
    summary: Json


def derived_seed(seed: int, *names: str) -> int:
    """A seed (31 bits) for one purpose, so that no two draws of a run share their random numbers."""
    text = "\n".join([str(seed), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
