"""What the two local engines have in common: a model folder, an adapter, a chat template, seeds.

Nothing here imports torch; tokenizers are handed in by the engines.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from judges.errors import ConfigError
from judges.models.rendering import renderer_of
from judges.models.thoughts import opened_by
from judges.records import BackendIdentity, Conversation
from judges.settings import Settings

logger = logging.getLogger(__name__)

HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?(:[\w.-]+)?")
FINGERPRINTED = ("*.safetensors", "*.bin", "*.json", "*.jinja", "*.model")
SAMPLED_BYTES = 1 << 20
_END_OF_PROMPT = 24  # tokens, more than any mark has
LOCAL_ENGINES = frozenset({"vllm", "transformers"})
"""Kinds of backends that run a model on this machine."""


class LocalModelSettings(Settings):
    """Settings that both local engines understand.

    Attributes:
        model: Folder with a model in the Hugging Face layout, or a hub name.
        revision: Branch, tag or commit of a hub model.
        adapter: Folder of a LoRA adapter (PEFT layout) to put on the model.
        dtype: ``auto`` (the engine's choice; on a CPU, ``judges.models.precision``), ``bfloat16``,
            ``float16`` or ``float32``.
        chat_template: File with a Jinja chat template, for a model that has none or a wrong one.
        chat_template_kwargs: Further variables of the template, e.g. ``{enable_thinking: false}``.
        trust_remote_code: Whether code from the model's folder may run.
    """

    model: str = Field(min_length=1)
    revision: str | None = None
    adapter: Path | None = None
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    chat_template: Path | None = None
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    trust_remote_code: bool = False

    @property
    def model_path(self) -> str:
        """The model as engines take it: ``~`` filled in, hub names untouched."""
        return str(Path(self.model).expanduser()) if self.model.startswith("~") else self.model

    @property
    def adapter_path(self) -> Path | None:
        """The adapter's folder, ``~`` filled in."""
        return None if self.adapter is None else self.adapter.expanduser()

    def template_text(self) -> str | None:
        """The chat template that was given; None for the model's own.

        Raises:
            ConfigError: If the file can't be read.
        """
        if self.chat_template is None:
            return None
        try:
            return self.chat_template.expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"chat_template {str(self.chat_template)!r} can't be read: {error}") from None


def check_model(settings: LocalModelSettings) -> None:
    """Refuses what can be seen to be wrong without loading a model; all problems together.

    Raises:
        ConfigError: If the model or the adapter isn't one, or there is no chat template.
    """
    problems: list[str] = []
    model = Path(settings.model_path)
    if model.is_dir():
        if not any((model / name).is_file() for name in ("config.json", "params.json")):
            problems.append(f"model {settings.model!r}: no config.json in this folder, so it is no model")
        elif settings.chat_template is None and not _has_template(model):
            problems.append(no_template(settings.model))
    elif not model.is_file() and (model.is_absolute() or not HUB_NAME.fullmatch(settings.model)):
        problems.append(f"model {settings.model!r}: no such folder")
    adapter = settings.adapter_path
    if adapter is not None and not (adapter / "adapter_config.json").is_file():
        problems.append(f"adapter {str(adapter)!r}: no adapter_config.json there, so it is no adapter")
    if problems:
        raise ConfigError("; ".join(problems))
    settings.template_text()


def no_template(model: str) -> str:
    """The complaint about a model without chat template, with the remedy."""
    return (
        f"model {model!r} has no chat template: give one with 'chat_template: FILE' (a Jinja template; the "
        "instruction-tuned sibling of a base model usually brings the right one)"
    )


def _has_template(model: Path) -> bool:
    if (model / "chat_template.jinja").is_file() or (model / "chat_template.json").is_file():
        return True
    try:
        config = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True  # another tokenizer format: only the engine can tell
    return bool(isinstance(config, dict) and config.get("chat_template"))


def identity(kind: str, settings: LocalModelSettings, **further: Any) -> BackendIdentity:
    """Identity of a local model: its name, its settings, and the content of what lies on this machine.

    A model trained anew in the same folder is another model; cached answers of the old one don't fit it.

    Args:
        kind: Name of the backend.
        settings: The model's settings.
        **further: The engine's own settings that answers depend on; those that are None are left out.
    """
    template = settings.template_text()
    found = {
        "revision": settings.revision,
        "model_content": fingerprint(Path(settings.model_path)),
        "adapter": None if settings.adapter is None else str(settings.adapter),
        "adapter_content": None if settings.adapter_path is None else fingerprint(settings.adapter_path),
        "dtype": None if settings.dtype == "auto" else settings.dtype,
        "chat_template": None if template is None else hashlib.sha256(template.encode()).hexdigest()[:12],
        "chat_template_kwargs": settings.chat_template_kwargs or None,
        **further,
    }
    details = tuple(
        (key, value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))
        for key, value in found.items()
        if value is not None
    )
    return BackendIdentity(kind=kind, model=settings.model, details=details)


def fingerprint(folder: Path) -> str | None:
    """Short hash of a model folder's content; None if it is no local folder.

    Weight files are sampled (first, middle and last MiB): training moves all weights, so three places tell
    two models apart without reading tens of gigabytes.
    """
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted({path for pattern in FINGERPRINTED for path in folder.glob(pattern)}):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            for start in sorted({0, max(0, size // 2 - SAMPLED_BYTES // 2), max(0, size - SAMPLED_BYTES)}):
                file.seek(start)
                digest.update(file.read(SAMPLED_BYTES))
    return digest.hexdigest()[:12]


def conversation_seed(seed: int, conversation: Conversation) -> int:
    """Seed of one conversation (62 bits): depends on the seed and on the conversation alone."""
    content = json.dumps([seed, [[message.role, message.content] for message in conversation]])
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big") >> 2


def completed(text: str, tokenizer: Any, prompt: Sequence[int]) -> str:
    """A reply with the beginning of its thought, where that stands in the prompt already.

    So whoever reads the reply knows a thought for one, also where it was cut before its end.

    Args:
        text: The reply as generated.
        tokenizer: A Hugging Face tokenizer.
        prompt: Tokens of the prompt.
    """
    mark = opened_by(tokenizer.decode(prompt[-_END_OF_PROMPT:]))
    return f"{mark}{text}" if mark and not text.lstrip().startswith(mark.strip()) else text


def prompt_tokens(
    tokenizer: Any, conversation: Conversation, template: str | None, variables: Mapping[str, Any]
) -> list[int]:
    """Token ids of a conversation in the model's chat template, up to where the model's turn begins.

    Args:
        tokenizer: A Hugging Face tokenizer.
        conversation: The turns.
        template: Chat template to use instead of the tokenizer's own.
        variables: Further variables of the template.

    Raises:
        ConfigError: If the template serves no such conversation without losing text
            (``judges.models.rendering``).
    """
    text = renderer_of(tokenizer, template, variables).prompt(conversation)
    # The template writes the special tokens itself.
    return list(tokenizer.encode(text, add_special_tokens=False))
