"""What a run would do: stage by stage, with examples as tokens and an estimate of calls. Nothing is done."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from anchor_train.inspection.trial import try_rendering
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.stages.kind import Planned
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
    """

    stage: str
    state: str
    planned: Planned


@dataclass(frozen=True, slots=True)
class Description:
    """What a run would do.

    Attributes:
        stages: In order.
        trial: How replies with a thought are rendered; None where the model's template knows no thoughts.
    """

    stages: tuple[PlannedStage, ...]
    trial: str | None

    @property
    def examples(self) -> tuple[str, ...]:
        """Rendered and tokenised, the loss mask shown."""
        found = tuple(text for stage in self.stages for text in stage.planned.examples)
        return found if self.trial is None else (*found, self.trial)

    def to_json(self) -> Json:
        """``{stages: [{stage, state, does, calls, tokens, steps}], examples}``."""
        rows = [
            {
                "stage": stage.stage,
                "state": stage.state,
                "does": stage.planned.does,
                "calls": stage.planned.calls,
                "tokens": stage.planned.tokens,
                "steps": stage.planned.steps,
            }
            for stage in self.stages
        ]
        return {"stages": rows, "examples": list(self.examples)}

    def to_text(self) -> str:
        """For people."""
        width = max((len(stage.stage) for stage in self.stages), default=0)
        lines = [f"{stage.stage:<{width}}  {stage.state:<8}  {stage.planned.does}" for stage in self.stages]
        calls = sum(stage.planned.calls or 0 for stage in self.stages if stage.state != "finished")
        lines.append(f"at most {calls} completions in all")
        return "\n".join([*lines, "", *self.examples])


def describe(pipeline: Pipeline, kinds: Collection[str] | None = None) -> Description:
    """Looks at a run without doing anything.

    Raises:
        AnchorError: If the questions or the tokenizer can't be loaded.
    """
    preview = Preview(pipeline.run, pipeline.recipe)
    stages = tuple(
        PlannedStage(
            status.stage.key,
            status.state,
            KINDS[status.stage.kind].plan(pipeline.job(status.stage), preview),
        )
        for status in pipeline.status()
        if kinds is None or status.stage.kind in kinds
    )
    trial = try_rendering(pipeline.recipe)
    return Description(stages, f"{trial.note}\n{trial.shown}" if trial.thinks else None)
