"""Stages of ``evaluate``: every model answers the task, an evaluation judge judges, Table 1 comes out.

Generation is lm-evaluation-harness's own, with the task as ``lm_eval`` runs it; what is left in the folders
are runs that ``anchor-eval compare`` and ``anchor-eval leaderboard`` read too.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from anchor_train.recipes.config import Recipe
from anchor_train.run.copies import linked
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.manifest import flat
from anchor_train.run.roles import judge_spec, own_model, runs_here
from anchor_train.run.stage import BASE_MODEL, SFT_MODEL, Stage, StageJob, StageResult, derived_seed
from anchor_train.run.trained_folder import is_whole
from anchor_train.stages.form import form_of
from anchor_train.stages.judge import judged_by, price, sample_text
from anchor_train.stages.parts.kind import Example, Figures, Planned, StageKind, Summary, always
from anchor_train.stages.parts.paper_table import Table, table_of
from anchor_train.stages.parts.preview import Preview
from anchor_train.training.job import OutputFolder
from judges.backends.vllm.adapters import room_for
from judges.config import load_judge
from judges.errors import DataError, NothingJudgedError
from judges.storage.files import read_object, write_json
from lm_eval_tasks.harness.engines.models import open_model
from lm_eval_tasks.harness.packages import packages_read_here
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.runs.under_way import REPLIES
from lm_eval_tasks.tasks.load import load_task, task_names
from lm_eval_tasks.tasks.spec import REFINED, TASKS, TaskSpec
from lm_eval_tasks.tracking.figures import task_figures

TABLE = "table.json"
LOG = "log"
JUDGEMENTS = "evaluation"
# Keys of our vLLM backend that lm-eval's has not, or under another name.
_NOT_THE_HARNESSES = {"backend", "engine_args", "chat_template"}


def generate(job: StageJob) -> StageResult:
    """Does stage ``generate``: one model's replies to the task's questions."""
    spec = asked_task(job)
    adapter = OutputFolder(job.needed("adapter")).adapter if "adapter" in job.stage.needs else None
    log = job.folder / LOG
    shutil.rmtree(log, ignore_errors=True)
    _run_harness(job, spec, adapter, log)
    run = load_run(log).task(spec.name)
    files = _written(job, log)
    counts = [len(scored.responses) for scored in run.read_samples()]
    return StageResult(tuple(files), {"questions": len(counts), "replies": sum(counts)})


def score(job: StageJob) -> StageResult:
    """Does stage ``score``: the evaluation judge's verdicts on one model's replies."""
    recipe = job.recipe
    log = job.folder / LOG
    shutil.rmtree(log, ignore_errors=True)
    linked(job.needed("generated") / LOG, log)
    given = judge_spec(recipe, recipe.evaluate.judge)
    with load_judge(given, cache=job.run.replies, executor=recipe.executor) as judge:
        summary = score_task(only_task(log), load_task(recipe.task), judge, name=JUDGEMENTS)
    files = _written(job, log)
    unjudged = sum(summary.unjudged.values())
    return StageResult(
        tuple(files),
        {
            "replies": summary.responses,
            "judged": summary.judged,
            "failed": unjudged,
            "judge": summary.judge.to_json(),
            "accounts": dict(summary.accounts),
        },
    )


def tabulate(job: StageJob) -> StageResult:
    """Does stage ``table``: the paper's Table 1, and the comparison with the fine-tuned model beside it.

    Raises:
        NothingJudgedError: If no model's replies could be judged.
        DataError: If those that could be are of one model, and so nothing is compared.
    """
    runs = {name: only_task(job.needed(name) / LOG, judge=JUDGEMENTS) for name in job.stage.needs}
    baseline = job.recipe.evaluate.baseline
    table = table_of(runs, baseline, beside_of(baseline, runs), job.recipe.sft.target)
    write_json(job.folder / TABLE, table.to_json())
    if not table.compares:
        judged = any(row.judged for row in table.rows)
        raise (DataError if judged else NothingJudgedError)(table.why_empty())
    return StageResult((TABLE,), table.to_json())


def beside_of(baseline: str, models: Collection[str]) -> str | None:
    """What aligned models are compared with beside the baseline: the model that they were trained from.

    Where the baseline can hardly be judged, theirs is the comparison that says something.
    """
    if baseline != BASE_MODEL:
        return BASE_MODEL
    return SFT_MODEL if set(models) - {BASE_MODEL, SFT_MODEL} else None


def asked_task(job: StageJob) -> TaskSpec:
    """The task as the model is asked it: in the plain way, or with a refinement of its own reply."""
    spec = load_task(job.recipe.task)
    if not job.stage.refined:
        return spec
    name = f"{spec.name}{REFINED}"
    if name in task_names():
        return load_task(name)
    assert spec.path is not None, "a task of the user's own comes from a file"
    path = job.folder / "task" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    values = {"include": str(spec.path.resolve()), "task": name, "protocol": "refined"}
    if spec.data_dir is not None:  # a relative one starts from the task's own file
        values["data_dir"] = str(spec.data_dir.resolve())
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_task(path)


def only_task(log: Path, judge: str | None = None) -> TaskRun:
    """The one task that a model of this run was asked."""
    (task,) = load_run(log, judge=judge).tasks.values()
    return task


def _texts(job: StageJob) -> Iterator[Mapping[str, Any]]:
    """The replies of the evaluation, with verdicts."""
    return iter(load_run(job.folder / LOG, judge=JUDGEMENTS).replies)


def harness_engine(recipe: Recipe) -> str:
    """lm-eval's model type that generates: ``hf`` or ``vllm``."""
    return recipe.evaluate.engine or ("vllm" if recipe.engine["backend"] == "vllm" else "hf")


