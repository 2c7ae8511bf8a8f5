"""MLflow: where ``MLFLOW_TRACKING_URI`` says; a project is one of its experiments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_ID = "anchored_explanations_id"
_NOT_IN_NAMES = re.compile(r"[^\w\-./: ]")


class MlflowRun:
    """A run of MLflow, taken up by a tag.

    Args:
        project: Name of the experiment; made where there is none.
        name: What to call the run.
        id: Value of the tag.
        known: The name that it went by before; None for a new one.
    """

    def __init__(self, project: str, name: str, id: str, known: str | None) -> None:
        from mlflow.tracking import MlflowClient

        self.name = known or name
        self._client = MlflowClient()
        experiment = self._client.get_experiment_by_name(project)
        place = self._client.create_experiment(project) if experiment is None else experiment.experiment_id
        found = self._client.search_runs([place], f"tags.{_ID} = '{id}'")
        if found:
            self._run = found[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
        else:
            self._run = self._client.create_run(place, run_name=self.name, tags={_ID: id}).info.run_id

    def log(self, figures: Mapping[str, float], step: int | None) -> None:
        """Takes figures."""
        for name, value in figures.items():
            self._client.log_metric(self._run, _NOT_IN_NAMES.sub("_", name), value, step=step or 0)

    def log_texts(self, name: str, rows: Sequence[Mapping[str, Any]], step: int | None) -> None:
        """Takes a table, as an artifact."""
        columns = list(rows[0]) if rows else []
        table = {column: [row.get(column) for row in rows] for column in columns}
        path = f"{_NOT_IN_NAMES.sub('_', name)}{'' if step is None else f'-{step}'}.json"
        self._client.log_table(self._run, table, path)

    def close(self) -> None:
        """Ends the run."""
        self._client.set_terminated(self._run)
