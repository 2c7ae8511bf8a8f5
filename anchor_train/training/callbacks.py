"""What is seen of a training while it runs: progress with its end in sight, a log, sample replies.

Imports transformers; import it inside functions.
"""

from __future__ import annotations

import ctypes
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from anchor_train.recipes.training_settings import WatchedSettings
from anchor_train.training.collapse import Sample, repetition, signs
from anchor_train.training.rendering import Ids
from judges.errors import TrainingError
from judges.output.notices import tell
from judges.output.progress import progress
from judges.storage.files import replacing
from lm_eval_tasks.records import Json

# The frozen copy of the adapter that training started from, beside "default", which is trained.
REFERENCE = "ref"


class Progress(TrainerCallback):  # type: ignore[misc]
    """Steps done, time left and the newest loss, on standard error."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Opens the bar at the step that is resumed from."""
        if state.is_world_process_zero:
            self.bar = progress(state.max_steps, f"{self.stage} steps", initial=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Moves the bar."""
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Json | None = None, **others: Any) -> None:
        """Shows the loss, and how often the better reply is the likelier one."""
        if self.bar is not None and logs and "loss" in logs:
            shown = {"loss": f"{logs['loss']:.4g}"}
            for name in ("rewards/accuracies", "assessment_accuracy"):
                if name in logs:
                    shown["accuracy"] = f"{logs[name]:.2f}"
            self.bar.set_postfix(shown, refresh=False)
        if self.bar is not None and logs and "eval_loss" in logs:
            tell(f"{self.stage}: held-out loss {logs['eval_loss']:.4g}")

    def on_train_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Closes the bar."""
        if self.bar is not None:
            self.bar.close()


class ReturnMemory(TrainerCallback):  # type: ignore[misc]
    """On a CPU, gives the memory that a batch has freed back to the system.

    The C library keeps it in pieces that the next batch, of another length, doesn't fit into: 0.8 GiB within
    six batches of preference pairs and a model of 135M parameters.
    """

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Finds out whether there is something to do, and how."""
        self.trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if args.use_cpu else None

    def on_substep_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """After a batch of several before a step."""
        if self.trim is not None:
            self.trim(0)

    on_step_end = on_substep_end


class JsonLog(TrainerCallback):  # type: ignore[misc]
    """Appends each log step to a JSON Lines file; a resumed training goes on where its checkpoint stands.

    Attributes:
        last: The newest line of training; empty before the first.
        held_out: The newest loss on held-out examples; None without any.
        seconds: Spent in training, earlier attempts included.
    """

    def __init__(self, path: Path, beta: float | None = None) -> None:
        self.path = path
        self.beta = beta
        self.last: Json = {}
        self.held_out: float | None = None
        self._kept: list[Json] = []
        self._earlier = 0.0
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds in training, those of earlier attempts up to their last checkpoint included."""
        return self._earlier + time.monotonic() - self._start

    def recall(self, step: int) -> None:
        """Takes up what an earlier attempt logged up to the step of its checkpoint."""
        self._kept = rows_until(self.path, step)
        trained = [row for row in self._kept if "loss" in row]
        measured = [row for row in self._kept if "eval_loss" in row]
        if measured:
            self.held_out = float(measured[-1]["eval_loss"])
        if trained:
            self.last = trained[-1]
            self._earlier = float(self._kept[-1]["seconds"])

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Drops lines after the checkpoint: those steps are made again."""
        if state.is_world_process_zero:
            replace_rows(self.path, self._kept)
        self._start = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Has the last step logged, whatever its number."""
        if state.global_step >= state.max_steps:
            control.should_log = True
            control.should_evaluate = args.eval_strategy != "no"

    def on_log(self, args: Any, state: Any, control: Any, logs: Json | None = None, **others: Any) -> None:
        """Writes a line.

        Raises:
            TrainingError: If the loss is no number.
        """
        if logs and "eval_loss" in logs:
            self._note_held_out(state, logs)
        if not logs or "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise TrainingError(
                f"the loss is {logs['loss']} at step {state.global_step}: lower the learning rate, "
                "or train in float32 or bfloat16 if this is float16"
            )
        logs = {name: value for name, value in logs.items() if value is not None}  # TRL's mean of nothing
        row = {"step": state.global_step, **logs, "seconds": round(self.seconds, 3)}
        if self.beta is not None and "rewards/chosen" in logs:
            # A reward is beta * log(policy / reference); without beta it is how far the policy has moved.
            for side in ("chosen", "rejected"):
                row[f"log_ratio/{side}"] = logs[f"rewards/{side}"] / self.beta
        self.last = row
        if state.is_world_process_zero:
            append_row(self.path, row)

    def _note_held_out(self, state: Any, logs: Json) -> None:
        self.held_out = float(logs["eval_loss"])
        row = {"step": state.global_step, "eval_loss": self.held_out, "seconds": round(self.seconds, 3)}
        for name in ("eval_rewards/accuracies", "eval_rewards/margins"):
            if name in logs:
                row[name] = logs[name]
        if state.is_world_process_zero:
            append_row(self.path, row)


