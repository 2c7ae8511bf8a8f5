"""Arguments as the harness takes them: ``key=value,key=value`` or JSON, checked before anything is loaded."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from judges.errors import ConfigError
from lm_eval_tasks.harness.engines.kinds import (
    CHAT_ENDPOINTS,
    EVERYWHERE,
    HF,
    KNOWN_GENERATION,
    LENGTHS,
    VLLM,
    engine_of,
)


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
            found = _json(given, option)
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


def _json(text: str, where: str) -> Any:
    """A JSON value in which no key is given twice."""

    def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
            raise ConfigError(f"{where}: {twice!r} is given twice")
        return found

    return json.loads(text, object_pairs_hook=once)


def check_generation(values: Mapping[str, Any], model: str, option: str = "--gen-kwargs") -> None:
    """Refuses settings of the generation that are misspelt, unknown to a kind of model, or no sensible value.

    Raises:
        ConfigError: With the nearest known name.
    """
    engine = engine_of(model)
    known = None if engine.generation is None else EVERYWHERE | engine.generation
    for name in values:
        if not re.fullmatch(r"[A-Za-z]\w*", name):
            raise ConfigError(f"{option}: {name!r} is no name of a setting")
        if name in ("n", "best_of", "num_return_sequences"):
            raise ConfigError(f"{option}: {name!r} would give several replies to a request; use --repeats")
        if name == "max_length":
            raise ConfigError(
                f"{option}: max_length counts the prompt, too, and would overrule the task's max_gen_toks; "
                "give max_gen_toks, the tokens of a reply"
            )
        if name in EVERYWHERE or (known is not None and name in known):
            continue
        close = difflib.get_close_matches(name, known or KNOWN_GENERATION, n=1, cutoff=0.7)
        if known is None and not close:
            continue  # a kind of model that isn't known here
        if known is not None and name in _names_in_library(model):
            continue
        hint = f"did you mean {close[0]!r}? " if close else ""
        further = (
            "; other fields of a request go into --model-args extra_body={...}"
            if model in CHAT_ENDPOINTS
            else ""
        )
        raise ConfigError(
            f"{option}: unknown setting {name!r} of {model} "
            f"({hint}known: {', '.join(sorted(known or close))}){further}"
        )
    for name, value in values.items():
        if value is None and name != "seed" and not engine.takes_null and engine.generation is not None:
            raise ConfigError(f"{option}: {name} = null: {model} takes a value; leave {name} out instead")
        if value is not None and (expected := _expected(name, value, model)):
            raise ConfigError(f"{option}: {name} = {value!r}: expected {expected}")
    _check_together(values, option)


def plain_generation(values: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Checked settings by the names that all engines go by, so that none of them is overlooked.

    A length goes by the task's own name, since engines of two names take the task's; ``stop`` is ``until``.
    Greedy is said both ways: some engines look at ``do_sample`` alone, others at the temperature alone. The
    seed isn't among them: it comes from ``--seed``.

    Args:
        values: As ``check_generation`` lets them through.
        model: Kind of model.
    """
    found = {name: value for name, value in values.items() if name != "seed"}
    for name in LENGTHS:
        if (length := found.pop(name, None)) is not None:
            found["max_gen_toks"] = length
    if "stop" in found:
        found["until"] = found.pop("stop")
    if isinstance(found.get("until"), str):
        found["until"] = [found["until"]]
    if found.get("do_sample") is False:
        found["temperature"] = 0.0
    elif found.get("temperature") == 0 and model in HF:
        found["do_sample"] = False
    return found


def _check_together(values: Mapping[str, Any], option: str) -> None:
    """Refuses settings of which an engine would have to overlook one."""
    for names in (LENGTHS, ("until", "stop")):
        if len(given := [name for name in names if name in values]) > 1:
            raise ConfigError(f"{option}: {' and '.join(given)} are the same setting; give one of them")
    greedy, temperature = values.get("do_sample") is False, values.get("temperature")
    if greedy and temperature:
        raise ConfigError(
            f"{option}: do_sample = false is greedy, temperature = {temperature} isn't; leave one out"
        )
    if values.get("do_sample") is True and temperature == 0:
        raise ConfigError(f"{option}: do_sample = true at temperature = 0 contradict; leave one out")
    if (seed := values.get("seed")) is not None:
        raise ConfigError(
            f"{option}: seed = {seed}: give --seed {seed}, of which every sample gets a seed of its own; "
            "seed = null leaves the draws to the engine"
        )


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
            return _json(value, where)
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


def _expected(name: str, value: Any, model: str) -> str | None:
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
        case "top_k" if model in HF:
            fine = isinstance(value, int) and number and value >= 0
            return None if fine else "a whole number of at least 0 (0 for none)"
        case "top_k":
            fine = isinstance(value, int) and number and value >= -1
            return None if fine else "a whole number of at least -1 (-1 for none)"
        case "num_beams":
            return (
                None if isinstance(value, int) and number and value >= 1 else "a whole number of at least 1"
            )
        case "min_p":
            return None if number and 0 <= value <= 1 else "a number from 0 to 1"
        case "typical_p":
            return None if number and 0 < value <= 1 else "a number above 0, at most 1"
        case "presence_penalty" | "frequency_penalty":
            return None if number and -2 <= value <= 2 else "a number from -2 to 2"
        case "repetition_penalty":
            return None if number and 0 < value < float("inf") else "a number above 0"
        case _ if name.endswith("_penalty"):
            return None if number else "a number"
    return None


def _names_in_library(model: str) -> Collection[str]:
    """Settings as the installed engine knows them: asked only about a name that no table here has."""
    try:
        if model == VLLM:
            from vllm import SamplingParams

            return set(SamplingParams.__annotations__)
        if model in HF:
            from transformers import GenerationConfig

            return set(GenerationConfig().to_dict())
    except ImportError:
        pass
    return ()
