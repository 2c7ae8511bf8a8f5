"""A training from its job to its report: what all methods have in common, and what each one adds.

Check, tokenise, fit to the length, take up what an earlier attempt left, train, save, report; a file of
``methods/`` says how its examples become tokens, which trainer takes them, and what watches it. Imports
transformers when called.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from anchor_train.recipes.training_settings import DISPLAY, LoopSettings, ModelSettings
from anchor_train.run.trained_folder import ADAPTER_CONFIG, MODEL_CONFIG, is_whole
from anchor_train.training.base_model import (
    check_trained,
    first_line,
    load_tokenizer,
    resolved_name,
    weights_dtype,
)
from anchor_train.training.checkpoints import (
    checkpoint_bytes,
    discard_half_written,
    file_digest,
    fingerprint,
    require_room,
    step_of,
    whole_checkpoints,
)
from anchor_train.training.job import OutputFolder, Stage, TrainingJob, TrainingReport
from anchor_train.training.rendering import Fitted, TokenisedExample, TokenisedGroup, TokenisedPair, fit
from judges.backends.local_model import fingerprint as model_fingerprint
from judges.errors import AnchorError, ConfigError, TrainingError
from judges.output.notices import tell
from judges.storage.files import content_hash, read_records, replacing, replacing_folder

# Training -> the file of ``methods/`` that does it.
_METHODS: Mapping[Stage, str] = {
    "sft": "sft",
    "staple": "sft",
    "rft": "rft",
    "grpo": "grpo",
    "dpo": "dpo",
    "listwise": "listwise",
}
E = TypeVar("E")
T = TypeVar("T", TokenisedExample, TokenisedPair, TokenisedGroup)


class Watch(Protocol):
    """A transformers callback that watches a training and has something to report of it."""

    warnings: list[str]

    @property
    def metrics(self) -> Mapping[str, float]:
        """What it measured, by name."""
        ...


class Method(ABC, Generic[E, T]):
    """What sets one kind of training apart.

    Attributes:
        what: What its examples are called in messages.
        example: Their type, read from the job's file.
    """

    what: str
    example: Any

    @abstractmethod
    def tokenise(self, tokenizer: Any, examples: Sequence[E]) -> list[T]:
        """The examples as the trainer takes them."""

    @abstractmethod
    def arguments(self, settings: Any) -> tuple[Any, dict[str, Any]]:
        """The class of the trainer's arguments, and those that only it has."""

    @abstractmethod
    def trainer(
        self, job: TrainingJob, examples: Sequence[T], arguments: Any, tokenizer: Any, held: Sequence[T] = ()
    ) -> Any:
        """A transformers trainer with ``checkpoints.WholeCheckpoints``; ``held`` is only measured on."""

    def watches(
        self, job: TrainingJob, examples: Sequence[E], trained: Sequence[T], tokenizer: Any
    ) -> list[Watch]:
        """Callbacks whose findings belong to the report; none unless a method has some."""
        return []


def method_of(stage: Stage) -> Method[Any, Any]:
    """The method of a training; imports torch and TRL."""
    method: Method[Any, Any] = import_module(f"anchor_train.training.methods.{_METHODS[stage]}").METHOD
    return method


