"""``lm_eval`` without an index of its own ten thousand task files, which costs each start 16 s of CPU."""

from __future__ import annotations

from typing import Any

from lm_eval.__main__ import cli_evaluate
from lm_eval.tasks import TaskManager

if __name__ == "__main__":
    whole = TaskManager.__init__

    def lean(manager: TaskManager, *arguments: Any, **options: Any) -> None:
        whole(manager, *arguments, **{**options, "include_defaults": False})

    TaskManager.__init__ = lean
    cli_evaluate()
