"""A judge from its file or its one-line name.

``judge.yaml`` holds ``backend``, ``model`` and the backend's own settings, and optionally ``rubric``,
``sampling``, ``thinking_tokens``, ``prices``, ``budget`` and ``executor``. The short form is
``BACKEND:MODEL``, for an endpoint ``openai:MODEL@URL``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from judges.backends.executor import over, read_executor
from judges.backends.protocol import ChatBackend
from judges.backends.registry import create_backend
from judges.errors import AnchorError, ConfigError
from judges.judge import JUDGE_SAMPLING, Judge
from judges.records import VerdictForm
from judges.rubrics.forms import output_form
from judges.rubrics.load import load_rubric
from judges.rubrics.rubric import Rubric
from judges.rubrics.rubric_files import DEFAULT_RUBRIC
from judges.settings import Settings, load_yaml, parse
from judges.spending.accounts import Prices
from judges.spending.budget import Budget
from judges.storage.cache import ReplyCache, default_cache_path

DEFAULT: Literal["default"] = "default"
"""The cache that is used unless another is named: see :func:`judges.storage.cache.default_cache_path`."""

_BARE_ADDRESS = re.compile(
    r"@(?P<address>([A-Za-z][\w+.-]*:/.*|(localhost|\[[\da-fA-F:.]+\](:\d+)?|[^@/:]+:\d+|[^@/:]+(/.+)?/v\d+)(/.*)?))$"
)
"""An address in the short form that doesn't begin with http:// or https://."""
_JUDGE_KEYS = ("rubric", "verdict_form", "sampling", "thinking_tokens", "prices", "budget")


class SamplingSettings(Settings):
    """How the judge replies; what isn't given is as in ``JUDGE_SAMPLING``."""

    temperature: float | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=1)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None


class PriceSettings(Settings):
    """Prices per million tokens."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)
    cached_prompt: float | None = Field(default=None, ge=0)


class BudgetSettings(Settings):
    """What the judge may spend at most, each time that it is made."""

    calls: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    cost: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class _JudgeSettings(Settings):
    rubric: str = DEFAULT_RUBRIC
    verdict_form: VerdictForm = "full"
    sampling: SamplingSettings = SamplingSettings()
    thinking_tokens: int = Field(default=0, ge=0)
    prices: PriceSettings | None = None
    budget: BudgetSettings = BudgetSettings()


def load_judge(
    spec: str | Path | Mapping[str, Any],
    *,
    cache: Path | Literal["default"] | None = DEFAULT,
    rubric: Rubric | None = None,
    budget: Budget | None = None,
    verdict_form: VerdictForm | None = None,
    executor: Any = None,
) -> Judge:
    """Makes a judge.

    Args:
        spec: ``openai:MODEL@URL``, ``vllm:MODEL``, ``transformers:MODEL``, ``scripted:FILE``, the path of a
            judge file, or what such a file holds.
        cache: File of the reply cache; None for none.
        rubric: Instead of the one that the judge file names.
        budget: Limits that stand over those of the judge file.
        verdict_form: Instead of the one that the judge file names.
        executor: ``local``, ``ray`` or ``{ray: {...}}``, over the judge file's.

    Raises:
        ConfigError: Listing everything that is wrong.
        MissingExtraError: If the backend's library isn't installed.
        BackendError: If the backend can't start.
    """
    values, where, folder = _read(spec)
    of_backend = {k: v for k, v in values.items() if k not in _JUDGE_KEYS}
    try:
        settings = parse(_JudgeSettings, {k: v for k, v in values.items() if k in _JUDGE_KEYS}, where)
    except ConfigError as error:
        raise _with_mistakes_of_backend(error, of_backend, where, folder) from None
    rubric = rubric or load_rubric(_beside(folder, settings.rubric))
    form = verdict_form or settings.verdict_form
    output_form(rubric, form)  # refused before an engine starts
    room = max(JUDGE_SAMPLING.max_tokens, len(rubric.longest_form))  # a long rubric has a long form
    sampling = replace(
        JUDGE_SAMPLING,
        thinking_tokens=settings.thinking_tokens,
        **{"max_tokens": room, **settings.sampling.model_dump(exclude_none=True)},
    )
    prices = None if settings.prices is None else Prices(**settings.prices.model_dump())
    limits = (budget or Budget()).over(Budget(**settings.budget.model_dump()))
    backend = _backend(of_backend, where, folder, executor)
    try:
        path = default_cache_path() if cache == DEFAULT else cache
        replies = None if path is None else ReplyCache(path)
        limited = None if limits == Budget() else limits
        return Judge(rubric, backend, sampling, replies, prices, limited, form)
    except BaseException:
        backend.close()
        raise


def load_backend(spec: str | Path | Mapping[str, Any], *, executor: Any = None) -> ChatBackend:
    """Makes a chat backend for any role: from a one-line name, a YAML file or a mapping.

    Args:
        spec: As for :func:`load_judge`, without the keys of a judge.
        executor: As for :func:`load_judge`.
    """
    return _backend(*_read(spec), executor)


def read_judge(spec: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """What a judge's file or one-line name says, for :func:`load_judge`; files in it as found from here.

    Raises:
        ConfigError: If it can't be read.
    """
    values, _, folder = _read(spec)
    found = dict(values)
    for key in ("rubric", "replies"):
        if isinstance(found.get(key), str):
            found[key] = str(_beside(folder, found[key]))
    return found


def _read(spec: str | Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], str, Path]:
    """Settings, where they come from, and the folder that their paths may be relative to."""
    if isinstance(spec, Mapping):
        return spec, "judge settings", Path()
    if Path(spec).suffix in {".yaml", ".yml"} and not str(spec).startswith("scripted:"):
        return load_yaml(Path(spec)), str(spec), Path(spec).parent
    shown = re.sub(r"//[^/@]*@", "//***@", str(spec))  # a password in an address is refused, and not repeated
    return _parsed(str(spec)), f"judge {shown!r}", Path()


def _parsed(spec: str) -> dict[str, Any]:
    """The short form: ``openai:MODEL@URL,URL...``; a model's name may itself hold ``:`` and ``@``."""
    kind, colon, rest = spec.partition(":")
    if not colon or not kind:
        raise ConfigError(
            f"judge {spec!r}: expected BACKEND:MODEL (openai:MODEL@URL, vllm:MODEL, transformers:MODEL, "
            "scripted:FILE) or the path of a .yaml file"
        )
    if kind == "scripted" and not rest:
        raise ConfigError(f"judge {spec!r}: the file is missing; expected scripted:FILE")
    if kind == "scripted":
        return {"backend": kind, "replies": rest}
    model, at, address = rest.rpartition("@http")
    if not at:
        model, address = rest, ""
    if not model:
        raise ConfigError(f"judge {spec!r}: the model is missing; expected {kind}:MODEL")
    if not at and (bare := _BARE_ADDRESS.search(model)):
        # As a part of the model's name it would send everything to OpenAI's own address.
        raise ConfigError(f"judge {spec!r}: the address needs http:// or https:// before {bare['address']!r}")
    addresses = re.split(r",(?=https?://)", f"http{address}") if at else []
    where = addresses[0] if len(addresses) == 1 else addresses
    return {"backend": kind, "model": model} | ({"base_url": where} if at else {})


