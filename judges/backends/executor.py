"""Where a backend runs: in this process, or spread over the workers of a Ray cluster.

``executor: ray`` in a judge file, or with settings ``executor: {ray: {workers: 8}}``. What is asked, stored
and counted stays the same: the executor is no part of a backend's identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from judges.errors import ConfigError
from judges.settings import Settings, parse

LOCAL = "local"
RAY = "ray"


class RaySettings(Settings):
    """How a backend is spread over a Ray cluster.

    Attributes:
        workers: Actors, each with a backend of its own. None: as many as the cluster's GPUs suffice for; one
            on each node where a worker takes no GPU.
        gpus_per_worker: GPUs that each of them takes. None: for local engines as many as one engine spreads
            over (``tensor_parallel_size``) if the cluster has any, else 0.
        cpus_per_worker: CPU cores that each of them takes.
        address: The cluster, as ``ray.init`` takes it (``auto``: the one that this machine is part of). None:
            ``RAY_ADDRESS``; without that a cluster of our own on this machine, ended with the work.
        restarts: How often in a row a lost worker is started again without having answered in between.
        start_timeout: Seconds to wait for the cluster to have room for a first worker.
    """

    workers: int | None = Field(default=None, ge=1)
    gpus_per_worker: float | None = Field(default=None, ge=0)
    cpus_per_worker: float = Field(default=1.0, ge=0)
    address: str | None = None
    restarts: int = Field(default=3, ge=0)
    start_timeout: float = Field(default=600.0, gt=0)


class ExecutorSettings(Settings):
    """An executor other than this process; there is one kind."""

    ray: RaySettings

    @field_validator("ray", mode="before")
    @classmethod
    def _all_defaults(cls, value: Any) -> Any:
        return {} if value is None else value


def _spelt_out(value: Any) -> Any:
    """What a user may write, in the form of :class:`ExecutorSettings`; None for this process."""
    if value is None or value == LOCAL:
        return None
    if isinstance(value, ExecutorSettings):
        return value.model_dump()
    return {RAY: {}} if value == RAY else value


def read_executor(value: Any, where: str = "") -> ExecutorSettings | None:
    """Reads an executor; None is this process.

    Args:
        value: ``local``, ``ray``, ``{ray: {...}}``, or such settings.
        where: What it stands in, for messages.

    Raises:
        ConfigError: Naming everything that is wrong.
    """
    settings = _spelt_out(value)
    if settings is None:
        return None
    place = f"{where}: executor" if where else "executor"
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{place} = {value!r}: expected local, ray or {{ray: {{workers: ...}}}}")
    return parse(ExecutorSettings, settings, place)


def over(value: Any, other: Any) -> Any:
    """An executor given for one call over the one of a file: what both say of Ray, the first one says."""
    if value is None:
        return other
    first, second = _spelt_out(value), _spelt_out(other)
    if not isinstance(first, Mapping) or not isinstance(second, Mapping):
        return value
    return {RAY: {**(second.get(RAY) or {}), **(first.get(RAY) or {})}}