def harness_model(recipe: Recipe, adapter: Path | None, folder: Path) -> tuple[str, dict[str, Any]]:
    """lm-eval's model type and its arguments.

    Args:
        recipe: The recipe.
        adapter: What a training left, an adapter on the base model or a whole one; None for the base itself.
        folder: Where a tokenizer goes that got its chat template from the recipe.
    """
    model, engine = recipe.model, harness_engine(recipe)
    whole = adapter if adapter is not None and is_whole(adapter) else None
    adapter = None if whole is not None else adapter
    # The chat template writes the special tokens, here as in training.
    arguments: dict[str, Any] = {"pretrained": str(whole or model.name), "add_bos_token": False}
    arguments["dtype"] = own_model(recipe, None).get("dtype", "auto")
    if model.revision is not None and whole is None:
        arguments["revision"] = model.revision
    if model.trust_remote_code:
        arguments["trust_remote_code"] = True
    if model.chat_template is not None:
        arguments["tokenizer"] = str(_own_tokenizer(recipe, folder))
    if model.chat_template_kwargs:
        arguments["chat_template_args"] = dict(model.chat_template_kwargs)
    if engine == "hf":
        arguments["device"] = _device()
        return engine, arguments if adapter is None else {**arguments, "peft": str(adapter)}
    if recipe.engine["backend"] == "vllm":
        own = {key: value for key, value in recipe.engine.items() if key not in _NOT_THE_HARNESSES}
        arguments |= {**own, **recipe.engine.get("engine_args", {})}
    if adapter is not None:
        arguments |= {"lora_local_path": str(adapter), "max_lora_rank": room_for(adapter)}
    return engine, arguments