def train(job: TrainingJob, callbacks: Sequence[Any] = ()) -> TrainingReport:
    """Carries out a job in this process; goes on where a killed training stopped.

    Args:
        job: The job.
        callbacks: Further transformers callbacks.

    Raises:
        ConfigError: A model, adapter or batch that can't be; examples that are too long; no room on the disk.
        DataError: If the examples can't be read.
        TrainingError: If the loss isn't a number, or the GPU's memory doesn't do.
    """
    if job.adapter is not None:
        check_trained(job.adapter, job.model)
    method, settings, folder = method_of(job.stage), job.settings, OutputFolder(job.output)
    tokenizer = load_tokenizer(job.model)
    examples = read_examples(job, method)
    tokenised = method.tokenise(tokenizer, examples)
    fitted = fit(tokenised, settings.max_length, allow_cut=job.allow_cut, what=method.what)
    trained, held = held_out(fitted.examples, settings, job.seed)
    fitted = replace(fitted, examples=trained)
    told = [*fitted.examples, *(["held out", *held] if held else [])]
    parts = [
        part for part in (job.loss, job.rewards and (job.rewards.task, job.rewards.judge)) if part
    ] + told
    mark = training_fingerprint(settings, job.model, job.seed, parts, job.adapter)
    arguments = trainer_arguments(method, settings, job.model, folder, job.seed)
    with arguments.main_process_first():
        resume = take_up(folder, mark)
    finished = folder.read_report()
    if finished is not None:
        return finished
    trainer = method.trainer(job, fitted.examples, arguments, tokenizer, held)
    watches = method.watches(job, examples, fitted.examples, tokenizer)
    if watches and not can_be_watched(trainer):
        watches = []
    return run(
        trainer,
        stage=job.stage,
        folder=folder,
        settings=settings,
        fitted=fitted,
        resume=resume,
        callbacks=callbacks,
        watches=watches,
    )


def held_out(examples: Sequence[T], settings: LoopSettings, seed: int) -> tuple[tuple[T, ...], tuple[T, ...]]:
    """Examples to train on, and those on which the loss is measured: a seeded draw of whole questions.

    Raises:
        ConfigError: If nothing would be left to train on.
    """
    if settings.eval_every is None:
        return tuple(examples), ()
    ids = list(dict.fromkeys(example.id for example in examples))
    count = max(1, round(settings.eval_share * len(ids)))
    if count >= len(ids):
        raise ConfigError(
            f"eval_every holds out {count} of {len(ids)} questions, and none is left to train on: give more "
            "questions, or leave eval_every out"
        )
    chosen = set(random.Random(seed).sample(ids, count))
    return (
        tuple(example for example in examples if example.id not in chosen),
        tuple(example for example in examples if example.id in chosen),
    )


def read_examples(job: TrainingJob, method: Method[E, Any]) -> list[E]:
    """What a job trains on.

    Raises:
        DataError: If it can't be read.
    """
    return list(read_records(job.examples, method.example.from_json))


def trainer_arguments(
    method: Method[Any, Any], settings: LoopSettings, model: ModelSettings, folder: OutputFolder, seed: int
) -> Any:
    """The arguments of a trainer.

    Args:
        method: How is trained.
        settings: Of the stage.
        model: The base model.
        folder: The output folder.
        seed: Of adapter initialisation, data order and dropout.

    Raises:
        ConfigError: For an unknown optimiser, schedule or tracker, a tracker that isn't installed, or a batch
            that can't be divided over the processes.
    """
    from transformers.integrations import get_reporting_integration_callbacks

    values = _shared_arguments(settings, model, folder, seed)
    kind, own = method.arguments(settings)
    try:
        arguments = kind(**values, **own)
        for tracker in get_reporting_integration_callbacks(list(settings.report_to)):
            tracker()
    except (ValueError, RuntimeError, ImportError) as error:
        raise ConfigError(first_line(error)) from error
    return arguments


def _shared_arguments(
    settings: LoopSettings, model: ModelSettings, folder: OutputFolder, seed: int
) -> dict[str, Any]:
    import torch

    dtype = weights_dtype(model)
    on_cpu = not (torch.cuda.is_available() or torch.backends.mps.is_available() or torch.xpu.is_available())
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    optimiser = settings.optimiser
    # TensorBoard's events belong beside the log, not among checkpoints, which are removed.
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(folder.path / "tensorboard"))
    return {
        "output_dir": str(folder.checkpoints),
        "seed": seed,
        "data_seed": seed,
        "optim": optimiser.name,
        "learning_rate": optimiser.learning_rate,
        "weight_decay": optimiser.weight_decay,
        "lr_scheduler_type": optimiser.schedule,
        "warmup_steps": optimiser.warmup,  # below 1 it is a share of all steps
        "max_grad_norm": optimiser.max_grad_norm,
        "per_device_train_batch_size": optimiser.at_once(processes),
        "gradient_accumulation_steps": optimiser.accumulation_steps(processes),
        "gradient_checkpointing": optimiser.gradient_checkpointing,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
        "num_train_epochs": settings.epochs or 1,
        "max_steps": settings.max_steps or -1,
        "bf16": dtype == torch.bfloat16,
        "fp16": dtype == torch.float16,
        "use_cpu": on_cpu,
        "ddp_backend": "gloo" if on_cpu and processes > 1 else None,
        "ddp_find_unused_parameters": False,
        "dataloader_pin_memory": not on_cpu,
        "save_strategy": "steps",
        "save_steps": settings.save_every,
        "eval_strategy": "no" if settings.eval_every is None else "steps",
        "eval_steps": settings.eval_every,
        "per_device_eval_batch_size": optimiser.at_once(processes),
        "logging_steps": settings.log_every,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": list(settings.report_to) or "none",
    }


