"""What a run would do: stage by stage, with examples as tokens and an estimate of calls. Nothing is done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from anchor_train.inspection.estimate import Estimate, estimate, in_words, shape_of, speed_here
from anchor_train.inspection.measuring import measure
from anchor_train.inspection.trial import try_rendering
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.run.precision import dtype_of
from anchor_train.stages.parts.kind import Planned
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.registry import KINDS
from lm_eval_tasks.records import Json


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """What one stage would do.

    Attributes:
        stage: Its key.
        state: As in ``status``.
        planned: What it would do.
        estimate: What that would take of this machine; None where others are asked, or the model isn't here.
    """

    stage: str
    state: str
    planned: Planned
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What a run would do.

    Attributes:
        stages: In order.
        trial: How replies with a thought are rendered; None where the model's template knows no thoughts.
        basis: What estimates go by, in words.
    """

    stages: tuple[PlannedStage, ...]
    trial: str | None
    basis: str = ""

    @property
    def examples(self) -> tuple[str, ...]:
        """Rendered and tokenised, the loss mask shown."""
        found = tuple(text for stage in self.stages for text in stage.planned.examples)
        return found if self.trial is None else (*found, self.trial)

    def to_json(self) -> Json:
        """``{stages: [{stage, state, does, calls, tokens, steps, seconds, memory_bytes}], examples}``."""
        rows = [
            {
                "stage": stage.stage,
                "state": stage.state,
                "does": stage.planned.does,
                "calls": stage.planned.calls,
                "tokens": stage.planned.tokens,
                "steps": stage.planned.steps,
                "seconds": None if stage.estimate is None else round(stage.estimate.seconds),
                "memory_bytes": None if stage.estimate is None else stage.estimate.memory,
            }
            for stage in self.stages
        ]
        return {"stages": rows, "examples": list(self.examples)}

    def to_text(self) -> str:
        """For people."""
        width = max((len(stage.stage) for stage in self.stages), default=0)
        lines = [
            f"{stage.stage:<{width}}  {stage.state:<8}  {stage.planned.does}"
            f"{'' if stage.estimate is None else f' [{stage.estimate}]'}"
            for stage in self.stages
        ]
        calls = sum(stage.planned.calls or 0 for stage in self.stages if stage.state != "finished")
        lines.append(f"at most {calls} completions in all")
        to_do = [s.estimate for s in self.stages if s.state != "finished" and s.estimate is not None]
        if to_do:
            lines.append(
                f"about {in_words(sum(found.seconds for found in to_do))} on this machine, and "
                f"{max(found.memory for found in to_do) / 2**30:.1f} GiB at the height ({self.basis})"
            )
        return "\n".join([*lines, "", *self.examples])


def describe(
    pipeline: Pipeline, kinds: Collection[str] | None = None, *, measured: bool = False
) -> Description:
    """Looks at a run without doing anything.

    Args:
        pipeline: The run.
        kinds: Only stages of these kinds; None for all.
        measured: Whether a few steps are made with the model, to estimate by them.

    Raises:
        AnchorError: If the questions or the tokenizer can't be loaded.
    """
    preview = Preview(pipeline.run, pipeline.recipe)
    stages = [
        PlannedStage(
            status.stage.key,
            status.state,
            KINDS[status.stage.kind].plan(pipeline.job(status.stage), preview),
        )
        for status in pipeline.status()
        if kinds is None or status.stage.kind in kinds
    ]
    recipe, basis = pipeline.recipe, ""
    shape = shape_of(recipe)
    if shape is not None and any(stage.planned.work is not None for stage in stages):
        if measured:
            speed, basis = measure(recipe, preview), "from a few measured steps"
        else:
            speed, basis = speed_here(dtype_of(recipe.model)), "reckoned; --measure makes a few steps"
        stages = [
            stage
            if stage.planned.work is None
            else replace(stage, estimate=estimate(stage.planned.work, recipe, shape, speed))
            for stage in stages
        ]
    trial = try_rendering(recipe)
    return Description(tuple(stages), f"{trial.note}\n{trial.shown}" if trial.thinks else None, basis)
