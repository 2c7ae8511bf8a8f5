"""Arguments as the harness takes them: ``key=value,key=value`` or JSON, checked before anything is loaded."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from judges.errors import ConfigError

ENDPOINTS = ("local-chat-completions", "openai-chat-completions")
"""Kinds of model that are asked by our own client of chat endpoints."""

LENGTHS = ("max_completion_tokens", "max_tokens", "max_new_tokens", "max_gen_toks")
"""Names of the same setting, the one that counts first: how many tokens a reply may have."""

_EVERYWHERE = {"temperature", "top_p", "top_k", "min_p", "do_sample", "until", "stop", "seed", *LENGTHS}
_PENALTIES = {"presence_penalty", "frequency_penalty", "repetition_penalty"}
_OF_ENDPOINTS = {
    *(
        _EVERYWHERE
        | _PENALTIES
        | {"logit_bias", "min_tokens", "stop_token_ids", "ignore_eos", "user", "store"}
    ),
    *("reasoning_effort", "reasoning", "thinking", "verbosity", "enable_thinking", "chat_template_kwargs"),
    *("typical_p", "tfs_z", "mirostat", "top_a", "num_ctx", "keep_alive", "safe_prompt", "random_seed"),
    *(
        "service_tier",
        "provider",
        "extra_body",
        "skip_special_tokens",
        "include_reasoning",
        "response_format",
    ),
    *("structured_outputs", "metadata", "modalities", "stream_options", "safety_settings", "dry_multiplier"),
}
_OF_HF = {
    *(_EVERYWHERE | {"repetition_penalty", "num_beams", "typical_p", "epsilon_cutoff", "eta_cutoff"}),
    *("no_repeat_ngram_size", "length_penalty", "early_stopping", "renormalize_logits", "min_new_tokens"),
    *("max_length", "min_length", "use_cache", "num_beam_groups", "diversity_penalty", "penalty_alpha"),
    *("max_time", "top_h", "encoder_repetition_penalty", "bad_words_ids", "guidance_scale", "eos_token_id"),
    *("pad_token_id", "bos_token_id", "suppress_tokens", "forced_eos_token_id", "cache_implementation"),
    *("prompt_lookup_num_tokens", "assistant_confidence_threshold", "stop_strings"),
}
_OF_VLLM = {
    *(_EVERYWHERE | _PENALTIES | {"min_tokens", "stop_token_ids", "ignore_eos", "bad_words", "logit_bias"}),
    *("skip_special_tokens", "spaces_between_special_tokens", "include_stop_str_in_output"),
    *("truncate_prompt_tokens", "allowed_token_ids", "extra_args", "structured_outputs", "detokenize"),
    *("repetition_detection", "thinking_token_budget"),
}
_GENERATION = {
    **dict.fromkeys(("hf", "hf-auto", "huggingface"), _OF_HF),
    "vllm": _OF_VLLM,
    **dict.fromkeys((*ENDPOINTS, "local-completions", "openai-completions"), _OF_ENDPOINTS),
}


def parse_arguments(text: str | None, option: str) -> dict[str, Any]:
    """Reads arguments: a JSON object, or ``key=value`` separated by commas with the harness's own types.

    Lists and objects may be values (``until=["\\n"]``), and ``null`` is nothing, as ``None`` is.

    Args:
        text: What was given.
        option: Where, for the message.

    Raises:
        ConfigError: If it is neither.
    """
    given = (text or "").strip()
    if given.startswith("{"):
        try:
            found = json.loads(given)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{option}: {given!r} is no JSON ({error}); JSON has double quotes") from None
        if not isinstance(found, dict):
            raise ConfigError(f"{option}: {given!r} is no JSON object")
        return found
    values: dict[str, Any] = {}
    for part in _parts(given):
        key, equals, value = part.partition("=")
        key = key.strip()
        if not equals or not key:
            name, colon, rest = part.partition(":")
            hint = f"; did you mean {name.strip()}={rest.strip()}?" if colon and not equals else ""
            raise ConfigError(f"{option}: {part.strip()!r} is no key=value{hint}")
        if key in values:
            raise ConfigError(f"{option}: {key!r} is given twice")
        values[key] = _value(value, f"{option}: {key}")
    return values


def check_generation(values: Mapping[str, Any], model: str, option: str = "--gen-kwargs") -> None:
    """Refuses settings of the generation that are misspelt, unknown to a kind of model, or no sensible value.

    Raises:
        ConfigError: With the nearest known name.
    """
    known = _GENERATION.get(model)
    for name in values:
        if not re.fullmatch(r"[A-Za-z]\w*", name):
            raise ConfigError(f"{option}: {name!r} is no name of a setting")
        if name in ("n", "best_of", "num_return_sequences"):
            raise ConfigError(f"{option}: {name!r} would give several replies to a request; use --repeats")
        if name in _EVERYWHERE or (known is not None and name in known):
            continue
        close = difflib.get_close_matches(name, known or _OF_ENDPOINTS | _OF_HF | _OF_VLLM, n=1, cutoff=0.7)
        if known is None and not close:
            continue  # a kind of model that isn't known here
        if known is not None and name in _names_in_library(model):
            continue
        hint = f"did you mean {close[0]!r}? " if close else ""
        further = (
            "; other fields of a request go into --model-args extra_body={...}" if model in ENDPOINTS else ""
        )
        raise ConfigError(
            f"{option}: unknown setting {name!r} of {model} "
            f"({hint}known: {', '.join(sorted(known or close))}){further}"
        )
    for name, value in values.items():
        if value is not None and (expected := _expected(name, value)):
            raise ConfigError(f"{option}: {name} = {value!r}: expected {expected}")


def _parts(text: str) -> list[str]:
    """Splits at commas outside of brackets, braces and quotation marks."""
    parts, start, depth, quote = [], 0, 0, ""
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "[{(":
            depth += 1
        elif sign in "]})":
            depth = max(0, depth - 1)
        elif sign == "," and not depth:
            parts.append(text[start:place])
            start = place + 1
    return [part for part in (*parts, text[start:]) if part.strip()]


def _value(text: str, where: str) -> Any:
    """A value with the type that the harness gives it."""
    value = text.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    if value[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ConfigError(f"{where} = {value!r} is no JSON; JSON has double quotes") from None
    lower = value.lower()
    if lower in ("true", "false"):
        return lower == "true"
    if lower in ("none", "null"):
        return None
    if value.lstrip("+-").isdigit():
        with_sign = re.fullmatch(r"[+-]?\d+", value)
        return int(value) if with_sign else value
    try:
        return float(value)
    except ValueError:
        return value


def _expected(name: str, value: Any) -> str | None:
    """What a setting should be instead; None if it is that."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    match name:
        case "temperature":
            return None if number and 0 <= value < float("inf") else "a number of at least 0"
        case "top_p":
            return None if number and 0 < value <= 1 else "a number above 0, at most 1"
        case "do_sample":
            return None if isinstance(value, bool) else "true or false"
        case "seed":
            return None if isinstance(value, int) and number else "a whole number, or null for none"
        case "until" | "stop":
            texts = [value] if isinstance(value, str) else value
            fine = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
            return None if fine else "a text or a list of texts"
        case _ if name in LENGTHS:
            return (
                None if isinstance(value, int) and number and value >= 1 else "a whole number of at least 1"
            )
        case "top_k":
            return None if isinstance(value, int) and number else "a whole number"
        case _ if name.endswith("_penalty") or name == "min_p":
            return None if number else "a number"
    return None


def _names_in_library(model: str) -> Collection[str]:
    """Settings as the installed engine knows them: asked only about a name that no table here has."""
    try:
        if model == "vllm":
            from vllm import SamplingParams

            return set(SamplingParams.__annotations__)
        if model in ("hf", "hf-auto", "huggingface"):
            from transformers import GenerationConfig

            return set(GenerationConfig().to_dict())
    except ImportError:
        pass
    return ()
