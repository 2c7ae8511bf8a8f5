"""Counts prompts with a model's tokenizer before the model itself is loaded, which may take minutes.

What is counted here is counted again when the model is there, exactly as it reads prompts
(:mod:`lm_eval_tasks.harness.engines.fit`): where its tokenizer or its context can't be known early, nothing
is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lm_eval.models.utils import resolve_max_length

from lm_eval_tasks.harness.engines.fit import check_fit
from lm_eval_tasks.harness.engines.kinds import HF, VLLM


class PromptReader:
    """What the harness's models are to a task that renders prompts: a tokenizer and its template.

    Attributes:
        tokenizer: A Hugging Face tokenizer.
        context: Tokens that the model takes.
        chat_template_args: Variables of the template.
        enable_thinking: One more of them; None where the user doesn't say.
    """

    def __init__(self, tokenizer: Any, context: int, model_args: Mapping[str, Any]) -> None:
        self.tokenizer = tokenizer
        self.context = context
        self.chat_template_args: dict[str, Any] = dict(model_args.get("chat_template_args") or {})
        self.enable_thinking = model_args.get("enable_thinking")

    @property
    def has_template(self) -> bool:
        """Whether prompts can go through a chat template."""
        return bool(getattr(self.tokenizer, "chat_template", None))

    def apply_chat_template(self, chat_history: list[dict[str, str]], **options: Any) -> str:
        """As the harness's models have it; tasks render with the tokenizer itself."""
        return str(self.tokenizer.apply_chat_template(chat_history, tokenize=False, **options))

    def tokens(self, prompt: str) -> int:
        """Tokens of a prompt, without those that the tokenizer would add."""
        return len(self.tokenizer.encode(prompt, add_special_tokens=False))


def prompt_reader(model: str, model_args: Mapping[str, Any]) -> PromptReader | None:
    """The tokenizer and context of a model; None where they can't be known before it is loaded."""
    if model not in (*HF, VLLM) or "gguf_file" in model_args or "pretrained" not in model_args:
        return None
    from transformers import AutoConfig, AutoTokenizer

    name = str(model_args["pretrained"])
    options = {
        "revision": model_args.get("revision") or "main",
        "trust_remote_code": bool(model_args.get("trust_remote_code", False)),
    }
    try:
        config = AutoConfig.from_pretrained(name, **options)
        tokenizer = AutoTokenizer.from_pretrained(str(model_args.get("tokenizer") or name), **options)
    except Exception:  # noqa: BLE001  whatever is wrong with them, the model's own loading tells it
        return None
    given = next((model_args[key] for key in ("max_model_len", "max_length") if model_args.get(key)), None)
    scaled = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if given is None and model == VLLM and scaled.get("rope_type", "default") != "default":
        return None  # vLLM stretches the context by rules of its own
    if getattr(config, "is_encoder_decoder", False):
        return None
    context = int(given) if given is not None else resolve_max_length(config, tokenizer)
    return PromptReader(tokenizer, context, model_args)


def check_before_loading(
    reader: PromptReader,
    tasks: Iterable[Any],
    *,
    gen_kwargs: Mapping[str, Any] | None,
    limit: int | None,
    templated: bool,
    room: int,
    cut: bool,
) -> int:
    """Refuses prompts that don't fit with their replies.

    Args:
        reader: Of the model.
        tasks: The loaded tasks, in the form in which they are asked; none of them held.
        gen_kwargs: Generation settings over those of the tasks.
        limit: Most questions of a task.
        templated: Whether prompts go through the chat template.
        room: Tokens that a reply may have where nobody says.
        cut: Whether prompts may be cut.

    Returns:
        Prompts that will be cut.

    Raises:
        ConfigError: If prompts don't fit, and mayn't be cut.
    """
    template: Callable[..., Any] | None = reader.apply_chat_template if templated else None
    requests = []
    for task in tasks:
        if gen_kwargs:
            task.set_config(key="generation_kwargs", value=dict(gen_kwargs), update=True)
        task.build_all_requests(limit=limit, apply_chat_template=templated, chat_template=template)
        requests += task.instances
    return check_fit(requests, reader.tokens, reader.context, room, cut=cut)
