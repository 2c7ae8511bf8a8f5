"""Work in processes of its own, which end with the process that started them.

An engine's memory is free again only when its process has ended, so whatever loads a model gets one. Most of
the first ten seconds of such a process go into importing torch and its friends, and a training run has a
dozen of them. Where that is safe, they are therefore forked from one server that has imported the libraries
and done nothing else (the fork server of ``multiprocessing``), which takes milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from multiprocessing import forkserver, reduction
from pathlib import Path
from typing import Any

from judges import errors
from judges.errors import AnchorError, MissingExtraError
from judges.output import notices
from judges.storage.files import read_object, write_json

# Set for a process whose standard input is a pipe that closes when its parent is gone, however that went.
PARENT_PIPE = "ANCHOR_PARENT_PIPE"
# A library may look at the GPUs while it is imported, and a process forked after that can't use them.
_GPU_DRIVERS = (Path("/dev/nvidiactl"), Path("/dev/kfd"), Path("/dev/dxg"))
# Whether this process has started the server that others are forked from; it lives as long as this one.
_server_runs = False


def run_main(
    module: str, job: Path, lock: int | None = None, *, preload: str | None = None, fork: bool = True
) -> int:
    """Runs ``module``'s ``main([job])`` in a process of its own and waits for it.

    What it prints goes to standard error; what it tells goes where it goes from here.

    Args:
        module: Full name of a module whose ``main`` takes a list of arguments and returns an exit code.
        job: Its argument.
        lock: A file descriptor that the process holds too while it lives.
        preload: Module that imports the libraries it needs, for the server that it is forked from. None
            starts no server (a process that only asks an endpoint is there sooner without), and forks from
            one that is there already.
        fork: False for a process that wants to start with nothing loaded, since it brings up an engine or a
            cluster of its own.

    Returns:
        Exit code; -N if signal N ended the process.
    """
    if fork and preload is not None:
        start_fork_server(preload)
    if not (fork and _server_runs):
        return run_command([sys.executable, "-m", module, str(job)], lock)
    context = multiprocessing.get_context("forkserver")
    held = None if lock is None else _Descriptor(lock)
    channel = notices.current()
    told = None if channel is None else (_Descriptor(channel.descriptor), channel.log)
    arguments = (module, job, held, _Descriptor(2), told, Path.cwd(), dict(os.environ))
    process = context.Process(target=_enter, args=arguments)
    process.start()
    assert process.pid is not None
    try:
        process.join()
    except BaseException:
        process.terminate()
        process.join()
        _end_group(process.pid)
        raise
    code = process.exitcode
    assert code is not None
    if code:
        _end_group(process.pid)
    return code


def start_fork_server(preload: str) -> None:
    """Starts the server that processes are forked from, unless it is there; its imports go on meanwhile."""
    global _server_runs
    if _can_fork():
        forkserver.set_forkserver_preload([preload])
        forkserver.ensure_running()
        _server_runs = True


def run_command(command: Sequence[str], lock: int | None = None) -> int:
    """Runs a command as ``run_main`` runs a module; it finds ``PARENT_PIPE`` in its environment."""
    channel = notices.current()
    held = [lock, None if channel is None else channel.descriptor]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=2,
        env={**os.environ, PARENT_PIPE: "1", **({} if channel is None else channel.variable())},
        pass_fds=[descriptor for descriptor in held if descriptor is not None],
        start_new_session=True,  # Ctrl-C is for this process to answer
    ) as process:
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            _end_group(process.pid)
            raise
    if code:
        _end_group(process.pid)
    return code


def end_with_parent() -> bool:
    """Ends this process as soon as the one that started it is gone; Ctrl-C is for that one to answer.

    What it has started by then ends with it, where it leads a group of processes.

    What this process tells goes where that one's goes.

    Returns:
        Whether there is such a parent: False in a process that a person started.
    """
    if os.environ.pop(PARENT_PIPE, None) != "1":
        return False
    notices.take_up()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_at_end_of_input, daemon=True).start()
    return True


def write_error(path: Path, error: AnchorError) -> None:
    """Leaves an error for the process that started this one."""
    kind = next(kind for kind in type(error).__mro__ if hasattr(errors, kind.__name__))
    left = {"kind": kind.__name__, "message": str(error), "in_log": error.in_log}
    if isinstance(error, MissingExtraError):
        left["extra"] = error.extra
    write_json(path, left)


def read_error(path: Path) -> AnchorError:
    """The error that a process left."""
    left = read_object(path)
    kind: type[AnchorError] = getattr(errors, left["kind"])
    error = kind.__new__(kind)
    error.args = (left["message"],)
    error.in_log = left["in_log"]
    if isinstance(error, MissingExtraError):
        error.extra = left["extra"]
    return error


def _end_group(leader: int) -> None:
    """Ends what a process left behind that didn't end well: an engine's processes don't end by themselves."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def process_ending(code: int) -> str:
    """How a process ended, in words."""
    if code == -signal.SIGKILL:
        return "was killed (signal 9; often for want of memory)"
    if code < 0:
        return f"was stopped by signal {-code}"
    return f"ended with code {code}"


def _can_fork() -> bool:
    return sys.platform == "linux" and not any(driver.exists() for driver in _GPU_DRIVERS)


class _Descriptor:
    """A file descriptor as an argument of a process."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.number),)


def _received(sent: Any) -> _Descriptor:
    return _Descriptor(sent.detach())


def _enter(
    module: str,
    job: Path,
    held: _Descriptor | None,
    errors: _Descriptor,
    told: tuple[_Descriptor, Path] | None,
    folder: Path,
    environment: dict[str, str],
) -> None:
    """The forked process: made to look as if it had been started by ``run_command``."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    os.setsid()
    os.dup2(parent.sentinel, 0)  # the pipe that closes with the parent
    # The server has the standard error, folder and environment of when it was started.
    os.dup2(errors.number, 2)
    os.chdir(folder)
    os.dup2(2, 1)
    if told is not None:
        notices.open_channel(told[0].number, told[1])
    os.environ.clear()
    os.environ.update(environment, **{PARENT_PIPE: "1"})
    sys.exit(import_module(module).main([str(job)]))


def _exit_at_end_of_input() -> None:
    # Not sys.stdin: a thread that waits in its buffer breaks the interpreter's shutdown.
    while os.read(0, 4096):
        pass
    if os.getpgid(0) == os.getpid():
        _end_group(os.getpid())  # with all that it has started, an engine's processes above all
    os._exit(1)
