"""Generates with lm-evaluation-harness, in a process of its own that ends before anything is judged.

``python -m lm_eval_tasks.harness.generation REQUEST`` is that process: it calls the harness's own
``simple_evaluate`` and writes the harness's own results and samples files; what came of it, or went wrong, is
left beside the request. What was generated is noted in the
run folder, so that the same request is not generated again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from judges.errors import BackendError, ConfigError
from judges.output.notices import tell
from judges.records import Statement
from judges.storage.files import Json, read_object, replacing
from lm_eval_tasks.harness import pilot, sampling_budget
from lm_eval_tasks.harness.arguments import check_generation, parse_arguments, plain_generation
from lm_eval_tasks.harness.engines.apart import answer, ask
from lm_eval_tasks.harness.engines.chat import has_template, leave_special_tokens_to_the_template
from lm_eval_tasks.harness.engines.kinds import CHAT_ENDPOINTS, ENDPOINTS, HF, engine_of, without_effect
from lm_eval_tasks.harness.engines.machine import check_machine
from lm_eval_tasks.harness.engines.models import open_model
from lm_eval_tasks.harness.packages import packages_read_here
from lm_eval_tasks.harness.pilot import ChosenForm
from lm_eval_tasks.harness.sampling_budget import Budget
from lm_eval_tasks.prompts.reply_form import ASKED, AUTO, ReplyForm, read_reply_form
from lm_eval_tasks.runs.judging.ahead import Report
from lm_eval_tasks.runs.under_way import REPLIES
from lm_eval_tasks.tasks.spec import TASKS

MANIFEST = "generation.json"
_ROOM = 256
"""Tokens of a reply where neither task nor user says: the harness's own."""
ALIASES = {"pocket": "lm_eval_tasks.pocket:lm_eval_arguments"}
"""Model name of our own -> ``module:function`` that gives the harness's model name and arguments for it."""


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Everything that decides what is generated.

    Attributes:
        model: Kind of model, as the harness names it (``hf``, ``vllm``, ``local-chat-completions`` ...).
        model_args: Its arguments, ``key=value,key=value`` or JSON.
        tasks: Names of the tasks.
        include_path: Folder with the user's own task files.
        data_dir: Folder with local questions.
        split: Split to evaluate; None for the tasks' own.
        limit: Only the first questions of each task.
        repeats: Samples a question; None for the tasks' own. With ``until_width`` the most.
        thinking_tokens: Tokens for a thought, on top of those for the reply.
        skip_unreadable_rows: Whether rows of the data that can't be read are left out and counted.
        apply_chat_template: Whether prompts go through the model's chat template; None: if it has one.
        batch_size: As the harness takes it (a number or ``auto``); None for ``HF_BATCH_SIZE`` with ``hf``,
            otherwise for the harness's own.
        device: As the harness takes it.
        gen_kwargs: Generation settings over the tasks' own, ``key=value,key=value`` or JSON.
        metadata: Further options of the tasks.
        reply_form: As ``prompts.reply_form`` takes it; ``auto`` tries forms out first (``harness.pilot``).
        seed: Of the generation; every sample gets a seed of its own from it.
        cut_prompts: Whether prompts that don't fit the model's context with their replies may be cut.
        until_width: Length of the accuracy's 95% interval (0 to 1) at which a question gets no more samples;
            0: as soon as more of them hardly narrow it; None: always ``repeats``.
    """

    model: str
    model_args: str
    tasks: tuple[str, ...]
    include_path: str | None = None
    data_dir: str | None = None
    split: str | None = None
    limit: int | None = None
    repeats: int | None = None
    apply_chat_template: bool | None = None
    batch_size: str | None = None
    device: str | None = None
    gen_kwargs: str | None = None
    metadata: Mapping[str, Any] | None = None
    reply_form: str | None = None
    seed: int = 1234
    thinking_tokens: int = 0
    skip_unreadable_rows: bool = False
    cut_prompts: bool = False
    until_width: float | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of the request and of the dates of the local files that its model is read from."""
        request = {**asdict(self), "apply_chat_template": self.apply_chat_template is not False}
        # The form is compared by itself: what was generated before there was one still counts.
        del request["reply_form"]
        for later in ("thinking_tokens", "skip_unreadable_rows", "cut_prompts"):
            if not request[later]:  # as before there was this setting: nothing is generated anew for it
                del request[later]
        if self.until_width is None:
            del request["until_width"]
        content = [request, sorted(_local_model_files(self.model_args))]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Generated:
    """Where the harness put what it generated.

    Attributes:
        folder: Folder of results and samples.
        date: Date in their file names.
        fresh: False if it was there already, from the same request.
        form: The reply form that a pilot chose; None where the user did.
    """

    folder: Path
    date: str
    fresh: bool
    form: ChosenForm | None = None


