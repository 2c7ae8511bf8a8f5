"""``anchor-eval view``: the leaderboard of runs that are still growing, in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from lm_eval_tasks.commands.options.completion import names_of_runs

SECONDS = 2.0
"""Between two looks at the runs."""


@click.command("view")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    help="Run that the others are measured by (its name: the path below FOLDER).",
    shell_complete=names_of_runs,
)
@click.option("--judge", help="Use the judgements of this name, where a run has several.")
@click.option("--title", default="Explanations compared", show_default=True, help="Name of the site.")
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Of 127.0.0.1.  [default: any that is free]"
)
@click.option("--open/--no-open", "open_it", default=False, help="Open it in the browser, too.")
def command(
    folder: Path, baseline: str | None, judge: str | None, title: str, port: int, open_it: bool
) -> None:
    """Serve the leaderboard of FOLDER on this machine, and build it again as its runs grow.

    The pages are those of anchor-eval leaderboard; open ones load themselves again when there is something
    new, and keep their filters. Runs whose model is still writing are named with the number of their replies.
    Nothing is written to FOLDER, and no other machine can reach the pages. Ctrl-C ends it.

    \b
    anchor-eval view runs/
    anchor-eval view runs/ --baseline base --port 8080
    ssh -L 8080:localhost:8080 MACHINE anchor-eval view runs/ --port 8080
    """
    import time
    from tempfile import TemporaryDirectory
    from threading import Thread

    from judges.errors import ConfigError
    from lm_eval_tasks.comparison.boards import collect
    from lm_eval_tasks.leaderboard.pages.site import write_site
    from lm_eval_tasks.leaderboard.pages.training import runs_below
    from lm_eval_tasks.leaderboard.view.live_site import LiveSite
    from lm_eval_tasks.leaderboard.view.server import HOST, serve

    def build(target: Path, version: str) -> None:
        collection = collect(runs_below(folder, judge), baseline=baseline)
        write_site(collection, target, title=title, live=version)

    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    with TemporaryDirectory(prefix="anchor-eval-view-") as place:
        site = LiveSite(folder, Path(place), build)
        with serve(site, port) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://{HOST}:{server.server_port}/"
            click.echo(f"{address} shows {folder} as it grows; Ctrl-C ends it")
            if open_it:
                click.launch(address)
            said = ""
            try:
                while True:
                    if site.refresh():
                        click.echo("built", err=True)
                    note = site.status.note
                    if note and note != said:
                        click.echo(note, err=True)
                    said = note
                    time.sleep(SECONDS)
            except KeyboardInterrupt:
                click.echo("", err=True)
            finally:
                server.shutdown()
