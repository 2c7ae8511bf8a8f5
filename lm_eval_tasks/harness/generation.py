"""Generates with lm-evaluation-harness, in a process of its own that ends before anything is judged.

``python -m lm_eval_tasks.harness.generation REQUEST RESULT`` is that process: it calls the harness's own
``simple_evaluate`` and writes the harness's own results and samples files. What was generated is noted in the
run folder, so that the same request is not generated again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from judges.backends.vllm import cpu as vllm_cpu
from judges.child_process import end_with_parent, process_ending, run_command
from judges.errors import BackendError, ConfigError, explained_by_log
from judges.files import read_object, replacing
from judges.notices import tell
from lm_eval_tasks.harness import pilot
from lm_eval_tasks.harness.arguments import ENDPOINTS, check_generation, parse_arguments
from lm_eval_tasks.harness.chat import leave_special_tokens_to_the_template
from lm_eval_tasks.harness.pilot import ChosenForm
from lm_eval_tasks.prompts.reply_form import AUTO, ReplyForm, read_reply_form
from lm_eval_tasks.tasks.spec import TASKS

MANIFEST = "generation.json"
REPLIES = "replies.sqlite"
"""Replies of a chat endpoint, stored as they arrive: what a run that broke off doesn't ask for again."""
CLIENT = "anchor-chat-completions"
"""Under which the harness knows our client of chat endpoints."""
HF_BATCH_SIZE = "16"
"""Replies that ``hf`` writes at a time unless told otherwise. The harness's own 1 is many times slower."""
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
        repeats: Samples a question; None for the tasks' own.
        thinking_tokens: Tokens for a thought, on top of those for the reply.
        skip_unreadable_rows: Whether rows of the data that can't be read are left out and counted.
        apply_chat_template: Whether prompts go through the model's chat template; None: if it has one.
        batch_size: As the harness takes it (a number or ``auto``); None for ``HF_BATCH_SIZE`` with ``hf``,
            otherwise for the harness's own.
        device: As the harness takes it.
        gen_kwargs: Generation settings over the tasks' own, ``key=value,key=value`` or JSON.
        metadata: Further options of the tasks.
        reply_form: As ``prompts.reply_form`` takes it; ``auto`` tries forms out first (``harness.pilot``).
        seed: Of all random generators.
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

    @property
    def fingerprint(self) -> str:
        """Hash of the request and of the dates of the local files that its model is read from."""
        request = {**asdict(self), "apply_chat_template": self.apply_chat_template is not False}
        # The form is compared by itself: what was generated before there was one still counts.
        del request["reply_form"]
        for later in ("thinking_tokens", "skip_unreadable_rows"):
            if not request[later]:  # as before there was this setting: nothing is generated anew for it
                del request[later]
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
    if request.model in ENDPOINTS:
        from lm_eval_tasks.harness.chat_endpoint import client_settings

        client_settings(request.model, model_args)


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


