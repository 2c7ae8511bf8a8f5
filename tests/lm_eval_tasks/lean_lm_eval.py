"""``lm_eval`` without ``pip list``, and without an index of its own ten thousand task files (16 s of CPU)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lm_eval.__main__ import cli_evaluate
from lm_eval.tasks import TaskManager

from lm_eval_tasks.harness.packages import packages_read_here


@contextmanager
def lean() -> Iterator[None]:
    """The harness finds only the tasks of ``--include_path``, and starts no ``pip``."""
    whole = TaskManager.__init__

    def init(manager: TaskManager, *arguments: Any, **options: Any) -> None:
        whole(manager, *arguments, **{**options, "include_defaults": False})

    TaskManager.__init__ = init
    try:
        with packages_read_here():
            yield
    finally:
        TaskManager.__init__ = whole


if __name__ == "__main__":
    with lean():
        cli_evaluate()
