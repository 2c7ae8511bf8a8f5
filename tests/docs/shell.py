"""A real bash in which our own commands run in the tests' process, so that no interpreter starts.

In its PATH stands one small script under every name that is asked for. It hands its arguments, folder and
environment over a socket and passes on what comes back.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import click
import pytest
from click.testing import CliRunner

SECONDS = 500
_OF_BASH = frozenset({"_", "PATH", "PWD", "OLDPWD", "SHLVL", "BASH_ENV"})
_SCRIPT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as there:
    there.connect({address!r})
    asked = {{"program": os.path.basename(sys.argv[0]), "arguments": sys.argv[1:]}}
    asked |= {{"folder": os.getcwd(), "environment": dict(os.environ)}}
    there.sendall(json.dumps(asked).encode() + b"\\n")
    code, out, err = json.loads(there.makefile().readline())
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


@dataclass(frozen=True)
class Done:
    """How a program or a script ended.

    Attributes:
        code: Exit code.
        stdout: What it printed.
        stderr: What it said beside that.
    """

    code: int = 0
    stdout: str = ""
    stderr: str = ""


Program: TypeAlias = Callable[[list[str]], Done]
"""Gets its arguments; runs in the folder and environment of the shell."""


def command(group: click.Command) -> Program:
    """One of our commands as a program."""

    def program(arguments: list[str]) -> Done:
        found = CliRunner().invoke(group, arguments)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Done(found.exit_code, found.stdout, found.stderr)

    return program


def bash(script: str, folder: Path, programs: Mapping[str, Program]) -> Done:
    """Runs a script as a careful reader would, who stops at the first line that fails.

    Args:
        script: As it stands on a page.
        folder: Where.
        programs: Name -> what runs in this process.
    """
    with TemporaryDirectory(prefix="bash-") as place, socket.socket(socket.AF_UNIX) as here:
        address = f"{place}/socket"
        here.bind(address)
        here.listen()
        here.settimeout(0.05)
        script_file = Path(place) / "program"
        script_file.write_text(_SCRIPT.format(python=sys.executable, address=address), encoding="utf-8")
        script_file.chmod(0o755)
        for name in programs:
            (Path(place) / name).symlink_to(script_file)
        path = os.pathsep.join((place, os.environ.get("PATH", os.defpath)))
        with (Path(place) / "out").open("w+") as out, (Path(place) / "err").open("w+") as err:
            shell = subprocess.Popen(
                ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", script],
                cwd=folder,
                env={**os.environ, "PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            try:
                _serve(shell, here, programs)
            finally:
                shell.kill()
                shell.wait()
            out.seek(0)
            err.seek(0)
            return Done(shell.returncode, out.read(), err.read())


def _serve(shell: subprocess.Popen[bytes], here: socket.socket, programs: Mapping[str, Program]) -> None:
    end = time.monotonic() + SECONDS
    while shell.poll() is None:
        assert time.monotonic() < end, f"after {SECONDS} s the script hasn't ended: {shell.args!r}"
        try:
            there, _ = here.accept()
        except TimeoutError:
            continue
        with there:
            there.settimeout(None)
            asked = json.loads(there.makefile().readline())
            with as_there(Path(asked["folder"]), asked["environment"]):
                done = programs[asked["program"]](asked["arguments"])
            there.sendall(json.dumps([done.code, done.stdout, done.stderr]).encode() + b"\n")


@contextmanager
def as_there(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A folder, and the variables of a shell in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in (environment or {}).items():
            if name not in _OF_BASH and os.environ.get(name) != value:
                patch.setenv(name, value)
        yield
