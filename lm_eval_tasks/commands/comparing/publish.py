"""``anchor-eval publish``: explanations with verdicts as a data set on the hub, or the site as a Space."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from lm_eval_tasks.commands.options.completion import names_of_runs
from lm_eval_tasks.commands.options.publishing import publish_options


@click.command("publish")
@click.argument("folder", type=click.Path(path_type=Path))
@publish_options
@click.option("--site", is_flag=True, help="The leaderboard as a static Space, in the place of the data set.")
@click.option("--judge", help="Use the judgements of this name, where a run has several.")
@click.option(
    "--baseline", help="With --site: run that the others are measured by.", shell_complete=names_of_runs
)
@click.option("--title", default="Explanations compared", show_default=True, help="With --site: its name.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def command(
    folder: Path,
    to: str,
    public: bool,
    replace: bool,
    allowed: tuple[str, ...],
    licence: str | None,
    dry_run: bool,
    as_json: bool,
    site: bool,
    judge: str | None,
    baseline: str | None,
    title: str,
    quiet: bool,
) -> None:
    """Put all runs below FOLDER on the hub: every explanation with its verdicts, as a data set with a card.

    Nothing is sent that holds a key or an internal address. Private unless told.

    \b
    anchor-eval publish runs/ --to ORG/explanations --dry-run
    anchor-eval publish runs/ --to ORG/leaderboard --site --baseline base
    """
    from lm_eval_tasks.leaderboard.pages.training import runs_below
    from lm_eval_tasks.publishing.explanations import write_explanations
    from lm_eval_tasks.publishing.hub import Repository
    from lm_eval_tasks.publishing.publish import publish, ready
    from lm_eval_tasks.publishing.shown_runs import shown_run
    from lm_eval_tasks.publishing.space import write_space

    def progress(line: str) -> None:
        if not quiet:
            click.echo(line, err=True)

    if baseline is not None and not site:
        raise click.UsageError("--baseline is of the site: add --site; a data set has none")
    repository = Repository(to, "space" if site else "dataset", public, replace)
    runs = [shown_run(run) for run in runs_below(folder, judge)]
    api = ready(repository, dry_run=dry_run)
    with tempfile.TemporaryDirectory(prefix="anchor-publish-") as made:
        if site:
            write_space(runs, Path(made), title=title, baseline=baseline, licence=licence, progress=progress)
        else:
            write_explanations(runs, Path(made), name=to, licence=licence)
        what = "the site" if site else "explanations with verdicts"
        message = f"Upload {what} (anchor-eval publish)"
        done = publish(
            Path(made), repository, api, message=message, allowed=allowed, own=(folder.absolute(), Path.cwd())
        )
    click.echo(json.dumps(done.to_json(), indent=2, ensure_ascii=False) if as_json else done.text())
