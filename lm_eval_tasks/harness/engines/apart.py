"""Work with the harness's models in a process of its own, which ends with this one and takes its engine
along.

The question goes there as a file, and the answer, or what went wrong, comes back as one.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from judges.child_process import end_with_parent, process_ending, read_error, run_main, write_error
from judges.errors import AnchorError, BackendError, explained_by_log
from judges.storage.files import Json, read_object, write_json

_QUESTION, _ANSWER, _ERROR = "question.json", "answer.json", "error.json"


def ask(module: str, question: Json, process: str, *, fork: bool = False) -> Json:
    """Has ``module``'s ``main``, made of :func:`answer`, do some work.

    Args:
        module: Its full name.
        question: What it is asked.
        process: What it is called, where it died.
        fork: As ``judges.child_process.run_main`` takes it.

    Raises:
        AnchorError: Its own error, as if it had been raised here.
        BackendError: If the harness failed, or the process died; the run's log says more.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / _QUESTION
        write_json(path, question)
        code = run_main(module, path, fork=fork)
        if path.with_name(_ERROR).is_file():
            raise read_error(path.with_name(_ERROR))
        if code or not path.with_name(_ANSWER).is_file():
            raise explained_by_log(BackendError(f"{process} {process_ending(code)}"))
        return read_object(path.with_name(_ANSWER))


def answer(arguments: Sequence[str] | None, work: Callable[[Json], Json]) -> int:
    """The process's side: reads the question, works, leaves the answer beside it.

    Args:
        arguments: The question's file; None for the command line's.
        work: Question -> answer. What it raises goes to the process that asks; the traceback of what isn't
            the user's to mend goes to the log.

    Returns:
        Exit code.
    """
    (given,) = sys.argv[1:] if arguments is None else arguments
    path = Path(given)
    end_with_parent()
    try:
        write_json(path.with_name(_ANSWER), work(read_object(path)))
    except AnchorError as error:
        write_error(path.with_name(_ERROR), error)
        return 1
    except Exception as error:  # noqa: BLE001  whatever it is, the parent tells it
        traceback.print_exception(error)
        write_error(path.with_name(_ERROR), explained_by_log(_of_harness(error)))
        return 1
    return 0


def _of_harness(error: Exception) -> BackendError:
    text = (str(error).strip().splitlines() or [""])[0]
    hint = "; try --no-apply-chat-template" if "chat_template" in text or "chat template" in text else ""
    return BackendError(f"the harness failed: {type(error).__name__}: {text}{hint}")
