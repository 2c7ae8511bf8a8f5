"""``anchor-eval run``: evaluate a model."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lm_eval_tasks.commands.options.budget import budget, budget_options
from lm_eval_tasks.commands.options.completion import runs, tasks
from lm_eval_tasks.commands.options.executor import executor, executor_options
from lm_eval_tasks.commands.options.judge import rubric_options
from lm_eval_tasks.commands.options.log import verbose_option
from lm_eval_tasks.commands.options.number import Number
from lm_eval_tasks.commands.options.track import sample_options, tracking

if TYPE_CHECKING:
    from judges.judge import Judge
    from judges.records import VerdictForm
    from lm_eval_tasks.harness.generation import GenerationRequest
    from lm_eval_tasks.runs.discovery import Run
    from lm_eval_tasks.runs.judgement_files import JudgementSummary
    from lm_eval_tasks.runs.judging.ahead import JudgingAhead
    from lm_eval_tasks.stats.metrics import Summary
    from lm_eval_tasks.tasks.spec import TaskSpec

_OPTIONS = frozenset(
    {
        "judge", "baseline", "data_dir", "split", "repeats", "thinking_tokens", "reply_form",
        "skip_unreadable_rows",
    }
)  # fmt: skip


@click.command("run")
@click.option("--model", required=True, help="Kind of model, as lm_eval names it: hf, vllm, ...")
@click.option("--model-args", default="", help="Its arguments, key=value,key=value or JSON.")
@click.option(
    "--tasks",
    required=True,
    help="Names of tasks, separated by commas, or self_explanation.",
    shell_complete=tasks,
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The run folder.")
@click.option("--judge", help="openai:MODEL@URL, vllm:MODEL, ..., or judge.yaml. Without it: score later.")
@rubric_options
@click.option(
    "--baseline", type=click.Path(), help="Run folder to compare with at the end.", shell_complete=runs
)
@click.option("--data-dir", type=click.Path(exists=True), help="Local questions instead of the hub's.")
@click.option("--split", type=click.Choice(["train", "validation", "test"]), help="Default: the task's own.")
@click.option(
    "--skip-unreadable-rows", is_flag=True, help="Leave out rows that can't be read, and count them."
)
@click.option("--limit", type=click.IntRange(1), help="Only the first questions of each task.")
@click.option(
    "--repeats",
    metavar="N|auto",
    help="Samples a question; auto: 2, 4, ... until more hardly narrow the accuracy's interval. "
    "[default: the task's own, 16]",
)
@click.option(
    "--until-width",
    type=Number(0, 1, min_open=True, max_open=True),
    help="Stop sampling when the accuracy's 95% interval is that long (0.06: 6 points) or more samples "
    "hardly narrow it; --repeats is then the most.",
)
@click.option(
    "--apply-chat-template/--no-apply-chat-template",
    default=None,
    help="Whether prompts go through the model's chat template.  [default: if it has one]",
)
@click.option(
    "--reply-form",
    default="auto",
    show_default=True,
    help="How replies get into the form that can be read: asked, shown, shown:K (K worked examples), held, "
    "shown+held; auto tries them on 40 questions, or takes that of --baseline.",
)
@click.option("--batch-size", help="As lm_eval takes it: a number, or auto.  [default for hf: 16]")
@click.option("--device", help="As lm_eval takes it, e.g. cuda:0 or cpu.")
@click.option("--gen-kwargs", help="Generation settings over the task's: temperature=0.8,top_p=1, or JSON.")
@click.option(
    "--thinking-tokens",
    default=0,
    type=click.IntRange(0),
    help="Tokens for a thinking model's thought, on top of those for its reply (max_gen_toks).",
)
@click.option(
    "--cut-prompts",
    is_flag=True,
    help="Cut the beginnings of prompts that don't fit the model's context with their replies, and count "
    "them; without it such a run is refused.",
)
@click.option("--include-path", type=click.Path(exists=True), help="Folder with task files of your own.")
@click.option("--metadata", help="Further options of the tasks, as JSON.")
@budget_options
@executor_options
@click.option(
    "--seed", default=1234, show_default=True, help="Of the generation; every sample gets its own from it."
)
@sample_options
@verbose_option
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
def command(
    tasks: str,
    output: Path,
    judge: str | None,
    rubric: str | None,
    verdict_form: VerdictForm | None,
    baseline: str | None,
    metadata: str | None,
    reply_form: str,
    verbose: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Evaluate a model: generate with lm_eval, free the model, then judge.

    Started again with the same options, it goes on where it stopped: once all is generated, it isn't
    generated again, and what is judged isn't asked again. A judge that has spent what it may (--max-calls,
    --max-tokens, --max-cost) ends it with exit code 3.

    \b
    anchor-eval run --model hf --model-args pretrained=MODEL --tasks aqua_rat_explain \\
      --judge openai:JUDGE@http://localhost:8000/v1 -o runs/m1
    """
    from judges.config import load_judge
    from judges.errors import ConfigError
    from judges.output.notices import tell
    from judges.output.run_log import FILE, quiet
    from judges.rubrics.load import load_rubric
    from judges.storage.files import parse_object
    from lm_eval_tasks.comparison.named import compare_runs
    from lm_eval_tasks.comparison.pair import Settings
    from lm_eval_tasks.comparison.reports.text import as_json as comparison_json
    from lm_eval_tasks.comparison.reports.text import as_text
    from lm_eval_tasks.harness.generation import GenerationRequest, check_arguments, generate
    from lm_eval_tasks.prompts.reply_form import AUTO, read_reply_form
    from lm_eval_tasks.runs.discovery import load_run
    from lm_eval_tasks.runs.judging.ahead import judging_ahead
    from lm_eval_tasks.runs.judging.rescoring import require_judgements
    from lm_eval_tasks.tasks.load import find_tasks

    _only_one_process()
    limits, where, to = budget(options), executor(options), tracking(options)
    more = parse_object(metadata, "--metadata") if metadata else None
    if own := sorted(_OPTIONS & (more or {}).keys()):
        option = f"--{own[0].replace('_', '-')}"
        raise ConfigError(f"--metadata: {own[0]!r} has an option of its own here: {option}")
    if (rubric or verdict_form) and not judge:
        option = "--rubric" if rubric else "--verdict-form"
        raise ConfigError(f"{option} is what a judge goes by: give --judge, too")
    own_rubric = load_rubric(rubric) if rubric else None
    specs = find_tasks(tasks.split(","), options["include_path"])
    other = load_run(baseline) if baseline else None
    form = read_reply_form(reply_form, "--reply-form")
    if form != AUTO:
        specs = [spec.in_form(form) for spec in specs]
    options |= _samples(options["repeats"], options["until_width"])
    request = GenerationRequest(
        tasks=tuple(spec.name for spec in specs),
        metadata=more,
        reply_form=_form_of(other, specs, output) if form == AUTO and other else str(form),
        **options,
    )
    check_arguments(request)
    with quiet(output / FILE, verbose=verbose), ExitStack() as closing:
        judging = None
        if judge:
            judging = closing.enter_context(
                load_judge(judge, rubric=own_rubric, budget=limits, verdict_form=verdict_form, executor=where)
            )
        _announce(specs, request, judging)
        with judging_ahead(judging) as ahead:
            found = generate(request, output, ahead.path)
        if not found.fresh:
            tell(f"{found.folder}: generated before with these settings")
            if found.form is not None:
                tell(found.form.why)
        run = replace(load_run(found.folder, date=found.date), name=output.resolve().name, path=output)
        texts, results, summaries = _results(run, specs, judging, ahead)
    if other is not None:
        settings = Settings()
        run = replace(load_run(found.folder, date=found.date), name=run.name, path=output)
        report = compare_runs([run, other], settings=settings)
        texts.append(as_text(report, settings))
        results["comparison"] = comparison_json(report, settings)
    click.echo(json.dumps(results, indent=2, ensure_ascii=False) if as_json else "\n\n".join(texts))
    if to is not None:
        run = replace(load_run(found.folder, date=found.date), name=run.name, path=output)
        to.run(run, request.tasks)
        if other is not None:
            to.comparison(report, {run.name: run, other.name: other})
    if judge:
        require_judgements(summaries)


