"""``anchor-eval compare --checkpoints``: accuracy and win - loss over a training's steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lm_eval_tasks.cli import main
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.training_step import training_step
from tests.lm_eval_tasks.run_folders import level, question, write_run
from tests.lm_eval_tasks.test_cli import TASK, make_run


def training(folder: Path) -> Path:
    """A base model beside three checkpoints, each better than the one before."""
    make_run(folder / "base", better=0.0, seed=1)
    for step, better in ((20, 0.3), (100, 0.8), (1000, 1.5)):
        make_run(folder / "training" / f"step-{step}", better=better, seed=step)
    return folder / "training"


def compare(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["compare", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


def test_steps_are_in_order_and_figures_are_those_of_a_comparison(tmp_path: Path) -> None:
    folder = training(tmp_path)
    code, out, _ = compare(tmp_path / "base", "--checkpoints", folder, "--json")
    rows = json.loads(out)["steps"]
    assert code == 0
    assert [row["step"] for row in rows] == [20, 100, 1000]
    margins = [row["win_minus_loss"]["value"] for row in rows]
    assert margins == sorted(margins)
    _, plain, _ = compare(folder / "step-100", tmp_path / "base", "--json")
    alone = json.loads(plain)["pairs"][0]["tasks"][TASK]
    assert rows[1]["win"]["value"] == alone["win"]["value"]
    assert rows[1]["win_minus_loss"]["low"] == alone["margin"]["low"]
    _, text, _ = compare(tmp_path / "base", "--checkpoints", folder)
    assert "The best of 3 checkpoints is the best by chance, too" in text


def test_without_a_run_the_first_checkpoint_is_the_baseline_and_curves_are_drawn(tmp_path: Path) -> None:
    folder = training(tmp_path)
    code, out, _ = compare("--checkpoints", folder, "--json", "--figures", tmp_path / "curves")
    found = json.loads(out)
    assert code == 0
    assert found["baseline"] == "step-20"
    assert "win" not in found["steps"][0]
    names = {path.name for path in (tmp_path / "curves").iterdir()}
    assert {"win_minus_loss_over_steps.svg", "accuracy_over_steps.png"} <= names
    assert "training steps" in (tmp_path / "curves" / "accuracy_over_steps.svg").read_text()


def test_what_is_no_training_is_refused(tmp_path: Path) -> None:
    folder = training(tmp_path)
    make_run(folder / "late-checkpoint-100", better=0.8, seed=7)
    assert "are both of step 100" in compare("--checkpoints", folder)[2]
    make_run(tmp_path / "other" / "m1", better=0.8, seed=7)
    assert "0 checkpoints among the runs (m1)" in compare("--checkpoints", tmp_path / "other")[2]
    for given in (("--latex",), ("--refined", "x"), ("--until-width", "0.1")):
        assert "--checkpoints exclude each other" in compare("--checkpoints", folder, *given)[2]
    assert "--figures goes with" in compare(folder / "step-20", tmp_path / "base", "--figures", "x")[2]


@pytest.mark.parametrize(
    ("model", "folder", "step"),
    [
        ("out/checkpoint-200", "m1", 200),
        ("out/checkpoint-200/", "step-7", 200),
        ("__home__out__checkpoint-200", "m1", 200),
        ("llama-3.2-1B", "step-50", 50),
        ("llama-3.2-1B", "m1_step50", 50),
        ("checkpoint-9-merged", "m1", None),
        ("llama-3.2-1B", "first-step", None),
        ("my-checkpoint-3000-b", "twostep2go", None),
    ],
)
def test_the_step_of_a_model(tmp_path: Path, model: str, folder: str, step: int | None) -> None:
    path = write_run(tmp_path / folder, {TASK: [ScoredQuestion(question(0), (level(0),))]})
    for results in path.rglob("results_*.json"):
        results.write_text(json.dumps(json.loads(results.read_text()) | {"model_name": model}))
    assert training_step(load_run(path)) == step