@packages_read_here()
def _run_harness(job: StageJob, spec: TaskSpec, adapter: Path | None, log: Path) -> None:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    # The judge comes in the next stage; the task's hint how to get one would only confuse here.
    logging.getLogger("lm_eval.explain").addFilter(lambda record: "no judge" not in record.getMessage())
    recipe, settings = job.recipe, job.recipe.evaluate
    engine, arguments = harness_model(recipe, adapter, job.folder)
    options = {
        "repeats": settings.n,
        "reply_form": str(form) if (form := form_of(job.run, recipe)) else None,
        "split": settings.split,
        "data_dir": None if recipe.data_dir is None else str(recipe.data_dir),
        "skip_unreadable_rows": recipe.questions.skip_unreadable_rows or None,
    }
    # A copy: the harness's vLLM model takes enable_thinking out of chat_template_args.
    metadata = {**deepcopy(arguments), **{key: value for key, value in options.items() if value is not None}}
    folder = TASKS if spec.path is None else spec.path.parent
    tracker = EvaluationTracker(output_path=str(log))
    seed = derived_seed(recipe.seed, "evaluate")
    opened = open_model(
        engine,
        arguments,
        replies=job.folder / REPLIES,
        seed=seed,
        batch_size=settings.batch_size if engine == "hf" else None,
    )
    results = simple_evaluate(
        model=opened.lm,
        model_args=arguments,
        tasks=[spec.name],
        batch_size=opened.batch_size,
        limit=settings.limit,
        log_samples=True,
        evaluation_tracker=tracker,
        apply_chat_template=True,
        gen_kwargs={
            "do_sample": settings.temperature > 0,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_gen_toks": room(job),
        },
        # Without the harness's own ten thousand task files, which take it seconds to read.
        task_manager=TaskManager(include_path=str(folder), include_defaults=False, metadata=metadata),
        metadata=metadata,
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
    )
    if results is None:
        raise DataError(f"{job.stage.key}: lm_eval returned no results")
    # The harness knows only the class of a model that was made before.
    results["config"]["model"] = engine
    tracker.general_config_tracker.model_source = engine
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in results["configs"]:
        tracker.save_results_samples(task_name=name, samples=samples[name])


def _written(job: StageJob, log: Path) -> list[str]:
    """Files of the log; locks are no results, and may go."""
    found = (path for path in sorted(log.rglob("*")) if path.is_file() and path.suffix != ".lock")
    return [path.relative_to(job.folder).as_posix() for path in found]


def room(job: StageJob) -> int:
    """Most tokens of a whole completion: a reply, and where it is refined a principle and a second reply.

    What a model thinks before comes on top.
    """
    reply, thought = job.recipe.evaluate.max_tokens, job.recipe.evaluate.thinking_tokens
    refined = reply + job.recipe.staple.discover.principle_tokens if job.stage.refined else 0
    return thought + reply + refined


def _own_tokenizer(recipe: Recipe, folder: Path) -> Path:
    from anchor_train.training.base_model import load_tokenizer

    path = folder / "tokenizer"
    load_tokenizer(recipe.model).save_pretrained(path)
    return path


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _generation_basis(stage: Stage, of: Dependencies) -> Basis:
    unfelt = {"judge", "batch_size", "baseline"}
    generation = of.recipe.evaluate.model_dump(mode="json", exclude=unfelt)
    room = of.settings("staple.discover.principle_tokens") if stage.refined else {}
    refined = of.refine_prompts if stage.refined else {}
    return Basis(
        {
            **flat({"evaluate": generation}),
            **of.settings("model", "task", "data_dir", "seed", "engine"),
            **room,
            **({"questions.skip_unreadable_rows": True} if of.recipe.questions.skip_unreadable_rows else {}),
        },
        {**of.model, **of.prompts, **refined, **of.data},
    )


def _table_basis(stage: Stage, of: Dependencies) -> Basis:
    baseline, target = of.recipe.evaluate.baseline, of.recipe.sft.target
    settings = {} if baseline == BASE_MODEL else {"evaluate.baseline": baseline}
    return Basis(settings if target == "answer" else {**settings, "sft.target": target}, {})