def generate(request: GenerationRequest, run: Path) -> Generated:
    """Generates, unless this run folder has just that already.

    Args:
        request: What to generate.
        run: The run folder, made if it isn't there.

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
    found, failed = _in_child(request, run, chosen)
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


def _in_child(request: GenerationRequest, run: Path, chosen: ChosenForm | None) -> tuple[Generated, int]:
    """Runs the child, which ends with this process.

    Returns:
        What it generated, and how many replies failed.
    """
    tried = request.reply_form == AUTO
    with TemporaryDirectory() as folder:
        question, answer = Path(folder) / "request.json", Path(folder) / "result.json"
        question.write_text(json.dumps({"output": str(run), **asdict(request)}), encoding="utf-8")
        command = [sys.executable, "-m", "lm_eval_tasks.harness.generation", str(question), str(answer)]
        code = run_command(command)
        result = read_object(answer) if answer.is_file() else {}
    if "error" in result:
        error = BackendError(str(result["error"]))
        raise explained_by_log(error) if result["in_log"] else error
    if code != 0 or not result:
        raise explained_by_log(BackendError(f"the generating process {process_ending(code)}"))
    form = pilot.stored(run) if tried else chosen
    return Generated(Path(result["folder"]), str(result["date"]), True, form), int(result["failed"])


def _local_model_files(model_args: str) -> list[tuple[str, float]]:
    """Files of the model that lie on this machine, with the dates of their last change."""
    values = parse_arguments(model_args, "--model-args").values()
    folders = (Path(value) for value in values if isinstance(value, str) and value and Path(value).is_dir())
    return [(str(path), path.stat().st_mtime) for folder in folders for path in folder.iterdir()]


def _child(question: Path, answer: Path) -> None:
    request = read_object(question)
    output = Path(request.pop("output"))
    _report_errors(answer)
    end_with_parent()

    model_args = parse_arguments(request["model_args"], "--model-args")
    if request["model"] == "vllm":
        _settle_vllm(model_args)
    from lm_eval import simple_evaluate
    from lm_eval.api.registry import get_model
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    batch_size = request["batch_size"] or _batch_size(request["model"], request["model_args"])
    device = request["device"] or _device(request["model"])
    model, its_args = request["model"], model_args
    if model in ENDPOINTS:
        model, its_args = _our_client(model, model_args, output)
    settings = {"batch_size": batch_size, "max_batch_size": None, "device": device}
    lm = get_model(model).create_from_arg_obj(deepcopy(its_args), settings)
    templated = request["apply_chat_template"]
    if templated is None:
        templated = _has_template(lm)
    if templated:
        leave_special_tokens_to_the_template(lm)
    options = {key: request[key] for key in ("data_dir", "split", "repeats") if request[key] is not None}
    metadata = {
        **model_args,
        **(request["metadata"] or {}),
        **options,
        "judged_later": True,
    }
    if request["thinking_tokens"]:
        metadata["thinking_tokens"] = request["thinking_tokens"]
    if request["skip_unreadable_rows"]:
        metadata["skip_unreadable_rows"] = True
    paths = [str(TASKS), *([request["include_path"]] if request["include_path"] else [])]

    def manager(**more: Any) -> Any:
        class Manager(TaskManager):  # type: ignore[misc]
            """Tells the tasks which model they ask."""

            def load(self, *args: Any, **kwargs: Any) -> Any:
                loaded = super().load(*args, **kwargs)
                for task in loaded["tasks"].values():
                    task.use_model(lm)
                return loaded

        return Manager(include_path=paths, include_defaults=False, metadata={**metadata, **more})

    gen_kwargs = parse_arguments(request["gen_kwargs"], "--gen-kwargs") or None
    if request["reply_form"] == AUTO:

        def tasks(form: ReplyForm) -> list[Any]:
            loaded = manager(reply_form=str(form), repeats=1).load(list(request["tasks"]))
            return list(loaded["tasks"].values())

        # Of an endpoint, a client of its own: what it keeps would be taken for the run's replies.
        asked = get_model(model)(**{**its_args, "replies": None}) if model == CLIENT else lm
        template = asked.apply_chat_template if templated else None
        attempt = pilot.asking(tasks, asked, template, gen_kwargs, request["limit"])
        chosen = pilot.choose(attempt, has_template=templated)
        pilot.store(output, chosen)
        tell(f"{'warning: ' if chosen.warning else ''}{chosen.why}")
        metadata |= {"reply_form": str(chosen.form), "reply_form_from": chosen.why}
    elif request["reply_form"] is not None:
        metadata["reply_form"] = request["reply_form"]
    tracker = EvaluationTracker(output_path=str(output))
    seed = request["seed"]
    results = simple_evaluate(
        model=lm,
        model_args=its_args,
        tasks=list(request["tasks"]),
        task_manager=manager(),
        batch_size=batch_size,
        device=device,
        limit=request["limit"],
        gen_kwargs=gen_kwargs,
        apply_chat_template=templated,
        evaluation_tracker=tracker,
        random_seed=seed,
        numpy_random_seed=seed,
        torch_random_seed=seed,
        fewshot_random_seed=seed,
        metadata=metadata,
    )
    # The harness knows only the class of a model that was made before.
    results["config"] |= {"model": request["model"], "model_args": request["model_args"]}
    tracker.general_config_tracker.model_source = request["model"]
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])
    folder = output / str(tracker.general_config_tracker.model_name_sanitized)
    found = {"folder": str(folder), "date": tracker.date_id, "failed": _failed(results["configs"])}
    answer.write_text(json.dumps(found), encoding="utf-8")


def _our_client(model: str, model_args: dict[str, Any], output: Path) -> tuple[str, dict[str, Any]]:
    """The model's name and arguments, so that a chat endpoint is asked by our client."""
    from lm_eval.api.registry import model_registry

    model_registry.register(CLIENT, target="lm_eval_tasks.harness.chat_endpoint:ChatEndpoint")
    return CLIENT, {**model_args, "kind": model, "replies": str(output / REPLIES)}


def _failed(configs: Mapping[str, Any]) -> int:
    """How many replies failed, as the tasks have counted them."""
    counts = (config["metadata"].get("counts", {}) for config in configs.values())
    return sum(sum(count.get("failed", {}).values()) for count in counts)


def _report_errors(answer: Path) -> None:
    """Hands an exception to the parent process; the traceback of what isn't the user's goes to the log."""
    from judges.errors import AnchorError

    def report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, AnchorError):
            left = {"error": str(error), "in_log": error.in_log}
            answer.write_text(json.dumps(left), encoding="utf-8")
            return
        text = (str(error).strip().splitlines() or [""])[0]
        hint = "; try --no-apply-chat-template" if "chat_template" in text or "chat template" in text else ""
        traceback.print_exception(kind, error, trace)
        found = {"error": f"the harness failed: {kind.__name__}: {text}{hint}", "in_log": True}
        answer.write_text(json.dumps(found), encoding="utf-8")

    sys.excepthook = report


def _settle_vllm(model_args: Mapping[str, Any]) -> None:
    try:
        from vllm.platforms import current_platform
    except ImportError:
        return  # the harness tells what is missing
    if current_platform.is_cpu():
        vllm_cpu.in_one_process(os.environ)
        if "gpu_memory_utilization" not in model_args:  # on a CPU, the share of its memory
            vllm_cpu.leave_memory(os.environ)


def _has_template(lm: Any) -> bool:
    """False if the model has a tokenizer, and that no chat template: a base model."""
    tokenizer = getattr(lm, "tokenizer", None)
    return not hasattr(tokenizer, "apply_chat_template") or bool(getattr(tokenizer, "chat_template", None))


def _device(model: str) -> str | None:
    """The harness's ``hf`` asks for CUDA even where there is none."""
    if model != "hf":
        return None
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _batch_size(model: str, model_args: str) -> str | None:
    given = parse_arguments(model_args, "--model-args")
    return HF_BATCH_SIZE if model == "hf" and "batch_size" not in given else None


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
