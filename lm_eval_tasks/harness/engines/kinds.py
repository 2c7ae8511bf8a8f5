"""What each of the harness's engines does with what it is told: one closed list a kind of model.

How a seed reaches its draws, which generation settings it knows, and which options and arguments it takes
without a word and does nothing with. What isn't known here is said to be unknown, and never taken to hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

CHAT_ENDPOINTS = ("local-chat-completions", "openai-chat-completions")
"""Kinds of model that are asked by our own client of chat endpoints."""
COMPLETIONS = ("local-completions", "openai-completions")
"""Kinds of model that the harness's client of completion endpoints asks."""
ENDPOINTS = (*CHAT_ENDPOINTS, *COMPLETIONS)
HF = ("hf", "hf-auto", "huggingface")
VLLM = "vllm"

LENGTHS = ("max_completion_tokens", "max_tokens", "max_new_tokens", "max_gen_toks")
"""Names of the same setting, the one that counts first: how many tokens a reply may have."""

Seeds: TypeAlias = Literal["each reply", "each batch", "unknown"]
"""How an engine is seeded: every request has a seed of its own; one generator draws for a batch, and is
seeded before each; or nobody here knows."""

EVERYWHERE = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "do_sample", "until", "stop", "seed", *LENGTHS}
)
"""Generation settings that every engine knows."""
_PENALTIES = {"presence_penalty", "frequency_penalty", "repetition_penalty"}
_OF_ENDPOINTS = {
    *(_PENALTIES | {"logit_bias", "min_tokens", "stop_token_ids", "ignore_eos", "user", "store"}),
    *("reasoning_effort", "reasoning", "thinking", "verbosity", "enable_thinking", "chat_template_kwargs"),
    *("typical_p", "tfs_z", "mirostat", "top_a", "num_ctx", "keep_alive", "safe_prompt", "random_seed"),
    *("service_tier", "provider", "extra_body", "skip_special_tokens", "include_reasoning"),
    *("response_format", "structured_outputs", "metadata", "modalities", "stream_options"),
    *("safety_settings", "dry_multiplier"),
}
_OF_HF = {
    *("repetition_penalty", "num_beams", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_h"),
    *("no_repeat_ngram_size", "length_penalty", "early_stopping", "renormalize_logits", "min_new_tokens"),
    *("min_length", "use_cache", "num_beam_groups", "diversity_penalty", "penalty_alpha", "max_time"),
    *("encoder_repetition_penalty", "bad_words_ids", "guidance_scale", "eos_token_id", "pad_token_id"),
    *("bos_token_id", "suppress_tokens", "forced_eos_token_id", "cache_implementation"),
    *("prompt_lookup_num_tokens", "assistant_confidence_threshold", "stop_strings"),
}
_OF_VLLM = {
    *(_PENALTIES | {"min_tokens", "stop_token_ids", "ignore_eos", "bad_words", "logit_bias"}),
    *("skip_special_tokens", "spaces_between_special_tokens", "include_stop_str_in_output"),
    *("truncate_prompt_tokens", "allowed_token_ids", "extra_args", "structured_outputs", "detokenize"),
    *("repetition_detection", "thinking_token_budget"),
}


@dataclass(frozen=True, slots=True)
class Engine:
    """What a kind of model does with what it is told.

    Attributes:
        seeds: How ``--seed`` reaches its draws.
        generation: Generation settings that it knows besides those of ``EVERYWHERE``; None if that isn't
            known here.
        takes_null: Whether a setting of null means "leave it to the endpoint".
        idle_options: Options of the command that it does nothing with -> what to do instead.
        idle_arguments: Arguments of ``--model-args`` that it takes and does nothing with.
    """

    seeds: Seeds = "unknown"
    generation: frozenset[str] | None = None
    takes_null: bool = False
    idle_options: Mapping[str, str] = field(default_factory=dict)
    idle_arguments: frozenset[str] = frozenset()


_ELSEWHERE = "the model runs where its server does"
_UNKNOWN = Engine()
_ENGINES = {
    **dict.fromkeys(HF, Engine("each batch", frozenset(_OF_HF))),
    VLLM: Engine(
        "each reply",
        frozenset(_OF_VLLM),
        idle_options={
            "device": "CUDA_VISIBLE_DEVICES says which GPUs vLLM sees",
            "batch_size": "vLLM fills its batches itself; max_num_seqs=N in --model-args bounds them",
        },
        idle_arguments=frozenset({"device", "seed", "swap_space"}),
    ),
    **dict.fromkeys(
        CHAT_ENDPOINTS,
        Engine(
            "each reply",
            frozenset(_OF_ENDPOINTS),
            takes_null=True,
            idle_options={
                "device": _ELSEWHERE,
                "batch_size": "num_concurrent=N in --model-args says how many requests are under way",
            },
            idle_arguments=frozenset(
                {
                    *("tokenizer", "tokenizer_backend", "tokenized_requests", "add_bos_token"),
                    *("custom_prefix_token_id", "trust_remote_code", "revision", "use_fast_tokenizer"),
                    *("truncate", "max_length", "max_images", "batch_size", "max_batch_size", "device"),
                    *("seed", "dtype"),
                }
            ),
        ),
    ),
    **dict.fromkeys(
        COMPLETIONS,
        Engine(
            "each reply",
            frozenset(_OF_ENDPOINTS),
            idle_options={"device": _ELSEWHERE},
            idle_arguments=frozenset({"device", "seed", "dtype"}),
        ),
    ),
}  # fmt: skip
KNOWN_GENERATION = frozenset(EVERYWHERE | _OF_ENDPOINTS | _OF_HF | _OF_VLLM)
"""Generation settings that some engine knows."""


def engine_of(model: str) -> Engine:
    """What is known of a kind of model, as the harness names it."""
    return _ENGINES.get(model, _UNKNOWN)


def without_effect(
    model: str, model_args: Mapping[str, object], options: Mapping[str, object]
) -> dict[str, str]:
    """What was given and does nothing with this kind of model.

    Args:
        model: Kind of model.
        model_args: Of ``--model-args``.
        options: Name -> value of the options that may be idle and the seed; None where it wasn't given.

    Returns:
        Name, as the user gave it -> why, or what does it instead.
    """
    engine, found = engine_of(model), {}
    for name, instead in engine.idle_options.items():
        if options.get(name) is not None and not (name == "batch_size" and options[name] == "auto"):
            found[f"--{name.replace('_', '-')} {options[name]}"] = instead
    for name in sorted(engine.idle_arguments & model_args.keys()):
        if name == "seed":
            if model_args[name] != options.get("seed"):
                found[f"seed={model_args[name]} of --model-args"] = f"--seed {options.get('seed')} holds"
        else:
            found[f"{name}={model_args[name]} of --model-args"] = engine.idle_options.get(
                name, f"{model} takes no notice of it"
            )
    if engine.seeds == "unknown" and options.get("seed") is not None:
        found[f"--seed {options['seed']}"] = (
            f"the generators of torch, numpy and Python are seeded with it; whether {model} draws from them "
            "isn't known"
        )
    return found
