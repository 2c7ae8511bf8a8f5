"""``anchor-eval doctor``: what is amiss here, and the line to run for it."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("doctor")
@click.option(
    "--judge",
    "judges",
    multiple=True,
    help="A judge to look at, as in anchor-eval run; may be repeated. Each address of an endpoint is asked "
    "to judge one short explanation (about 600 tokens).",
)
@click.option(
    "--extra",
    "extras",
    multiple=True,
    help="An extra that has to be there (hf, vllm, train, ...); may be repeated.",
)
@click.option("--quick", is_flag=True, help="Don't import engines, which takes a while.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Where runs will be.  [default: here]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(
    judges: tuple[str, ...], extras: tuple[str, ...], quick: bool, output: Path, as_json: bool
) -> None:
    """Look at versions, extras, engines, devices, disk, cache and judges; changes nothing.

    Below each thing that is amiss stands the line to run. "-" is what isn't there and needn't be. Exit code 0
    where nothing is amiss, 1 otherwise.

    \b
    anchor-eval doctor
    anchor-eval doctor --extra train --judge openai:JUDGE@http://localhost:8000/v1
    anchor-eval doctor --quick --json
    """
    from judges.errors import ConfigError
    from judges.settings import nearest
    from lm_eval_tasks.doctor.engines import engine_findings
    from lm_eval_tasks.doctor.findings import amiss, findings_json, findings_text
    from lm_eval_tasks.doctor.judges import judge_findings
    from lm_eval_tasks.doctor.libraries import extras_of, library_findings
    from lm_eval_tasks.doctor.machine import machine_findings

    known = extras_of()
    for extra in extras:
        if extra not in known:
            raise ConfigError(f"--extra {extra!r}: {nearest(extra, known)}")
    found = [
        *library_findings(extras),
        *(() if quick else engine_findings()),
        *machine_findings(output),
        *judge_findings(judges),
    ]
    click.echo(json.dumps(findings_json(found), indent=2) if as_json else findings_text(found))
    if amiss(found):
        raise click.exceptions.Exit(1)
