"""``anchor-train export``."""

from __future__ import annotations

from pathlib import Path

import click

from anchor_train.commands.options import (
    json_option,
    open_pipeline,
    print_json,
    run_argument,
    set_option,
)


@click.command("export")
@run_argument
@click.option(
    "-o", "--output", "destination", required=True, type=click.Path(path_type=Path), help="Folder to make."
)
@click.option("--model", "name", help="sft, anchor, rank, or as status names it. Default: the newest.")
@click.option(
    "--form",
    type=click.Choice(["adapter", "merged"]),
    default="adapter",
    show_default=True,
    help="adapter: small, needs its base model. merged: whole weights.",
)
@click.option("--overwrite", is_flag=True, help="Replace a folder that is there.")
@set_option
@json_option
def command(
    run_folder: Path,
    destination: Path,
    name: str | None,
    form: str,
    overwrite: bool,
    overrides: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a trained model of RUN to a folder, with a model card.

    transformers, vLLM and lm_eval load both forms.

    \b
    anchor-train export my-run -o my-model --form merged
    """
    from anchor_train.pipeline.trained import trained_model
    from anchor_train.publishing.export import export
    from anchor_train.publishing.model_card import compared_prompts, model_card
    from judges.output.notices import tell

    pipeline = open_pipeline(run_folder, overrides, warn=False, looks=True)
    trained = trained_model(pipeline, name)
    if trained.stale:
        tell(f"warning: {trained.name} is as it was trained before: {'; '.join(trained.stale)}")
    card = model_card(pipeline, trained, "merged" if form == "merged" else "adapter")
    folder = export(
        "merged" if form == "merged" else "adapter",
        trained.adapter,
        pipeline.recipe.model,
        destination,
        card,
        overwrite=overwrite,
        prompts=compared_prompts(pipeline) if form == "merged" else (),
    )
    if as_json:
        print_json({"model": trained.name, "form": form, "folder": str(folder.resolve())})
    else:
        click.echo(f"{trained.name} as {form}: {folder}")
