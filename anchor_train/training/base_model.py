"""Loading what is trained: tokenizer, frozen base model, the adapter on it. Imports torch when called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anchor_train.recipes.training_settings import LoraSettings, ModelSettings
from anchor_train.run.precision import dtype_of
from anchor_train.run.trained_folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, is_whole
from judges.errors import ConfigError, MissingExtraError
from judges.output.notices import tell


def resolved_name(model: ModelSettings) -> str:
    """A hub name as it is; a folder's absolute path, so that an adapter finds its base from anywhere."""
    path = Path(model.name)
    return str(path.resolve()) if path.is_dir() else model.name


def load_tokenizer(model: ModelSettings) -> Any:
    """The model's tokenizer, with the chat template that is used in training and evaluation.

    Raises:
        ConfigError: If there is none at that name, or no chat template.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            resolved_name(model), revision=model.revision, trust_remote_code=model.trust_remote_code
        )
    except (OSError, ValueError) as error:
        raise _not_a_model(model, error) from None
    if model.chat_template is not None:
        try:
            tokenizer.chat_template = model.chat_template.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"model.chat_template {model.chat_template}: {error.strerror}") from None
    if model.chat_template_kwargs and tokenizer.chat_template:
        if not isinstance(tokenizer.chat_template, str):
            raise ConfigError(
                f"{model.name} has several chat templates: give the one that chat_template_kwargs "
                "is meant for as model.chat_template"
            )
        tokenizer.chat_template = _with_variables(tokenizer.chat_template, model.chat_template_kwargs)
    if not tokenizer.chat_template:
        raise ConfigError(
            f"the tokenizer of {model.name} has no chat template: give one as model.chat_template "
            "(a Jinja file), or take the model's chat version"
        )
    return tokenizer


def _with_variables(template: str, variables: Mapping[str, Any]) -> str:
    """The template with its variables set inside it: whoever renders with this tokenizer gets them, too.

    Raises:
        ConfigError: If a name can't be a variable.
    """
    for name in variables:
        if not name.isidentifier():
            raise ConfigError(f"model.chat_template_kwargs: {name!r} can't be a variable of a template")
    # Jinja reads Python's literals.
    return "".join(f"{{%- set {name} = {value!r} %}}" for name, value in variables.items()) + template


def weights_dtype(model: ModelSettings) -> Any:
    """The torch dtype of the frozen weights (:mod:`anchor_train.run.precision`)."""
    import torch

    return getattr(torch, dtype_of(model))


def load_base(model: ModelSettings, *, as_stored: bool = False) -> Any:
    """The base model, on the CPU; trainers place it.

    Args:
        model: The base model.
        as_stored: Keep the stored weights as they are, whatever type they are trained in.

    Raises:
        ConfigError: If there is no causal language model at that name.
        MissingExtraError: If it is to be loaded in 4 bits without bitsandbytes.
    """
    from transformers import AutoModelForCausalLM

    dtype = "auto" if as_stored else weights_dtype(model)
    options: dict[str, Any] = {"dtype": dtype, "trust_remote_code": model.trust_remote_code}
    if model.attention is not None:
        options["attn_implementation"] = model.attention
    if model.load_in_4bit and not as_stored:
        options["quantization_config"] = _four_bits(dtype)
    try:
        return AutoModelForCausalLM.from_pretrained(resolved_name(model), revision=model.revision, **options)
    except (OSError, ValueError, ImportError) as error:
        raise _not_a_model(model, error) from None


def load_trained(folder: Path, model: ModelSettings, *, trainable: bool) -> Any:
    """What an earlier training left: its adapter on the base model, or its whole model.

    Args:
        folder: Of that training's ``adapter``.
        model: The base model.
        trainable: Whether it is trained further; whole weights are float32 then.

    Raises:
        ConfigError: If it is neither, or an adapter of another base.
    """
    check_trained(folder, model)
    if not is_whole(folder):
        return load_adapter(load_base(model), folder, model, trainable=trainable)
    return load_whole(model, folder, trainable=trainable)


def load_whole(model: ModelSettings, folder: Path | None = None, *, trainable: bool = True) -> Any:
    """A model of which all weights are trained: in float32, whose small steps 16 bits would round away.

    Args:
        model: The base model.
        folder: Weights to go on from; None for the base model's.
        trainable: Otherwise in the run's own precision.
    """
    given = model if folder is None else model.model_copy(update={"name": str(folder), "revision": None})
    return load_base(given.model_copy(update={"dtype": "float32"}) if trainable else given)


def check_trained(folder: Path, model: ModelSettings) -> None:
    """Checks, before anything is loaded, that a folder holds what a training of this base model left.

    Raises:
        ConfigError: If it doesn't.
    """
    if not is_whole(folder):
        check_adapter(folder, model)
    elif not list(folder.glob("*.safetensors")):
        raise ConfigError(f"{folder} is no model: it has a config and no weights")


def lora_config(settings: LoraSettings) -> Any:
    """The peft.LoraConfig of these settings."""
    from peft import LoraConfig

    modules = settings.target_modules
    return LoraConfig(
        r=settings.r,
        lora_alpha=int(settings.alpha) if float(settings.alpha).is_integer() else settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
        use_rslora=settings.use_rslora,
        use_dora=settings.use_dora,
        modules_to_save=list(settings.modules_to_save) or None,
        task_type="CAUSAL_LM",
    )


def load_adapter(base: Any, adapter: Path, model: ModelSettings, *, trainable: bool) -> Any:
    """Puts an adapter on its base model, under the one name ``default``.

    Raises:
        ConfigError: If it isn't an adapter, or one of another base.
    """
    from peft import PeftModel

    check_adapter(adapter, model)
    try:
        adapted = PeftModel.from_pretrained(base, str(adapter), is_trainable=trainable)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"adapter {adapter} doesn't fit {model.name}, so it belongs to another base: {first_line(error)}"
        ) from None
    adapted.peft_config["default"].base_model_name_or_path = resolved_name(model)
    return adapted


def check_adapter(adapter: Path, model: ModelSettings) -> None:
    """Checks, before anything is loaded, that a folder holds an adapter of this base model.

    Raises:
        ConfigError: If it doesn't.
    """
    missing = [name for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS) if not (adapter / name).is_file()]
    if missing:
        raise ConfigError(f"{adapter} is not an adapter folder: no {' and no '.join(missing)}")
    try:
        config = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{adapter / ADAPTER_CONFIG}: not JSON: {error}") from None
    base = config.get("base_model_name_or_path")
    if base in (None, model.name, resolved_name(model)):
        return
    if Path(base).is_absolute() and not Path(base).exists():
        # The folder may have been moved; weights of other shapes are refused when they are loaded.
        tell(f"warning: adapter {adapter} names {base} as its base, which is gone")
        return
    raise ConfigError(f"adapter {adapter} belongs to the base model {base}, not to {model.name}")


def _four_bits(dtype: Any) -> Any:
    from importlib.util import find_spec

    from transformers import BitsAndBytesConfig

    if find_spec("bitsandbytes") is None:
        raise MissingExtraError("bitsandbytes (model.load_in_4bit)", "qlora")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _not_a_model(model: ModelSettings, error: Exception) -> ConfigError:
    return ConfigError(f"model {model.name} can't be loaded: {first_line(error)}")


def first_line(error: Exception) -> str:
    """A library's error as one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
