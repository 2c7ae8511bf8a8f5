"""Learning from rewards by GRPO (arXiv 2402.03300): TRL's trainer, our prompts, our rewards.

Prompts are the tokens that sampling and evaluation send; replies are drawn by transformers. TRL keeps a
frozen copy of the adapter where a divergence from it counts.

Importing this module imports torch and TRL; the pipeline goes through :mod:`anchor_train.training.launch`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from anchor_train.recipes.training_settings import GrpoSettings
from anchor_train.records import RewardExample
from anchor_train.rewards import explanation_reward
from anchor_train.rewards.explanation import Part
from anchor_train.rewards.questions import COLUMN
from anchor_train.training.base_model import load_trained
from anchor_train.training.checkpoints import WholeCheckpoints
from anchor_train.training.job import TrainingJob
from anchor_train.training.rendering import Ids, TokenisedExample, tokenise_prompt
from anchor_train.training.train import Method, read_examples
from judges.config import load_judge
from judges.errors import ConfigError


class AnchorGrpoTrainer(WholeCheckpoints, GRPOTrainer):  # type: ignore[misc]
    """TRL's trainer on prompts that are tokenised already; a row's prompt is the question's id."""

    def __init__(self, prompts: Mapping[str, Ids], **others: Any) -> None:
        self._ids_of = prompts
        super().__init__(**others)

    def _tokenize_prompts(self, prompts: Sequence[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [list(self._ids_of[prompt]) for prompt in prompts], None, {}


class Grpo(Method[RewardExample, TokenisedExample]):
    """Training on rewards."""

    what = "questions"
    example = RewardExample

    def tokenise(self, tokenizer: Any, examples: Sequence[RewardExample]) -> list[TokenisedExample]:
        """The prompts; replies are written in training."""
        return [tokenise_prompt(tokenizer, one) for one in examples]

    def arguments(self, settings: Any) -> tuple[Any, dict[str, Any]]:
        """TRL's."""
        return GRPOConfig, {
            "num_generations": settings.replies,
            "max_completion_length": settings.max_tokens,
            "temperature": settings.temperature,
            "beta": settings.beta,
            "reward_weights": list(settings.rewards.counted.values()),
        }

    def trainer(
        self,
        job: TrainingJob,
        examples: Sequence[TokenisedExample],
        arguments: Any,
        tokenizer: Any,
        held: Sequence[TokenisedExample] = (),
    ) -> AnchorGrpoTrainer:
        """The trainer.

        Raises:
            ConfigError: If prompts leave no room for replies.
        """
        settings = job.settings
        assert isinstance(settings, GrpoSettings)
        assert job.adapter is not None
        _require_room(settings, examples, job.allow_cut)
        prompts = {example.id: example.prompt_ids for example in examples}
        rows = [
            {"prompt": one.id, COLUMN: json.dumps(one.question.to_json(), ensure_ascii=False)}
            for one in read_examples(job, self)
            if one.id in prompts
        ]
        return AnchorGrpoTrainer(
            prompts,
            model=load_trained(job.adapter, job.model, trainable=True),
            reward_funcs=_rewards(job, settings),
            args=arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )


METHOD = Grpo()


def _rewards(job: TrainingJob, settings: GrpoSettings) -> list[Any]:
    assert job.rewards is not None
    source = job.rewards
    parts = cast("tuple[Part, ...]", tuple(settings.rewards.counted))
    judge: Any = source.judge
    if "quality" in parts:
        judge = load_judge(source.judge, cache=source.cache, executor=source.executor)
    return explanation_reward(judge, source.task, parts)


def _require_room(settings: GrpoSettings, examples: Sequence[TokenisedExample], allow_cut: bool) -> None:
    room = settings.max_length - settings.max_tokens
    long = [example.length for example in examples if example.length > room]
    if long and not allow_cut:
        raise ConfigError(
            f"grpo: {len(long)} of {len(examples)} prompts leave less than max_tokens {settings.max_tokens} "
            f"of max_length {settings.max_length} (the longest has {max(long)} tokens): raise max_length, "
            "lower max_tokens, or set allow_cut"
        )