def check_arguments(request: GenerationRequest) -> None:
    """Refuses arguments that can't be read or aren't known, before anything is loaded.

    Raises:
        ConfigError: With the nearest known name.
    """
    model_args = parse_arguments(request.model_args, "--model-args")
    check_generation(parse_arguments(request.gen_kwargs, "--gen-kwargs"), request.model)
    if request.model in CHAT_ENDPOINTS:
        from lm_eval_tasks.harness.engines.chat_endpoint import client_settings

        client_settings(request.model, model_args)


def idle_settings(request: GenerationRequest) -> dict[str, str]:
    """What was asked for and has no effect with this kind of model: as it was given -> why."""
    found = without_effect(
        request.model,
        parse_arguments(request.model_args, "--model-args"),
        {"device": request.device, "batch_size": request.batch_size, "seed": request.seed},
    )
    if _seed(request.gen_kwargs, request.seed) is None:
        found[f"--seed {request.seed}"] = "seed = null of --gen-kwargs leaves the draws to the engine"
    return found


def _seed(gen_kwargs: str | None, seed: int) -> int | None:
    """The seed that holds: none where the user has set it to null among the generation settings."""
    return None if "seed" in parse_arguments(gen_kwargs, "--gen-kwargs") else seed


def resolved(request: GenerationRequest) -> GenerationRequest:
    """The request with a model name of our own replaced by what the harness knows."""
    if request.model not in ALIASES:
        return request
    module, function = ALIASES[request.model].split(":")
    try:
        arguments: Callable[[], tuple[str, str]] = getattr(import_module(module), function)
    except ModuleNotFoundError:
        raise ConfigError(f"model {request.model!r} is not part of this installation") from None
    model, model_args = arguments()
    more = f",{request.model_args}" if request.model_args else ""
    return replace(request, model=model, model_args=model_args + more)


def generate(request: GenerationRequest, run: Path, finished: Path | None = None) -> Generated:
    """Generates, unless this run folder has just that already.

    Args:
        request: What to generate.
        run: The run folder, made if it isn't there.
        finished: File to which each reply with an explanation is added when it is on disk
            (:mod:`lm_eval_tasks.runs.judging.ahead`).

    Raises:
        ConfigError: If the folder holds a run of another model.
        BackendError: If the harness fails; its traceback is in the run's log.
    """
    request = resolved(request)
    check_arguments(request)
    manifest = run / MANIFEST
    before = read_object(manifest) if manifest.is_file() else {}
    chosen = _form_before(run, before) if request.reply_form == AUTO else None
    if chosen is not None:
        request = replace(request, reply_form=str(chosen.form))
    if before:
        asked = before.get("request", {})
        if (asked.get("model"), asked.get("model_args")) != (request.model, request.model_args):
            raise ConfigError(
                f"{run}: holds a run of {asked.get('model')} {asked.get('model_args')}; give another -o"
            )
        found = Generated(run / str(before.get("folder")), str(before.get("date")), fresh=False, form=chosen)
        same_form = (asked.get("reply_form") or "asked") == (request.reply_form or "asked")
        if before.get("fingerprint") == request.fingerprint and same_form and _complete(found, request):
            failed = before.get("failed", 0)
            if not failed:
                return found
            tell(f"{found.folder}: {failed} replies failed; they are asked for again, the others are kept")
    run.mkdir(parents=True, exist_ok=True)
    fingerprint = request.fingerprint
    idle = idle_settings(request)
    for name, why in idle.items():
        tell(f"warning: {name} has no effect: {why}")
    found, failed, refused = _in_child(request, run, chosen, finished)
    for name, why in refused.items():
        tell(f"warning: {name} had no effect: {why}")
    idle |= refused
    if not _complete(found, request):
        raise BackendError(f"{found.folder}: the harness could not save its samples; is the disk full?")
    with replacing(manifest) as file:
        entry = {
            "request": {
                **asdict(request),
                "reply_form": str(found.form.form) if found.form else request.reply_form,
            },
            "fingerprint": fingerprint,
            "folder": found.folder.relative_to(run).as_posix(),
            "date": found.date,
            **({"failed": failed} if failed else {}),
            **({"without_effect": idle} if idle else {}),
        }
        json.dump(entry, file, indent=2)
    return found


def _complete(found: Generated, request: GenerationRequest) -> bool:
    return all((found.folder / f"samples_{task}_{found.date}.jsonl").is_file() for task in request.tasks)


