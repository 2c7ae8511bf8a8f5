"""Weights & Biases: online or, with ``WANDB_MODE=offline``, a folder that ``wandb sync`` sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

STEP = "training_step"
"""The x axis. W&B's own step only grows, and what comes late is dropped: an older checkpoint."""


class WandbRun:
    """A run of W&B, taken up by its id.

    Args:
        project: The project.
        name: What to call the run.
        id: Its id.
        known: The name that it went by before; None for a new one.
    """

    def __init__(self, project: str, name: str, id: str, known: str | None) -> None:
        import wandb

        self.name = known or name
        self._wandb = wandb
        # Figures alone: neither the console, nor the code, nor what the machine does meanwhile.
        settings = wandb.Settings(
            silent=True, console="off", disable_code=True, disable_git=True, x_disable_stats=True
        )
        self._run = wandb.init(project=project, name=self.name, id=id, resume="allow", settings=settings)
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, figures: Mapping[str, float], step: int | None) -> None:
        """Takes figures."""
        self._run.log({**figures, **({} if step is None else {STEP: step})})

    def log_texts(self, name: str, rows: Sequence[Mapping[str, Any]], step: int | None) -> None:
        """Takes a table."""
        columns = list(rows[0]) if rows else []
        data = [[_cell(row.get(column)) for column in columns] for row in rows]
        self._run.log(
            {
                name: self._wandb.Table(columns=columns, data=data, allow_mixed_types=True),
                **({} if step is None else {STEP: step}),
            }
        )

    def close(self) -> None:
        """Waits until everything is written."""
        self._run.finish()


def _cell(value: Any) -> Any:
    return "\n".join(value) if isinstance(value, list) else value
