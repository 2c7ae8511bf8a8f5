"""``anchor-train publish``: a trained model on the hub, as an adapter or as whole weights, with its card."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from anchor_train.commands.options import open_pipeline, print_json, run_argument, set_option
from lm_eval_tasks.commands.options.publishing import publish_options


@click.command("publish")
@run_argument
@publish_options
@click.option("--model", "name", help="sft, anchor, rank, or as status names it. Default: the newest.")
@click.option(
    "--form",
    type=click.Choice(["adapter", "merged"]),
    default="adapter",
    show_default=True,
    help="adapter: small, needs its base model. merged: whole weights.",
)
@click.option(
    "--base-model",
    metavar="ORG/NAME",
    help="What the base model is called on the hub, where RUN has it as a folder.",
)
@click.option(
    "--dataset",
    "data_sets",
    metavar="ORG/NAME",
    multiple=True,
    help="Data set on the hub that the training questions are from, where RUN has them as files.",
)
@set_option
def command(
    run_folder: Path,
    to: str,
    public: bool,
    replace: bool,
    allowed: tuple[str, ...],
    licence: str | None,
    dry_run: bool,
    as_json: bool,
    name: str | None,
    form: str,
    base_model: str | None,
    data_sets: tuple[str, ...],
    overrides: tuple[str, ...],
) -> None:
    """Put a trained model of RUN on the hub, with a model card: results, data, limits, licence of the base.

    Nothing is sent that holds a key or an internal address. Private unless told.

    \b
    anchor-train publish my-run --to ORG/NAME --dry-run
    anchor-train publish my-run --to ORG/NAME --form merged --public
    """
    from anchor_train.pipeline.trained import trained_model
    from anchor_train.publishing.export import ExportForm, export
    from anchor_train.publishing.facts import Facts, licence_of
    from anchor_train.publishing.hub_folder import name_base
    from anchor_train.publishing.model_card import compared_prompts, model_card
    from judges.errors import ConfigError
    from judges.output.notices import tell
    from lm_eval_tasks.publishing.hub import Repository, is_name
    from lm_eval_tasks.publishing.publish import publish, ready

    repository = Repository(to, "model", public, replace)
    for option, value in (("--base-model", base_model), *(("--dataset", one) for one in data_sets)):
        if value is not None and not is_name(value):
            raise ConfigError(f"{option} {value!r} is no name on the hub: ORG/NAME")
    pipeline = open_pipeline(run_folder, overrides, warn=False, looks=True)
    trained = trained_model(pipeline, name)
    if trained.stale:
        tell(f"warning: {trained.name} is as it was trained before: {'; '.join(trained.stale)}")
    model = pipeline.recipe.model
    api = ready(repository, dry_run=dry_run)
    known = {"license": licence} if licence else licence_of(model, base_model, api)
    if not known:
        missing = (
            f"the licence of the base model {base_model or model.name} isn't known: --license ID, as its "
            f"page has it "
            "(apache-2.0, mit, llama3.1 ...)"
        )
        if not dry_run:
            raise ConfigError(missing)
        tell(f"warning: {missing}; without it nothing would be sent")
    chosen: ExportForm = "merged" if form == "merged" else "adapter"
    facts = Facts(to, base_model, known, data_sets)
    with tempfile.TemporaryDirectory(dir=pipeline.run.path, prefix=".publish-") as made:
        folder = Path(made) / "model"
        export(
            chosen,
            trained.adapter,
            model,
            folder,
            model_card(pipeline, trained, chosen, facts),
            prompts=compared_prompts(pipeline) if chosen == "merged" else (),
        )
        name_base(folder, base_model)
        message = f"Upload {trained.name}, {chosen} (anchor-train publish)"
        own = (pipeline.run.path.absolute(), Path.cwd())
        done = publish(folder, repository, api, message=message, allowed=allowed, own=own)
    if as_json:
        print_json(done.to_json())
    else:
        click.echo(done.text())