def _form_before(run: Path, manifest: Mapping[str, Any]) -> ChosenForm | None:
    """The form that this run folder's model was asked in before."""
    if (found := pilot.stored(run)) is not None:
        return replace(found, why=f"{found.why}; chosen before in this run folder")
    if not manifest:
        return None
    form = read_reply_form(manifest.get("request", {}).get("reply_form") or "asked", MANIFEST)
    why = f"reply form {form}, as before in this run folder"
    return ChosenForm(form, why) if isinstance(form, ReplyForm) else None


def _in_child(
    request: GenerationRequest, run: Path, chosen: ChosenForm | None, finished: Path | None
) -> tuple[Generated, int, dict[str, str]]:
    """Runs the child, which ends with this process.

    Returns:
        What it generated, how many replies failed, and what the model turned out not to take.
    """
    tried = request.reply_form == AUTO
    question = {"output": str(run), "finished": str(finished or ""), **asdict(request)}
    fork = request.model in (*HF, *ENDPOINTS)
    result = ask("lm_eval_tasks.harness.generation", question, "the generating process", fork=fork)
    form = pilot.stored(run) if tried else chosen
    found = Generated(Path(result["folder"]), str(result["date"]), True, form)
    return found, int(result["failed"]), dict(result["left_out"])


def _local_model_files(model_args: str) -> list[tuple[str, float]]:
    """Files of the model that lie on this machine, with the dates of their last change."""
    values = parse_arguments(model_args, "--model-args").values()
    folders = (Path(value) for value in values if isinstance(value, str) and value and Path(value).is_dir())
    return [(str(path), path.stat().st_mtime) for folder in folders for path in folder.iterdir()]


def main(arguments: list[str] | None = None) -> int:
    """Carries out a request; the result is left beside it, or an error."""
    return answer(arguments, _child)


@packages_read_here()
def _child(question: Json) -> Json:
    output, finished = Path(question.pop("output")), question.pop("finished")
    request = GenerationRequest(**{**question, "tasks": tuple(question["tasks"])})
    model_args = parse_arguments(request.model_args, "--model-args")
    check_machine(request.model, model_args, request.device)
    run = _Run(request, model_args)
    run.check_lengths()
    seed = _seed(request.gen_kwargs, request.seed)
    idle = engine_of(request.model).idle_options
    opened = open_model(
        request.model,
        model_args,
        replies=output / REPLIES,
        seed=seed,
        batch_size=None if "batch_size" in idle else request.batch_size,
        device=None if "device" in idle else request.device,
        cut_prompts=request.cut_prompts,
    )
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker

    if finished:
        opened.watch(run.reporting(Path(finished)))
    lm = opened.lm
    templated = request.apply_chat_template
    if templated is None:
        templated = has_template(lm)
    if templated:
        leave_special_tokens_to_the_template(lm)
    metadata = {}
    if request.reply_form == AUTO:
        asked = opened.for_trial()
        attempt = pilot.asking(
            lambda form: run.tasks(lm, reply_form=str(form), repeats=1),
            asked,
            lm.apply_chat_template if templated else None,
            run.gen_kwargs,
            request.limit,
        )
        chosen = pilot.choose(attempt, has_template=templated)
        pilot.store(output, chosen)
        tell(f"{'warning: ' if chosen.warning else ''}{chosen.why}")
        metadata = {"reply_form": str(chosen.form), "reply_form_from": chosen.why}
    elif request.reply_form is not None:
        metadata = {"reply_form": request.reply_form}
    budgets = run.settle(lm, lm.apply_chat_template if templated else None, metadata)
    tracker = EvaluationTracker(output_path=str(output))
    results = simple_evaluate(
        model=lm,
        model_args=model_args,
        tasks=list(request.tasks),
        task_manager=run.manager(lm, **metadata),
        batch_size=opened.batch_size,
        device=opened.device,
        limit=request.limit,
        gen_kwargs=run.gen_kwargs,
        apply_chat_template=templated,
        evaluation_tracker=tracker,
        random_seed=request.seed,
        numpy_random_seed=request.seed,
        torch_random_seed=request.seed,
        fewshot_random_seed=request.seed,
        metadata={**run.metadata, **metadata},
    )
    left_out = opened.left_out()
    # The harness knows only the class of a model that was made before.
    results["config"] |= {"model": request.model, "model_args": request.model_args}
    if without := {**idle_settings(request), **left_out}:
        results["config"]["without_effect"] = without
    if cut := opened.cut():
        results["config"]["prompts_cut"] = cut
    if budgets:
        results["config"]["sampling_budgets"] = {task: found.to_json() for task, found in budgets.items()}
    tracker.general_config_tracker.model_source = request.model
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])
    folder = output / str(tracker.general_config_tracker.model_name_sanitized)
    return {
        "folder": str(folder),
        "date": tracker.date_id,
        "failed": _failed(results["configs"]),
        "left_out": left_out,
    }


