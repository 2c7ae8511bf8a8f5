"""``anchor-eval probe``: do explanations say what moved the choice? Asks the model again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lm_eval_tasks.commands.options.completion import runs
from lm_eval_tasks.commands.options.log import verbose_option
from lm_eval_tasks.commands.options.tasks import include_path_option, task_option

if TYPE_CHECKING:
    from lm_eval_tasks.faithfulness.model import Begun, Labels


@click.command("probe")
@click.argument("run", type=click.Path(path_type=Path), shell_complete=runs)
@click.option("--model", help="Kind of model, as lm_eval names it.  [default: the run's own]")
@click.option("--model-args", help="Its arguments, key=value,key=value or JSON.  [default: the run's own]")
@click.option(
    "--kinds",
    default="early,hint",
    show_default=True,
    help="Probes, separated by commas; docs/faithfulness.md says what each one asks.",
)
@click.option("--hints", default="", help="Kinds of hint, separated by commas.  [default: all seven]")
@click.option(
    "--writer",
    help="BACKEND:MODEL (openai:MODEL@URL, ...) or a judge file: who changes and reads explanations.",
)
@click.option("--edits", type=click.IntRange(1), default=2, show_default=True, help="Edits of a question.")
@click.option(
    "--draws", type=click.IntRange(0), default=0, show_default=True,
    help="Replies drawn to each edited question, for CCT; 8 or more tell something.",
)  # fmt: skip
@click.option(
    "--limit", type=click.IntRange(0), default=100, show_default=True,
    help="Only the first questions of each task; 0 for all.",
)  # fmt: skip
@click.option(
    "--samples", type=click.IntRange(1), default=1, show_default=True, help="Most replies a question."
)
@task_option
@click.option(
    "--labels",
    type=click.Choice(("auto", "likelihood", "reply")),
    default="auto",
    help="How choices are asked for: by the likelihoods of labels (hf, vllm), or as a one-label reply.",
)
@click.option(
    "--begun",
    type=click.Choice(("auto", "continue", "turn")),
    default="auto",
    help="How an explanation is put into the model's mouth: its reply is begun (continue_final_message at a "
    "chat endpoint that knows it, as vLLM's), or a new turn asks.  [auto: a new turn at chat endpoints]",
)
@include_path_option
@click.option("--batch-size", help="As lm_eval takes it.")
@click.option("--device", help="As lm_eval takes it.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="The run folder that results go to: RUN itself, beside its samples.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what it would take, and ask nothing.")
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print the summaries as JSON.")
def command(
    run: Path,
    model: str | None,
    model_args: str | None,
    kinds: str,
    hints: str,
    writer: str | None,
    edits: int,
    draws: int,
    limit: int,
    samples: int,
    tasks: tuple[str, ...],
    labels: str,
    begun: str,
    include_path: str | None,
    batch_size: str | None,
    device: str | None,
    output: Path | None,
    dry_run: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Ask the model of RUN again about the replies that RUN holds: do they say what moved the choice?

    Results are written beside the samples, a file of records and one of figures for each task and probe.
    Answers are on disk as they come: after any kind of stop, the same command goes on.

    \b
    anchor-eval probe runs/m1 --dry-run
    anchor-eval probe runs/m1 --kinds early,hint --limit 100
    anchor-eval probe runs/m1 --kinds hint --hints suggested,leaked --writer openai:WRITER@http://localhost:8000/v1
    anchor-eval probe runs/m1 --model vllm --model-args pretrained=MODEL --samples 4
    """
    from judges.errors import ConfigError
    from judges.output.notices import tell
    from judges.output.run_log import FILE, quiet
    from lm_eval_tasks.faithfulness.probe_run import ProbeRequest, plan, run_probes
    from lm_eval_tasks.faithfulness.probes.kind import ProbeSettings
    from lm_eval_tasks.faithfulness.report import summary_text
    from lm_eval_tasks.runs.discovery import load_run

    if output is not None and output.resolve() != run.resolve():
        raise ConfigError(
            f"-o {output}: what probes find out belongs to the replies, beside them in {run}; leave -o out"
        )
    if (model is None) != (model_args is None) and model is not None and model != "pocket":
        raise ConfigError("--model without --model-args: give both, or neither for the run's own")
    request = ProbeRequest(
        kinds=_names(kinds),
        settings=ProbeSettings(hints=_names(hints), edits=edits, draws=draws),
        model=model,
        model_args=model_args,
        writer=writer,
        limit=limit or None,
        samples=samples,
        tasks=tasks,
        include_path=include_path,
        labels=cast("Labels", labels),
        begun=cast("Begun", begun),
        batch_size=batch_size,
        device=device,
    )
    found = load_run(run)
    with quiet(found.path / FILE, verbose=verbose or dry_run):
        planned = plan(found, request)
        for line in planned.estimate():
            tell(line)
        if dry_run:
            return
        summaries = run_probes(planned)
    if as_json:
        rows: list[dict[str, Any]] = [summary.to_json() for summary in summaries]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(map(summary_text, summaries)))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
