"""Whether a model's template can be trained on shows before a run asks anybody for anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from anchor_train.cli import main
from anchor_train.inspection.trial import try_rendering
from anchor_train.run.run_folder import RunFolder
from judges.errors import ConfigError
from tests.anchor_train.scripted_run import write_rows
from tests.chat_templates import (
    CHATML,
    DEEPSEEK_R1_DISTILLED,
    ESCAPES_HTML,
    PARTS_ONLY,
    QWEN_3,
)
from tests.tiny_models import make_tiny_model


def run_of(folder: Path, template: str) -> RunFolder:
    """A new run folder of a tiny model with this chat template."""
    model = make_tiny_model(folder / "model", chat_template=template)
    data = write_rows(folder / "data", train=4)
    arguments = [
        "init",
        folder / "run",
        "--model",
        model,
        "--task",
        "arc_challenge_explain",
        "--data-dir",
        data,
    ]
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return RunFolder.open(folder / "run")


@pytest.mark.parametrize(
    ("template", "thinks"),
    [(CHATML, False), (PARTS_ONLY, False), (QWEN_3, True), (DEEPSEEK_R1_DISTILLED, True)],
)
def test_replies_with_thoughts_are_tried_as_they_will_be_trained_on(
    tmp_path: Path, template: str, thinks: bool
) -> None:
    trial = try_rendering(run_of(tmp_path, template).recipe([]))
    assert trial.thinks == thinks
    assert "A thought about" not in trial.shown
    assert "</choice>" in trial.shown.replace("][", "")
    assert ("</think>\n\n\n--- with loss" in trial.shown) == thinks


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_template_that_cannot_serve_ends_a_run_before_it_begins(tmp_path: Path, dry_run: bool) -> None:
    run = run_of(tmp_path, ESCAPES_HTML)
    done = CliRunner().invoke(main, ["run", str(run.path), *(["--dry-run"] if dry_run else [])])
    assert done.exit_code == 1
    (line,) = [line for line in done.output.splitlines() if line.startswith("Error")]
    assert "the chat template loses or changes text (turns: system, user)" in line
    assert not (run.path / "stages").exists() or not any((run.path / "stages").iterdir())
    with pytest.raises(ConfigError, match="chat template"):
        try_rendering(run.recipe([]))


def test_a_dry_run_shows_how_a_thinking_reply_is_trained_on(tmp_path: Path) -> None:
    run = run_of(tmp_path, DEEPSEEK_R1_DISTILLED)
    done = CliRunner().invoke(main, ["run", str(run.path), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "a reply with a thought can be trained on: the thought is left out" in done.output
    assert "a trial chosen" in done.output


def test_worked_examples_are_tried_where_they_may_be_shown(tmp_path: Path) -> None:
    short = "{% if messages | length > 3 %}{{ raise_exception('one exchange') }}{% endif %}"
    run = run_of(tmp_path, short + CHATML)
    with pytest.raises(
        ConfigError, match=r"refuses the turns .*: one exchange.*; reply_form: asked shows no"
    ):
        try_rendering(run.recipe(["reply_form=auto"]))
    with pytest.raises(ConfigError, match="refuses the turns"):
        try_rendering(run.recipe(["reply_form=shown"]))
    try_rendering(run.recipe(["reply_form=asked"]))
