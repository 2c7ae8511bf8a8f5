"""The chat template of the model that the harness evaluates, as judge and training call theirs.

The harness's own way to call it differs from theirs in ways that change prompts: where a template refuses a
system turn, it leaves the turn out; its vLLM model forgets ``enable_thinking`` among ``chat_template_args``
and hands over a None in its place, which a template may read as false. So models with a tokenizer of their
own are rendered for with that tokenizer; what a chat endpoint gets are the turns themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from judges.models.rendering import Renderer, Turn, renderer_of
from judges.records import Conversation

ChatTemplate: TypeAlias = Callable[..., Any]
"""The harness's: turns and ``add_generation_prompt`` -> the prompt as text, or turns for an endpoint."""


def chat_prompt(
    chat_template: ChatTemplate, conversation: Conversation, model_args: Mapping[str, Any]
) -> Any:
    """A prompt for the evaluated model.

    Args:
        chat_template: As the harness hands it to a task.
        conversation: The turns.
        model_args: The model's arguments, for the template's variables among them.

    Returns:
        A text with every turn's text in it, or the harness's own form of a conversation for an endpoint.

    Raises:
        ConfigError: If the template serves no such conversation without losing text
            (``judges.models.rendering``).
    """
    model = getattr(chat_template, "__self__", None)
    tokenizer = getattr(model, "tokenizer", None)
    if hasattr(model, "chat_template_args") and hasattr(tokenizer, "apply_chat_template"):
        template = getattr(model, "hf_chat_template", None)
        return renderer_of(tokenizer, template, _variables(model, model_args)).prompt(conversation)
    turns = [{"role": turn.role, "content": turn.content} for turn in conversation]
    prompt = chat_template(turns, add_generation_prompt=True)
    return _renderer(chat_template).prompt(conversation) if isinstance(prompt, str) else prompt


def leave_special_tokens_to_the_template(model: Any) -> None:
    """Has the harness's model add no special tokens to what its chat template wrote.

    Left alone, it puts the tokenizer's own first token before a prompt whose template writes none; judge,
    training and vLLM's server don't. What the user says about that token stands.

    Args:
        model: The harness's; it is asked nothing but prompts that went through its chat template.
    """
    if getattr(model, "add_bos_token", False) is None:
        model.add_bos_token = False


def has_template(model: Any) -> bool:
    """False if a model of the harness has a tokenizer, and that no chat template: a base model."""
    tokenizer = getattr(model, "tokenizer", None)
    return not hasattr(tokenizer, "apply_chat_template") or bool(getattr(tokenizer, "chat_template", None))


def _variables(model: Any, model_args: Mapping[str, Any]) -> dict[str, Any]:
    """The template's variables as the user gave them."""
    given = {**(model_args.get("chat_template_args") or {}), **model.chat_template_args}
    if model.enable_thinking is not None:
        given["enable_thinking"] = model.enable_thinking
    return given


def _renderer(chat_template: ChatTemplate) -> Renderer:
    """The renderer of a template that is known by its function alone."""

    def apply(turns: list[Turn], *, add_generation_prompt: bool) -> str:
        return str(chat_template(turns, add_generation_prompt=add_generation_prompt))

    return Renderer(apply)
