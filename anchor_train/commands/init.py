"""``anchor-train init``."""

from __future__ import annotations

from pathlib import Path

import click

from anchor_train.commands.options import json_option, print_json


@click.command("init")
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="Folder or hub name of the base model.")
@click.option("--task", required=True, help="Task to train and evaluate on: a name or a task file.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Local questions instead of the hub's.")
@click.option(
    "--recipe",
    default="auto",
    show_default=True,
    help="auto (small or gpu, by model and machine), small, gpu, paper, aft, staple, or a .yaml file.",
)
@json_option
def command(
    run_folder: Path, model: str, task: str, data_dir: Path | None, recipe: str, as_json: bool
) -> None:
    """Make the folder RUN with a commented recipe.

    \b
    anchor-train init my-run --model meta-llama/Meta-Llama-3-8B-Instruct --task aqua_rat_explain
    anchor-train init my-run --model ./model --task arc_challenge_explain --data-dir ./arc --recipe paper

    Without --recipe, small or gpu is taken, by the model's size and the GPUs that there are, and said.
    """
    from anchor_train.inspection.preflight import check
    from anchor_train.recipes.fitting import fitting, this_machine
    from anchor_train.recipes.new_run import AUTO, new_recipe
    from anchor_train.run.run_folder import RunFolder
    from judges.output.notices import tell

    fits = fitting(model, this_machine()) if recipe == AUTO else None
    text, settings = new_recipe(run_folder, model, task, data_dir, recipe, fits)
    if fits is not None:
        tell(f"warning: {fits.why}" if fits.warning else fits.why)
    for warning in check(settings):
        tell(f"warning: {warning}")
    folder = RunFolder.create(run_folder, text)
    if as_json:
        print_json({"run": str(folder.path), "recipe": str(folder.recipe_path)})
    else:
        click.echo(f"{folder.recipe_path} is written: read it, then anchor-train run {run_folder}")
