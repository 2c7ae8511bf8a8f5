"""List-wise training: AFT, RRHF and PRO on groups of replies, from the adapter that wrote them.

One forward pass holds all replies of a question; the losses are in
:mod:`anchor_train.training.methods.losses`. Dropout is off, as in preference training, so that scores of one
group differ by its replies alone.

Importing this module imports torch and transformers; the pipeline goes through
:mod:`anchor_train.training.launch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainingArguments
from trl.trainer.utils import disable_dropout_in_model

from anchor_train.preferences.groups import GroupExample
from anchor_train.recipes.training_settings import ListwiseLoss, ListwiseSettings
from anchor_train.run.trained_folder import is_whole
from anchor_train.training.assessment import AssessmentWatch
from anchor_train.training.base_model import load_trained
from anchor_train.training.callbacks import REFERENCE, CollapseWatch
from anchor_train.training.checkpoints import WholeCheckpoints
from anchor_train.training.job import OutputFolder, TrainingJob
from anchor_train.training.methods.group_batches import GroupCollator, reply_scores
from anchor_train.training.methods.losses import assessment_accuracy, listwise_loss
from anchor_train.training.rendering import TokenisedGroup, tokenise_group
from anchor_train.training.train import Method, Watch

# What is logged besides the loss; each a mean over the groups that have it, since the last log line.
LOGGED = ("assessment_accuracy", "score_good", "score_bad")


class ListwiseTrainer(WholeCheckpoints, Trainer):  # type: ignore[misc]
    """transformers' trainer with a list-wise loss: the mean over the groups of a batch."""

    def __init__(self, loss: ListwiseLoss, settings: ListwiseSettings, **others: Any) -> None:
        super().__init__(**others)
        self.model_accepts_loss_kwargs = False  # accumulated batches are averaged
        self.listwise_loss = loss
        self.settings = settings
        self._total_train_tokens = 0
        self._since_log = torch.zeros(2 * len(LOGGED) + 1, dtype=torch.float64)

    def compute_loss(
        self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **others: Any
    ) -> Any:
        """The batch's loss."""
        sizes = inputs["sizes"].tolist()
        by_group = list(
            zip(reply_scores(model, inputs).split(sizes), inputs["levels"].split(sizes), strict=True)
        )
        losses = [
            listwise_loss(scores, levels, self.listwise_loss, self.settings) for scores, levels in by_group
        ]
        if model.training:
            self._since_log[-1] += int(inputs["attention_mask"].sum())
            for scores, levels in by_group:
                self._note(scores.detach(), levels)
        return torch.stack(losses).mean()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def prediction_step(self, model: Any, inputs: dict[str, Tensor], *arguments: Any, **others: Any) -> Any:
        """The loss alone, on groups that aren't trained on."""
        return self.compute_loss(model, self._prepare_inputs(inputs)).detach(), None, None

    def _note(self, scores: Tensor, levels: Tensor) -> None:
        best = levels == levels.max()
        found = (
            assessment_accuracy(scores, levels),
            float(scores[best].mean()),
            None if best.all() else float(scores[~best].mean()),
        )
        for place, value in enumerate(found):
            if value is not None:
                self._since_log[2 * place] += value
                self._since_log[2 * place + 1] += 1

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds tokens, assessment accuracy and mean scores to a log line of training."""
        if "loss" in logs:
            seen = self.accelerator.reduce(self._since_log.float().to(self.accelerator.device)).tolist()
            self._since_log.zero_()
            self._total_train_tokens += int(seen[-1])
            logs = {**logs, "num_tokens": self._total_train_tokens}
            for place, name in enumerate(LOGGED):
                if seen[2 * place + 1]:
                    logs[name] = seen[2 * place] / seen[2 * place + 1]
        super().log(logs, start_time)


class Listwise(Method[GroupExample, TokenisedGroup]):
    """Training on groups of replies with a loss over the group."""

    what = "groups"
    example = GroupExample

    def tokenise(self, tokenizer: Any, examples: Sequence[GroupExample]) -> list[TokenisedGroup]:
        """All replies."""
        return [tokenise_group(tokenizer, group) for group in examples]

    def arguments(self, settings: Any) -> tuple[Any, dict[str, Any]]:
        """transformers' own; a batch keeps what only the loss knows."""
        return TrainingArguments, {"remove_unused_columns": False}

    def trainer(
        self,
        job: TrainingJob,
        examples: Sequence[TokenisedGroup],
        arguments: Any,
        tokenizer: Any,
        held: Sequence[TokenisedGroup] = (),
    ) -> ListwiseTrainer:
        """The trainer; a frozen copy of the adapter is there if samples are to be compared with it."""
        settings = job.settings
        assert job.adapter is not None
        assert job.loss is not None
        assert isinstance(settings, ListwiseSettings)
        adapted = load_trained(job.adapter, job.model, trainable=True)
        if settings.sample_every is not None and not is_whole(job.adapter):
            adapted.load_adapter(str(job.adapter), adapter_name=REFERENCE, is_trainable=False)
        if arguments.gradient_checkpointing:
            adapted.enable_input_require_grads()
        disable_dropout_in_model(adapted)
        return ListwiseTrainer(
            job.loss,
            settings,
            model=adapted,
            args=arguments,
            train_dataset=list(examples),
            eval_dataset=list(held) or None,
            data_collator=GroupCollator(tokenizer.pad_token_id or 0),
            processing_class=tokenizer,
        )

    def watches(
        self,
        job: TrainingJob,
        examples: Sequence[GroupExample],
        trained: Sequence[TokenisedGroup],
        tokenizer: Any,
    ) -> list[Watch]:
        """Assessment of the groups; sample replies, for signs of a collapse."""
        settings, folder = job.settings, OutputFolder(job.output)
        assert isinstance(settings, ListwiseSettings)
        assessment = AssessmentWatch(
            trained,
            tokenizer.pad_token_id or 0,
            folder.assessments,
            settings.assess_questions,
            settings.sample_every,
        )
        prompts = {group.prompt_ids: group.id for group in trained}
        samples = CollapseWatch.of(settings, tokenizer, prompts, folder.samples)
        return [assessment] if samples is None else [assessment, samples]


METHOD = Listwise()