def _samples(repeats: str | None, until_width: float | None) -> dict[str, Any]:
    """``repeats`` and ``until_width`` of the request, from the options of these names."""
    from judges.errors import ConfigError

    if repeats == "auto":
        return {"repeats": None, "until_width": until_width or 0.0}
    if repeats is not None and not (repeats.isdecimal() and int(repeats) > 0):
        raise ConfigError(f"--repeats: {repeats!r} is neither a number from 1 on nor auto")
    number = None if repeats is None else int(repeats)
    if number == 1 and until_width is not None:
        raise ConfigError("--until-width needs two samples a question or more: --repeats is the most")
    return {"repeats": number, "until_width": until_width}


def _only_one_process() -> None:
    """Refuses to be several: each would generate everything, and write to the same run folder."""
    from judges.errors import ConfigError

    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise ConfigError(
            "anchor-eval run is one process, and accelerate launch or torchrun started several: start it "
            "alone, with --model-args parallelize=True (hf) or tensor_parallel_size=N, data_parallel_size=N "
            "(vllm) for several GPUs; or generate with accelerate launch -m lm_eval, then anchor-eval score"
        )


def _form_of(baseline: Run, specs: list[TaskSpec], output: Path) -> str:
    """The reply form of the baseline, so that both are asked in the same way; ``auto`` if it doesn't tell."""
    from judges.output.notices import tell
    from lm_eval_tasks.harness.generation import MANIFEST

    forms = {baseline.tasks[spec.name].reply_form for spec in specs if spec.name in baseline.tasks}
    if len(forms) != 1 or None in forms or (output / MANIFEST).is_file():
        return "auto"
    (form,) = forms
    tell(f"reply form {form}: that of the baseline {baseline.name}")
    return str(form)


