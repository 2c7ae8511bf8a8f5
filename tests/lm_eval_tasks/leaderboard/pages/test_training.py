"""The plot over lambda, from run folders of anchor-train."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from judges.errors import DataError
from lm_eval_tasks.leaderboard.pages.training import lambda_plot, read_training, runs_below
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, BASE, Evaluation, write_run


def write_training(folder: Path, task: str, lopsided: float, models: dict[str, tuple[float, float]]) -> Path:
    """What a finished training run leaves, cut to what the leaderboard reads."""
    report = folder / "round-1" / "anchor" / "pairs" / "report.json"
    table = folder / "evaluate" / "table" / "table.json"
    for path, value in (
        (report, {"strategy": "anchor", "lambda": lopsided}),
        (
            table,
            {
                "task": task,
                "rows": [{"model": m, "accuracy": a, "margin": w} for m, (a, w) in models.items()],
            },
        ),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(value), encoding="utf-8")
    return folder


def test_the_gain_of_anchor_over_rank_stands_over_lambda(tmp_path: Path) -> None:
    # Tables 1 and 9 of the paper: LogiQA and OpenBookQA.
    logiqa = write_training(
        tmp_path / "a", "logiqa_explain", 0.4661, {"rank": (0.46, -0.059), "anchor": (0.466, 0.069)}
    )
    openbook = write_training(
        tmp_path / "b", "openbookqa_explain", 0.074, {"rank": (0.87, -0.091), "anchor": (0.87, -0.07)}
    )
    found = [read_training(folder) for folder in (logiqa, openbook)]
    assert asdict(found[0]) == pytest.approx(
        {"name": "a", "task": "logiqa_explain", "lopsided": 0.4661, "accuracy": 0.006, "margin": 0.128}
    )
    chart = lambda_plot(found)
    margins, accuracies = chart.points
    assert [(point.x, round(point.y.value, 1), point.label) for point in margins] == [
        (0.4661, 12.8, "logiqa"),
        (0.074, 2.1, "openbookqa"),
    ]
    assert [round(point.y.value, 1) for point in accuracies] == [0.6, 0.0]


def test_the_models_that_a_training_run_evaluated_are_runs_by_their_names(tmp_path: Path) -> None:
    for model in (BASE, ANCHOR):
        folder = tmp_path / "evaluate" / model.name
        write_run(folder / "generate", model, Evaluation(questions=5), judged=False)
        write_run(folder / "score", model, Evaluation(questions=5))
    found = runs_below(tmp_path, None)
    assert [run.name for run in found] == ["anchor", "base"]
    assert all(run.tasks["pocket_explain"].judge is not None for run in found)


def test_a_folder_without_what_the_plot_needs_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no evaluation table"):
        read_training(tmp_path)
    only = write_training(tmp_path / "only", "t", 0.5, {"anchor": (0.5, 0.1)})
    with pytest.raises(DataError, match="no model rank"):
        read_training(only)