def training_fingerprint(
    settings: LoopSettings,
    model: ModelSettings,
    seed: int,
    examples: Iterable[object],
    adapter: Path | None = None,
) -> str:
    """Hash of all that the outcome of a training depends on, the number of processes aside."""
    felt = settings.model_dump(mode="json", exclude={*DISPLAY, "allow_cut"})
    parts: list[str | bytes] = [json.dumps(felt), model.model_dump_json(), str(seed)]
    parts += [repr(example) for example in examples]
    base = Path(resolved_name(model))
    if base.is_dir():
        parts.append(model_fingerprint(base) or "")
    if adapter is not None:
        parts += [
            file_digest(path)
            for path in [
                adapter / (MODEL_CONFIG if is_whole(adapter) else ADAPTER_CONFIG),
                *sorted(adapter.glob("*.safetensors")),
            ]
        ]
    return fingerprint(parts)


def take_up(folder: OutputFolder, mark: str) -> Path | None:
    """Prepares the output folder: what belongs to this very training stays, anything else goes.

    Args:
        folder: The output folder.
        mark: Fingerprint of the training.

    Returns:
        The checkpoint to go on from; None to start afresh.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    known = folder.fingerprint.read_text(encoding="utf-8") if folder.fingerprint.is_file() else None
    spoilt = folder.report.is_file() and folder.read_report() is None
    if known != mark or spoilt:
        leftovers = [path for path in folder.made if path.exists()]
        if leftovers:
            why = "what it left was changed" if known == mark else "settings or data have changed"
            tell(f"{folder.path}: {why}; training starts afresh")
        for path in leftovers:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        folder.checkpoints.mkdir()
        folder.fingerprint.write_text(mark, encoding="utf-8")
        return None
    folder.checkpoints.mkdir(exist_ok=True)
    half = discard_half_written(folder.checkpoints)
    if half:
        tell(f"{folder.path}: {half} half-written checkpoint(s) removed")
    return next(iter(whole_checkpoints(folder.checkpoints)[::-1]), None)


def can_be_watched(trainer: Any) -> bool:
    """Whether one process can run the whole model; if not, that is said."""
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        tell("warning: nothing watches the model while it is sharded (FSDP, DeepSpeed)")
        return False
    return True


def run(
    trainer: Any,
    *,
    stage: Stage,
    folder: OutputFolder,
    settings: LoopSettings,
    fitted: Fitted[Any],
    resume: Path | None,
    callbacks: Sequence[Any] = (),
    watches: Sequence[Watch] = (),
) -> TrainingReport:
    """Trains to the end, saves the adapter and reports.

    Args:
        trainer: A transformers trainer with ``checkpoints.WholeCheckpoints`` mixed in.
        stage: For report and progress.
        folder: The output folder, taken up.
        settings: Of the stage.
        fitted: What is trained on.
        resume: Checkpoint to go on from.
        callbacks: The caller's own transformers callbacks.
        watches: Callbacks whose findings belong to the report.

    Raises:
        ConfigError: If there is no room for checkpoints.
        TrainingError: If the loss isn't a number, or the GPU's memory doesn't do.
    """
    import torch
    from transformers.trainer_callback import PrinterCallback

    from anchor_train.training.callbacks import JsonLog, Progress, ReturnMemory

    _check_room(trainer, folder, settings)
    log = JsonLog(folder.log, getattr(settings, "beta", None))
    trainer.keep_checkpoints = settings.keep_checkpoints
    trainer.remove_callback(PrinterCallback)
    for callback in (log, Progress(stage), ReturnMemory(), *watches, *callbacks):
        trainer.add_callback(callback)
    if resume is not None:
        # A trainer counts the tokens of one process life; the log has those before.
        log.recall(step_of(resume))
        trainer._total_train_tokens = int(log.last.get("num_tokens", 0))

    try:
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{stage}: out of GPU memory at step {trainer.state.global_step}: lower "
            "optimiser.per_device_batch_size, or turn on gradient_checkpointing or model.load_in_4bit"
        ) from error

    _save_adapter(trainer, folder)
    metrics = {name: value for name, value in log.last.items() if name not in _NOT_METRICS}
    if log.held_out is not None:
        metrics["eval_loss"] = log.held_out
    for watch in watches:
        metrics |= watch.metrics
    report = TrainingReport(
        stage=stage,
        adapter=folder.adapter,
        steps=trainer.state.global_step,
        loss=log.last["loss"],
        metrics=metrics,
        content=content_hash(folder.adapter),
        seconds=round(log.seconds, 3),
        tokens=int(log.last["num_tokens"]),
        examples=len(fitted.examples),
        cut=fitted.cut,
        dropped=fitted.dropped,
        processes=trainer.args.world_size,
        resumed_from=None if resume is None else step_of(resume),
        warnings=tuple(warning for watch in watches for warning in watch.warnings),
    )
    if trainer.is_world_process_zero():
        with replacing(folder.report) as file:
            json.dump(report.to_json(), file, indent=2)
        for done_with in (folder.checkpoints, folder.tokens):
            shutil.rmtree(done_with, ignore_errors=True)
    trainer.accelerator.wait_for_everyone()
    return report


_NOT_METRICS = {"step", "loss", "seconds", "num_tokens"}


def _check_room(trainer: Any, folder: OutputFolder, settings: LoopSettings) -> None:
    """Every process hears of a full disk, so that none waits for one that has given up."""
    from accelerate.utils import broadcast_object_list

    trainable = [weights for weights in trainer.model.parameters() if weights.requires_grad]
    count = sum(weights.numel() for weights in trainable)
    size = checkpoint_bytes(count, max((weights.element_size() for weights in trainable), default=4))
    problem: list[str | None] = [None]
    if trainer.is_world_process_zero():
        try:
            require_room(folder.checkpoints, size, settings.keep_checkpoints)
        except AnchorError as error:
            problem = [str(error)]
    broadcast_object_list(problem)
    if problem[0] is not None:
        raise ConfigError(problem[0])


def _save_adapter(trainer: Any, folder: OutputFolder) -> None:
    """Leaves the adapter in its place in one move: safetensors, config and tokenizer."""
    main = trainer.is_world_process_zero()
    # All processes take part in saving; the first one makes the folder and moves it to its place.
    place = replacing_folder(folder.adapter) if main else nullcontext(folder.path / "adapter.new")
    with place as new:
        trainer.accelerator.wait_for_everyone()
        if trainer.is_fsdp_enabled:
            # Checkpoints may stay in shards; an adapter is one file.
            trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
        trainer.save_model(str(new))
        trainer.accelerator.wait_for_everyone()
        if main:
            (new / "README.md").unlink(missing_ok=True)  # peft's empty card
            if (new / ADAPTER_CONFIG).is_file():
                _in_order(new / ADAPTER_CONFIG)
    trainer.accelerator.wait_for_everyone()


def _in_order(config: Path) -> None:
    """Sorts what peft keeps as a set, so that the same training leaves the same file."""
    values = json.loads(config.read_text(encoding="utf-8"))
    if isinstance(values.get("target_modules"), list):
        values["target_modules"].sort()
    config.write_text(json.dumps(values, indent=2, sort_keys=True), encoding="utf-8")
