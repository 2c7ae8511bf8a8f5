"""All kinds of stages, by name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from anchor_train import stages
from anchor_train.run.stage import StageJob, StageResult
from anchor_train.stages.parts.kind import StageKind

# Every kind that a file of this folder names.
KINDS: dict[str, StageKind] = {
    found.name: found
    for file in iter_modules(stages.__path__)
    if file.name != "registry"
    for found in vars(import_module(f"{stages.__name__}.{file.name}")).values()
    if isinstance(found, StageKind)
}


def commands() -> dict[str, frozenset[str]]:
    """Command of ``anchor-train`` -> the kinds of stages that it does."""
    found: dict[str, set[str]] = {}
    for kind in KINDS.values():
        for command in kind.commands or (kind.name,):
            found.setdefault(command, set()).add(kind.name)
    return {command: frozenset(kinds) for command, kinds in found.items()}


def do_work(job: StageJob) -> StageResult:
    """Does a stage's work in this process."""
    job.folder.mkdir(parents=True, exist_ok=True)
    return KINDS[job.stage.kind].work(job)
