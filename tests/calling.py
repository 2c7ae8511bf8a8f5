"""The commands, called in this process as a shell would start them: in milliseconds instead of seconds.

All that a process of its own would show is the same: exit code, what it and its children print, a traceback
where nothing caught an error. What is about the process itself (signals, what it imports, two at once) is
tested with ``subprocess``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile

MODULES = {"anchor-eval": "lm_eval_tasks.cli", "anchor-train": "anchor_train.cli"}


def call(
    command: str, *arguments: object, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Calls a command.

    Args:
        command: ``anchor-eval`` or ``anchor-train``.
        arguments: Its arguments.
        folder: Where it is called; None for where this process is.
        environment: All of its environment; None for this process's.
    """
    given = [str(argument) for argument in arguments]
    main = import_module(MODULES[command]).main
    with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        with _streams(output.fileno(), errors.fileno()), _place(folder, environment):
            try:
                main(given, prog_name=command)
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except Exception:  # noqa: BLE001  as the interpreter does at its end
                traceback.print_exc()
                code = 1
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess([command, *given], code, output.read(), errors.read())


@contextmanager
def _streams(output: int, errors: int) -> Iterator[None]:
    """Standard output and error, of this process and of those that it starts; nothing comes in."""
    before = sys.stdin, sys.stdout, sys.stderr
    for stream in before[1:]:
        stream.flush()
    kept = [os.dup(1), os.dup(2)]
    os.dup2(output, 1)
    os.dup2(errors, 2)
    try:
        with open(os.devnull, encoding="utf-8") as sys.stdin:
            # Not closed: a library may have kept them for what it logs.
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
            yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdin, sys.stdout, sys.stderr = before
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


@contextmanager
def _place(folder: Path | None, environment: Mapping[str, str] | None) -> Iterator[None]:
    """A working folder and an environment; both are as before at the end."""
    where, variables = Path.cwd(), dict(os.environ)
    try:
        if folder is not None:
            os.chdir(folder)
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        yield
    finally:
        os.chdir(where)
        os.environ.clear()
        os.environ.update(variables)