def _backend(values: Mapping[str, Any], where: str, folder: Path, executor: Any = None) -> ChatBackend:
    name = values.get("backend")
    if not isinstance(name, str):
        raise ConfigError(f"{where}: 'backend' is missing (openai, vllm, transformers, scripted, ...)")
    settings = {key: value for key, value in values.items() if key not in ("backend", "executor")}
    spread = read_executor(over(executor, values.get("executor")), where)
    if spread is not None and settings.get("batch"):
        raise ConfigError(f"{where}: batch: true and executor: ray: batches lie at a provider; leave one out")
    if name == "scripted" and isinstance(settings.get("replies"), str):
        settings["replies"] = str(_beside(folder, settings["replies"]))
    try:
        if spread is None:
            return create_backend(name, settings)
        from judges.backends.ray import backend as ray_actors

        return ray_actors.create(name, settings, spread.ray)
    except ConfigError as error:
        close = {key: difflib.get_close_matches(key, _JUDGE_KEYS, n=1, cutoff=0.7) for key in settings}
        hints = [f"; did you mean {names[0]!r} for {key!r}?" for key, names in close.items() if names]
        raise ConfigError(f"{where}: {error}{''.join(hints)}") from None


def _with_mistakes_of_backend(
    error: ConfigError, values: Mapping[str, Any], where: str, folder: Path
) -> ConfigError:
    """What is wrong with a judge's own keys, and behind it what is wrong with its backend's."""
    try:
        _backend(values, where, folder).close()
    except ConfigError as other:
        return ConfigError(f"{error}; {str(other).removeprefix(f'{where}: ')}")
    except AnchorError:  # not a mistake in the settings: told when they are right
        return error
    return error


def _beside(folder: Path, name: str) -> str | Path:
    """A file named in a judge file: beside that file if it is there, else as the shell sees it."""
    beside = folder / name
    return beside if beside.is_file() else name