class _Run:
    """What is asked, as the harness takes it."""

    def __init__(self, request: GenerationRequest, model_args: Mapping[str, Any]) -> None:
        self._request = request
        self._model_args = model_args
        self._loaded: dict[str, Any] = {}
        self._budgets: dict[str, Budget] = {}
        given = parse_arguments(request.gen_kwargs, "--gen-kwargs")
        self.gen_kwargs = plain_generation(given, request.model) or None
        options = {
            "data_dir": request.data_dir,
            "split": request.split,
            "repeats": request.repeats,
            "thinking_tokens": request.thinking_tokens or None,
            "skip_unreadable_rows": request.skip_unreadable_rows or None,
        }
        self.metadata = {
            **model_args,
            **(request.metadata or {}),
            **{name: value for name, value in options.items() if value is not None},
            "judged_later": True,
        }

    def manager(self, lm: Any, **more: Any) -> Any:
        """The harness's manager of our tasks, which tells them the model that they ask."""
        from lm_eval.tasks import TaskManager

        found, budgets = self._loaded, self._budgets

        class Manager(TaskManager):  # type: ignore[misc]
            """Tells the tasks which model they ask."""

            def load(self, *args: Any, **kwargs: Any) -> Any:
                loaded = super().load(*args, **kwargs)
                for name, task in loaded["tasks"].items():
                    task.use_model(lm)
                    if name in budgets:
                        task.set_config(key="repeats", value=budgets[name].replies)
                    found[name] = task
                return loaded

        own = self._request.include_path
        paths = [str(TASKS), *([own] if own else [])]
        return Manager(include_path=paths, include_defaults=False, metadata={**self.metadata, **more})

    def tasks(self, lm: Any, **more: Any) -> list[Any]:
        """The loaded tasks."""
        return list(self.manager(lm, **more).load(list(self._request.tasks))["tasks"].values())

    def settle(self, lm: Any, chat_template: Any, metadata: Mapping[str, Any]) -> Mapping[str, Budget]:
        """Asks for as many replies as are enough; the tasks are then loaded with these numbers."""
        request = self._request
        if request.until_width is None:
            return {}
        ask = sampling_budget.asking(lm, chat_template, self.gen_kwargs, request.limit)
        for task in self.tasks(lm, **metadata):
            most = int(task.config.repeats)
            found = sampling_budget.settle(task, ask, width=request.until_width, most=most)
            tell(str(found))
            self._budgets[task.spec.name] = found
        return self._budgets

    def reporting(self, path: Path) -> Callable[[Any, Any], None]:
        """Adds what a judge is shown of each reply to a file, as it is finished."""
        report = Report(path)
        added: set[tuple[str, Statement]] = set()  # a reply is met again in each step of a budget

        def add(request: Any, text: Any) -> None:
            statement = self._loaded[request.task_name].statement(request, text)
            if statement is not None and (request.task_name, statement) not in added:
                added.add((request.task_name, statement))
                report.add(request.task_name, statement)

        return add

    def check_lengths(self) -> None:
        """Refuses prompts that don't fit the model's context, before the model is loaded."""
        from lm_eval_tasks.harness.engines.early import check_before_loading, prompt_reader

        request = self._request
        reader = None if request.cut_prompts else prompt_reader(request.model, self._model_args)
        if reader is None:
            return
        form = read_reply_form(request.reply_form or "asked", "--reply-form")
        # A held reply has the same prompt; of a form that is found out later, the shortest.
        shown = replace(form, held=False) if isinstance(form, ReplyForm) else ASKED
        templated = request.apply_chat_template
        check_before_loading(
            reader,
            self.tasks(None, repeats=1, reply_form=str(shown)),
            gen_kwargs=self.gen_kwargs,
            limit=request.limit,
            templated=reader.has_template if templated is None else templated,
            room=int(self._model_args.get("max_gen_toks", _ROOM)),
            cut=False,
        )


def _failed(configs: Mapping[str, Any]) -> int:
    """How many replies failed, as the tasks have counted them."""
    counts = (config["metadata"].get("counts", {}) for config in configs.values())
    return sum(sum(count.get("failed", {}).values()) for count in counts)


if __name__ == "__main__":
    sys.exit(main())