def _asked(preview: Preview) -> tuple[int, str]:
    """How many questions each model is asked, and of which split."""
    settings, spec = preview.recipe.evaluate, preview.spec
    split = settings.split or spec.evaluation_split
    skip = preview.recipe.questions.skip_unreadable_rows
    questions = len(spec.load_questions(split, preview.recipe.data_dir, skip_unreadable_rows=skip))
    return min(questions, settings.limit or questions), split


def _generation_plan(job: StageJob, preview: Preview) -> Planned:
    (many, split), n = _asked(preview), job.recipe.evaluate.n
    does = f"{job.stage.model} answers {many} questions of {split} {n} times each"
    return Planned(does, many * n, work=preview.asking(None, many * n, room(job), n))


def _score_plan(job: StageJob, preview: Preview) -> Planned:
    calls = _asked(preview)[0] * job.recipe.evaluate.n
    work = preview.judging(job.recipe.evaluate.judge, calls)
    return Planned(f"judges up to {calls} explanations", calls, work=work)


def _score_line(found: Summary) -> str:
    return f"{found['judged']} of {found['replies']} judged by {found['judge']['name']}{price(found)}"


def _score_figures(job: StageJob, found: Summary, steps: int) -> Iterator[Figures]:
    """What the evaluation of one model gave, at the step that its training ended with."""
    run = only_task(job.folder / LOG, judge=JUDGEMENTS)
    yield steps, task_figures(run, f"eval/{job.stage.model}")


def _table_figures(job: StageJob, found: Summary, steps: int) -> Iterator[Figures]:
    """How the models compare; shares of 1."""
    table = Table.from_json(found)
    for beside, rows in ((table.baseline, table.rows), (table.beside, table.beside_rows)):
        for row in rows:
            given = {
                "win": row.win,
                "tie": row.tie,
                "loss": row.loss,
                "win_minus_loss": row.margin,
                "win_minus_loss_low": row.margin_low,
                "win_minus_loss_high": row.margin_high,
            }
            start = f"compare/{row.model}/{beside}"
            known = {f"{start}/{name}": value for name, value in given.items() if value is not None}
            if known:
                yield None, known


def _show_scored(job: StageJob) -> Iterator[Example]:
    spec = load_task(job.recipe.task)
    for scored in only_task(job.folder / LOG, judge=JUDGEMENTS).read_samples():
        question = scored.question
        head = f"=== question {question.id}, gold {question.gold}, answered by {job.stage.model}"
        lines = [head, spec.shown_question(question)]
        lines += [sample_text(index, sample) for index, sample in enumerate(scored.responses)]
        yield Example(job.stage.key, question.id, "\n".join(lines), scored.to_json())


def _show_table(job: StageJob) -> Iterator[Example]:
    row = read_object(job.folder / TABLE)
    yield Example(job.stage.key, TABLE, Table.from_json(row).to_text(), row)


GENERATE = StageKind(
    "generate",
    work=generate,
    basis=_generation_basis,
    plan=_generation_plan,
    line=lambda found: f"{found['replies']} replies to {found['questions']} questions",
    commands=("evaluate",),
    own_process=True,
    loads=lambda recipe: harness_engine(recipe) == "hf",
    in_form=always,
)
SCORE = StageKind(
    "score",
    work=score,
    basis=lambda stage, of: judged_by(of, "evaluate.judge", of.recipe.evaluate.judge),
    plan=_score_plan,
    line=_score_line,
    figures=_score_figures,
    texts=_texts,
    show=_show_scored,
    file=LOG,
    commands=("evaluate",),
    own_process=True,
    loads=lambda recipe: runs_here(recipe, recipe.evaluate.judge),
    asks=True,
)
TABLE_KIND = StageKind(
    "table",
    work=tabulate,
    basis=_table_basis,
    plan=lambda job, preview: Planned("compares the models"),
    line=lambda found: ", ".join(row["model"] for row in found["rows"]),
    report=lambda found, _: Table.from_json(found).to_text(),
    figures=_table_figures,
    show=_show_table,
    file=TABLE,
    commands=("evaluate",),
)
