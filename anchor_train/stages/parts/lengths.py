"""Whether questions and replies fit the model's context together, counted before any model is loaded.

Only the longest questions are counted, by their characters: what they have room for, all others have. Left
out are roles that an endpoint plays, since only it knows its model's context, and questions that only the hub
has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.strategies.strategy import Strategy
from anchor_train.recipes.training_settings import GrpoSettings
from anchor_train.run.roles import is_own_model
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.questions import FILE, read_questions
from anchor_train.training.rendering import prompt_ids
from judges.errors import ConfigError
from lm_eval_tasks.records import Question

COUNTED = 32
"""Questions of each split that are counted."""


def check_lengths(run: RunFolder, recipe: Recipe) -> None:
    """Refuses replies for which the longest prompts leave no room.

    Where the reply form is still to be found out, prompts are counted without worked examples; stage
    ``sample`` counts again, when it is known.

    Raises:
        ConfigError: Naming the settings that don't fit, and what would.
    """
    problems = list(_problems(Preview(run, recipe)))
    if problems:
        raise ConfigError("; ".join(problems))


def context_of(recipe: Recipe) -> int | None:
    """Tokens that the recipe's model takes on its engine, prompt and reply together; None where only that
    knows."""
    if recipe.engine["backend"] not in ("vllm", "transformers"):
        return None
    if (given := recipe.engine.get("max_model_len")) is not None:
        return given if isinstance(given, int) else None
    from transformers import AutoConfig

    model = recipe.model
    try:
        config = AutoConfig.from_pretrained(
            model.name, revision=model.revision or "main", trust_remote_code=model.trust_remote_code
        ).get_text_config()
    except Exception:  # noqa: BLE001  whatever is wrong with it, the model's own loading tells it
        return None
    scaled = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if scaled.get("rope_type", "default") != "default":
        return None  # stretched by rules of the engine
    context = getattr(config, "max_position_embeddings", None)
    return context if isinstance(context, int) else None


def _problems(preview: Preview) -> Iterator[str]:
    recipe = preview.recipe
    context = context_of(recipe)
    if context is None:
        return
    sampler, evaluation = recipe.sampler, recipe.evaluate
    samples = any(one.takes_replies(recipe.as_of(name)) for name, one in _strategies(recipe))
    if samples and is_own_model(sampler.backend) and not sampler.allow_cut:
        reply = sampler.max_tokens + sampler.thinking_tokens
        longest = _longest(preview, _training_questions(preview))
        yield from _too_long("sampler", longest, reply, context, "; or sampler.allow_cut=true")
    for name, settings in _rewarded(recipe):
        longest = _longest(preview, _training_questions(preview))
        yield from _too_long(name, longest, settings.max_tokens, context, f"; or {name}.allow_cut=true")
    if _from_hub(preview):
        return
    asked = preview.spec.load_questions(
        evaluation.split or preview.spec.evaluation_split,
        recipe.data_dir,
        skip_unreadable_rows=recipe.questions.skip_unreadable_rows,
    )
    reply = evaluation.max_tokens + evaluation.thinking_tokens
    yield from _too_long("evaluate", _longest(preview, asked[: evaluation.limit]), reply, context, "")


def _strategies(recipe: Recipe) -> Iterator[tuple[str, Strategy]]:
    for name in recipe.strategies:
        yield name, STRATEGIES[recipe.strategy_of(name)]


def _rewarded(recipe: Recipe) -> Iterator[tuple[str, GrpoSettings]]:
    """Section -> settings of trainings that write replies themselves, and mustn't cut them."""
    for name, strategy in _strategies(recipe):
        settings = recipe.as_of(name).grpo
        if strategy.section == "grpo" and not settings.allow_cut:
            yield f"variants.{name}.grpo" if name in recipe.variants else "grpo", settings


def _training_questions(preview: Preview) -> Sequence[Question]:
    """Those that were drawn, or would be; none where the hub would have to be asked for them."""
    drawn = preview.run.stage("questions")
    if (drawn / FILE).is_file():
        return read_questions(drawn)
    return () if _from_hub(preview) else preview.questions


def _from_hub(preview: Preview) -> bool:
    """Whether questions come over the network, which a run that goes on mustn't need."""
    spec = preview.spec
    return preview.recipe.data_dir is None and spec.data_dir is None and spec.custom_dataset is None


def _longest(preview: Preview, questions: Sequence[Question]) -> int | None:
    """Tokens of the longest prompt; None without questions."""
    spec, tokenizer = preview.spec, preview.tokenizer
    likely = sorted(questions, key=lambda question: -len(spec.shown_question(question)))[:COUNTED]
    return max((_tokens(tokenizer, spec.explain_conversation(question)) for question in likely), default=None)


def _tokens(tokenizer: Any, conversation: Any) -> int:
    return len(prompt_ids(tokenizer, conversation))


def _too_long(section: str, prompt: int | None, reply: int, context: int, further: str) -> Iterator[str]:
    if prompt is None or prompt + reply <= context:
        return
    left = context - prompt
    shorter = f"set {section}.max_tokens to {left} at most" if left > 0 else "take a model with a larger one"
    yield (
        f"{section}: the longest prompt has {prompt} tokens and its reply may have {reply}; together they "
        f"don't fit the model's context of {context}: {shorter}{further}"
    )