def _announce(specs: list[TaskSpec], request: GenerationRequest, judge: Judge | None) -> None:
    """Says what it will take before it starts; also reads all questions, so that a bad file shows now."""
    from judges.errors import DataError
    from judges.output.notices import tell
    from lm_eval_tasks.runs.judging.scoring import require_shown

    total, most = 0, "" if request.until_width is None else "at most "
    for spec in specs:
        split = request.split or spec.evaluation_split
        loaded = spec.load(split, request.data_dir, skip_unreadable_rows=request.skip_unreadable_rows)
        questions = len(loaded.questions)
        if not questions:
            raise DataError(f"{spec.name}: the {split} split has no questions")
        if loaded.note:
            tell(f"{spec.name}: {loaded.note}")
        if judge is not None:
            require_shown(spec.name, loaded.questions[: request.limit], judge.rubric)
        questions = min(questions, request.limit or questions)
        samples = request.repeats or spec.repeats
        total += questions * samples
        each = f"{questions} questions x {most}{samples} samples"
        tell(f"{spec.name}: {each} = {questions * samples} generations")
    judged = f", then up to {total} judgements by {judge.info.name}" if judge else "; no judge"
    tell(f"{most}{total} generations{judged}")


def _results(
    run: Run, specs: list[TaskSpec], judge: Judge | None, ahead: JudgingAhead
) -> tuple[list[str], dict[str, Any], list[JudgementSummary]]:
    """Judges what was generated, or measures what can be measured without a judge."""
    from judges.errors import DataError
    from judges.output.notices import tell
    from lm_eval_tasks.comparison.reports.score import (
        failed_lines,
        left_out_lines,
        mean_text,
        metrics_table,
        summary_text,
    )
    from lm_eval_tasks.runs.judging.rescoring import estimate, score_task
    from lm_eval_tasks.runs.reply_account import account, account_text
    from lm_eval_tasks.runs.results_file import add_judged
    from lm_eval_tasks.stats.metrics import failures_of, mean_of_tasks, summarise

    texts: list[str] = []
    summaries: list[JudgementSummary] = []
    results: dict[str, Any] = {}
    failures = {spec.name: failures_of(run.task(spec.name).read_samples()) for spec in specs}
    arrived = {
        spec.name: sum(len(scored.answered) for scored in run.task(spec.name).read_samples())
        for spec in specs
    }
    if nothing := next((name for name, count in arrived.items() if not count), None):
        number, reason = failures[nothing].total(), next(iter(failures[nothing]), "")
        raise DataError(f"{nothing}: none of {number} replies arrived; the first: {reason}")
    if judge is not None:
        for spec in specs:
            tell(f"{spec.name}: {estimate(run.task(spec.name), spec, judge)}")
        summaries = [
            score_task(run.task(spec.name), spec, judge, ahead=ahead.of(spec.name)) for spec in specs
        ]
        for summary in summaries:
            add_judged(run.task(summary.task), summary)
        metrics = [summary.metrics for summary in summaries]
        texts = [summary_text(summary) for summary in summaries]
        results["tasks"] = [summary.to_json() for summary in summaries]
    else:
        metrics = [summarise(run.task(spec.name).read_samples(), None) for spec in specs]
        named = [(spec.name, found) for spec, found in zip(specs, metrics, strict=True)]
        texts = [
            "\n".join(
                [
                    f"{name}, model {run.model}",
                    metrics_table(found),
                    *failed_lines(failures[name], arrived[name]),
                    *left_out_lines(run.task(name).rows_left_out, run.task(name).left_out),
                ]
            )
            for name, found in named
        ]
        results["tasks"] = [
            {
                "task": name,
                "responses": arrived[name],
                "unanswered": dict(failures[name].most_common()),
                "metrics": _as_json(found),
            }
            for name, found in named
        ]
    accounts = [account(run.task(spec.name).read_samples()) for spec in specs]
    for k, found in enumerate(accounts):
        if found is not None:
            texts[k] += "\n" + account_text(found, str(run.path), run.task(specs[k].name).reply_form)
            results["tasks"][k]["replies"] = found.to_json()
        results["tasks"][k]["reply_form"] = run.task(specs[k].name).reply_form
        if left_out := run.task(specs[k].name).rows_left_out:
            results["tasks"][k]["rows_left_out"] = left_out
            results["tasks"][k]["left_out"] = list(run.task(specs[k].name).left_out)
    if len(specs) > 1:
        texts.append(mean_text(metrics))
        results["mean"] = _as_json(mean_of_tasks(metrics))
    if judge is None and any(found is not None and found.explained for found in accounts):
        texts.append(f"no judge: anchor-eval score {run.path} --judge ... adds the explanation scores")
    return texts, results, summaries


def _as_json(metrics: Mapping[str, Summary]) -> dict[str, Any]:
    return {name: found.to_json() for name, found in metrics.items()}
