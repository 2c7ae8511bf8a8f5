"""The paper's whole experiment in minutes: base, SFT, Rank and Anchor on the pocket task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pocket.making.build import TASK, Provenance
from anchor_train.pocket.outcome import Outcome, outcome_of
from anchor_train.pocket.report import demo_report
from anchor_train.recipes.new_run import new_recipe
from anchor_train.run.run_folder import RunFolder
from judges.errors import ConfigError
from judges.output.run_log import quiet
from judges.storage.files import replacing
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.tasks.load import load_task

RECIPE = "pocket"
REPORT = "report.md"


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What a demo leaves: its results and the file with them."""

    outcome: Outcome
    text: str
    report: Path


def demonstrate(
    folder: Path,
    overrides: Sequence[str] = (),
    tell: Callable[[str], None] = lambda line: None,
    *,
    verbose: bool = False,
) -> Demonstration:
    """Runs everything, or what is missing of it, and writes the report.

    Args:
        folder: The run folder; made if there is none.
        overrides: ``dotted.key=value`` over the recipe ``pocket``.
        tell: Takes one line of progress.
        verbose: Whether the user sees what libraries print.

    Raises:
        ConfigError: If the prompts have changed since the pocket model was made, or a setting is wrong.
    """
    require_own_prompts()
    run = pocket_run(folder, TASK)
    recipe = run.recipe(overrides)
    with quiet(run.log, verbose=verbose):
        Pipeline(run, recipe, tell).do(redo=True)
        tell("the pocket model judges the same replies")
        outcome = outcome_of(run, recipe)
    text = demo_report(outcome)
    report = run.path / REPORT
    with replacing(report) as file:
        file.write(text)
    return Demonstration(outcome, text, report)


def pocket_run(folder: Path, task: str) -> RunFolder:
    """The run folder with the recipe ``pocket``, made if it isn't there."""
    if (folder / "recipe.yaml").is_file():
        return RunFolder.open(folder)
    text, _ = new_recipe(folder, str(model_folder()), task, recipe=RECIPE)
    return RunFolder.create(folder, text)


def require_own_prompts() -> None:
    """Refuses a pocket model that was made for other prompts: it would only stammer.

    Raises:
        ConfigError: With the command that makes it anew.
    """
    made, task = Provenance.read(model_folder()), load_task(TASK)
    if (made.task_prompts, made.refine_prompts) != (task.fingerprint, task.refine_prompts.fingerprint):
        raise ConfigError(
            f"the pocket model was made for other prompts than {TASK} has now; make it anew: "
            f"anchor-train pocket build {model_folder()}"
        )
