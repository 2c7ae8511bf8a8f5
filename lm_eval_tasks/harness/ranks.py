"""Work that only one process does where lm-eval runs in several (``accelerate launch``)."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from judges.errors import AnchorError

Part = TypeVar("Part")
Result = TypeVar("Result")


def is_first_rank() -> bool:
    """True in a single process, and in the first of several."""
    group = _process_group()
    return group is None or group.get_rank() == 0


def on_first_rank(part: Part, work: Callable[[list[Part]], Result]) -> Result:
    """Brings the parts of all processes to the first one, works there, and gives the result to all.

    So a judge exists once however many processes generate, and all of them see the same outcome.

    Args:
        part: What this process has.
        work: Gets the parts in the order of ranks; called in the first process only.

    Raises:
        AnchorError: In every process, if the work raised it in the first.
    """
    group = _process_group()
    if group is None:
        return work([part])
    leave_group_at_exit()
    first = group.get_rank() == 0
    parts: list[Any] | None = [None] * group.get_world_size() if first else None
    group.gather_object(part, parts, dst=0)
    outcome: list[Any] = [None]
    if parts is not None:
        try:
            outcome = [work(parts)]
        except AnchorError as error:
            outcome = [error]
    group.broadcast_object_list(outcome, src=0)
    if isinstance(outcome[0], AnchorError):
        raise outcome[0]
    result: Result = outcome[0]
    return result


def leave_group_at_exit() -> None:
    """Has the process group left before the interpreter takes its threads down.

    A group that is still there when the process ends is torn down at an arbitrary point, and a thread of its
    that runs on then aborts the process ("terminate called without an active exception"): a finished run
    would end with a bad exit code.
    """
    atexit.unregister(leave_group)
    atexit.register(leave_group)


def leave_group() -> None:
    """Leaves the process group, if there is one; the work of this process is done."""
    if "torch" not in sys.modules:
        return
    import torch.distributed

    group = torch.distributed
    if group.is_available() and group.is_initialized():
        group.destroy_process_group()


def _process_group() -> Any:
    """``torch.distributed`` if several processes run, else None; torch isn't imported to find out."""
    if "torch" not in sys.modules:
        return None
    import torch.distributed

    group = torch.distributed
    several = group.is_available() and group.is_initialized() and group.get_world_size() > 1
    return group if several else None