class CollapseWatch(TrainerCallback):  # type: ignore[misc]
    """Every so often lets the model in training answer a few prompts, and warns of signs of a collapse.

    Attributes:
        warnings: What was warned of.
        kl: Mean divergence from the reference over the newest samples, nats a token; None before any.
    """

    def __init__(
        self,
        tokenizer: Any,
        prompts: Sequence[tuple[str, Ids]],
        path: Path,
        every: int,
        max_tokens: int,
    ) -> None:
        """Watches ``prompts`` (question id and prompt tokens) every ``every`` steps."""
        self.tokenizer = tokenizer
        self.prompts = prompts
        self.path = path
        self.every = every
        self.max_tokens = max_tokens
        self.warnings: list[str] = []
        self.kl: float | None = None
        self._first: list[Sample] = []

    @classmethod
    def of(
        cls, settings: WatchedSettings, tokenizer: Any, prompts: Mapping[Ids, str], path: Path
    ) -> CollapseWatch | None:
        """The watch that these settings ask for, on the first prompts (tokens -> question id), if any."""
        if settings.sample_every is None:
            return None
        watched = [(id, prompt) for prompt, id in prompts.items()][: settings.sample_questions]
        return cls(tokenizer, watched, path, settings.sample_every, settings.sample_max_tokens)

    @property
    def metrics(self) -> dict[str, float]:
        """The divergence as ``kl``, once there is one."""
        return {} if self.kl is None else {"kl": self.kl}

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Takes the samples that later ones are compared with."""
        if not state.is_world_process_zero:
            return
        rows = rows_until(self.path, state.global_step)
        replace_rows(self.path, rows)
        known = [Sample.from_json(row) for row in rows]
        self._first = [sample for sample in known if sample.step == 0]
        if not self._first:
            self._first = self._sample(model, state.global_step)
        # What earlier attempts saw, up to the checkpoint, belongs to this training's report.
        for step in sorted({sample.step for sample in known} - {0}):
            self._take_in([sample for sample in known if sample.step == step])

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Takes samples if it is time."""
        if state.is_world_process_zero and state.global_step % self.every == 0:
            for sign in self._take_in(self._sample(model, state.global_step)):
                tell(f"warning: {sign}")

    def _take_in(self, samples: Sequence[Sample]) -> list[str]:
        known = [sample.kl for sample in samples if sample.kl is not None]
        self.kl = sum(known) / len(known) if known else None
        found = signs(self._first, samples)
        self.warnings.extend(found)
        return found

    def _sample(self, model: Any, step: int) -> list[Sample]:
        model = getattr(model, "module", model)
        training = model.training
        model.eval()
        try:
            samples = [
                self._reply(model, step, place, id, prompt) for place, (id, prompt) in enumerate(self.prompts)
            ]
        finally:
            model.train(training)
        for sample in samples:
            append_row(self.path, sample.to_json())
        return samples

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _reply(self, model: Any, step: int, place: int, id: str, prompt: Ids) -> Sample:
        device = model.device
        ids = torch.tensor([prompt], device=device)
        # Greedy, so that the random numbers of the training stay as they are.
        whole = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=self.max_tokens,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        reply = whole[0, len(prompt) :].tolist()
        return Sample(
            step=step,
            prompt=place,
            id=id,
            text=self.tokenizer.decode(reply, skip_special_tokens=True),
            tokens=len(reply),
            ended=len(reply) < self.max_tokens or reply[-1] == self.tokenizer.eos_token_id,
            repetition=round(repetition(reply), 4),
            kl=_divergence(model, whole, len(prompt)) if hasattr(model, "peft_config") else None,
        )


def _divergence(model: Any, ids: torch.Tensor, start: int) -> float:
    """Mean KL(policy || reference) of the next-token distributions at the reply's tokens, in nats.

    Args:
        model: A PeftModel whose adapter "default" is the policy and whose adapter "ref" is the reference.
        ids: Prompt and reply, shape (1, tokens).
        start: Where the reply begins.
    """
    from trl.trainer.utils import use_adapter

    def log_probs() -> torch.Tensor:
        logits = model(input_ids=ids, use_cache=False).logits[0, start - 1 : -1]
        return torch.log_softmax(logits.float(), dim=-1)

    policy = log_probs()
    with use_adapter(model, REFERENCE):
        reference = log_probs()
    return float((policy.exp() * (policy - reference)).sum(-1).mean())


def rows_until(path: Path, step: int) -> list[Json]:
    """The lines of a log up to a step; a half-written last line is left out."""
    if step == 0 or not path.is_file():
        return []
    rows: list[Json] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if not line:
            continue
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return [row for row in rows if row["step"] <= step]


def replace_rows(path: Path, rows: Sequence[Json]) -> None:
    """Writes a log anew, all or nothing."""
    with replacing(path) as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def append_row(path: Path, row: Json) -> None:
    """Adds a line to a log."""
    with path.open("a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")
