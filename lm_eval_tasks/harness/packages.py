"""Which packages are installed, as the harness records it with each evaluation; no ``pip`` is started for it.

That process takes over a second each time; what it prints stands in the packages' own files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.parser import HeaderParser
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, TypeAlias

_Answer: TypeAlias = tuple[int, str, str]
_PIP = [sys.executable, "-mpip", "list", "--format=freeze"]


@contextmanager
def packages_read_here() -> Iterator[None]:
    """Within it, PyTorch's account of the environment, which the harness asks for, starts no ``pip``."""
    try:
        from torch.utils import collect_env

        asked = collect_env.get_pip_packages
    except (ImportError, AttributeError):  # nothing to ask, or asked in another way
        yield
        return

    def answered(run: Callable[[Any], _Answer], *rest: Any, **options: Any) -> Any:
        def answer(command: Any) -> _Answer:
            return (0, installed(), "") if command == _PIP else run(command)

        return asked(answer, *rest, **options)

    collect_env.get_pip_packages = answered
    try:
        yield
    finally:
        collect_env.get_pip_packages = asked


@cache
def installed() -> str:
    """What ``pip list --format=freeze`` prints: ``name==version``, a package a line."""
    # Setuptools, once imported, has a folder of packages of its own searched, too.
    places = [place for place in sys.path if Path(place).name != "_vendor"]
    lines = {f"{name}=={version}" for name, version in map(_name_and_version, distributions(path=places))}
    return "\n".join(sorted(lines, key=str.lower))


def _name_and_version(found: Distribution) -> tuple[str, str]:
    # The head alone: behind it stands a description of many pages.
    text = found.read_text("METADATA") or found.read_text("PKG-INFO") or ""
    head = HeaderParser().parsestr(text.partition("\n\n")[0])
    return str(head["Name"]), str(head["Version"])
