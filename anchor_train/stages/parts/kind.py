"""What a kind of stage says about itself, in the one file that it has in this folder.

The pipeline, the command line and everything that looks at a run know stages by these words alone; a new
stage is a :class:`StageKind` in a file of its own, and a strategy that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from anchor_train.recipes.config import Recipe
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.stage import Stage, StageJob, StageResult
from lm_eval_tasks.records import Json

if TYPE_CHECKING:
    from anchor_train.stages.parts.preview import Preview

Summary: TypeAlias = Mapping[str, Any]
Figures: TypeAlias = tuple[int | None, Mapping[str, float]]
"""Training steps, and figures by name."""


@dataclass(frozen=True, slots=True)
class Example:
    """One example of what a stage made.

    Attributes:
        stage: Key of the stage.
        id: The question's id.
        text: For people.
        row: For machines.
    """

    stage: str
    id: str
    text: str
    row: Json


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage would have this run's own model do, in tokens; at most.

    Attributes:
        read: Of prompts, each read once.
        written: Of replies.
        trained: That pass through a training, forwards and backwards.
        at_once: Sequences that are worked on at a time.
        longest: Of one sequence, prompt and reply.
        checkpointed: Whether training recomputes activations.
    """

    read: int = 0
    written: int = 0
    trained: int = 0
    at_once: int = 1
    longest: int = 0
    checkpointed: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """What a stage would do.

    Attributes:
        does: One line.
        calls: Most completions that it would ask for; None for a stage that asks for none.
        tokens: Prompt tokens of those calls, or tokens of the training examples; None if not known yet.
        steps: Optimiser steps; None but for training.
        examples: Rendered and tokenised, the loss mask shown.
        work: What it would have this run's own model do; None if nothing, or if others are asked.
    """

    does: str
    calls: int | None = None
    tokens: int | None = None
    steps: int | None = None
    examples: tuple[str, ...] = ()
    work: Work | None = None


def _nothing(recipe: Recipe) -> None:
    return None


def _not_here(recipe: Recipe) -> bool:
    return False


def always(recipe: Recipe) -> bool:
    """Whatever the recipe says."""
    return True


@dataclass(frozen=True, slots=True)
class StageKind:
    """A kind of stage.

    Attributes:
        name: Its name, also the last part of a stage's key.
        work: Does it.
        basis: What the result depends on; the stage that it is given has neither settings nor externals yet.
        plan: What it would do, for a dry run.
        line: A finished stage's summary as one line, for ``status``.
        report: The summary in full, with the stage's folder, for what a run prints at its end; None for the
            line.
        card: What it says of a model's training data in a model card, before the report; None for nothing.
        figures: What an experiment tracker is told of a finished stage, by its summary and the steps of the
            training that the evaluated model comes from. None for nothing.
        texts: What it is told besides where texts are asked for: rows, all with the same columns.
        show: Examples of what it made; None if there is nothing to show.
        file: What it leaves within its folder, as soon as there is anything to show.
        commands: Commands of ``anchor-train`` that do it, beside ``run``; empty for the one of its name.
        own_process: Whether it runs in a process of its own that ends before the next stage.
        loads: Whether that process loads a model with transformers.
        asks: Whether it asks models through a chat backend, which can run elsewhere.
        makes_data: Whether it makes what a strategy trains on: what ``show`` shows unless told otherwise.
        trains: Whether it leaves a trained adapter.
        in_form: Whether, by a recipe, it goes by how models are asked, and so by stage ``form`` where a pilot
            chooses that.
        check: Raises what can be seen to be wrong before anything runs.
    """

    name: str
    work: Callable[[StageJob], StageResult]
    basis: Callable[[Stage, Dependencies], Basis]
    plan: Callable[[StageJob, Preview], Planned]
    line: Callable[[Summary], str]
    report: Callable[[Summary, Path], str] | None = None
    card: Callable[[Summary, Path], str] | None = None
    figures: Callable[[StageJob, Summary, int], Iterator[Figures]] | None = None
    texts: Callable[[StageJob], Iterator[Mapping[str, Any]]] | None = None
    show: Callable[[StageJob], Iterator[Example]] | None = None
    file: str = ""
    commands: tuple[str, ...] = ()
    own_process: bool = False
    loads: Callable[[Recipe], bool] = _not_here
    asks: bool = False
    makes_data: bool = False
    trains: bool = False
    in_form: Callable[[Recipe], bool] = _not_here
    check: Callable[[Recipe], object] = _nothing
