"""``--explanations`` and what of its rows is what: texts that no run of ours made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_FIELDS = (
    ("question_field", "The question."),
    ("explanation_field", "An explanation; may be repeated: each is one sample of the question."),
    ("id_field", "The question's identifier.  [default: a hash of what it says]"),
    ("context_field", "A passage to read first."),
    ("choices_field", "The choices; without them questions are open, and nothing is right or wrong."),
    ("gold_field", "With choices: the right one, as label."),
    ("choice_field", "With choices: the one that goes with the explanation, as label or text."),
    ("reference_field", "A good explanation or answer, for judges whose rubric shows the reference."),
)
_MAY_BE_LEFT_OUT = ("id", "context", "choices", "gold", "choice", "reference")
NAMES = ("explanations", "model_name", *(name for name, _ in _FIELDS))


def explanation_options(command: F) -> F:
    """Adds the options."""
    for name, said in reversed(_FIELDS):
        flag = "--" + name.replace("_", "-")
        about = f"With --explanations: field of its rows. {said}"
        command = click.option(flag, metavar="FIELD", multiple=name == "explanation_field", help=about)(
            command
        )
    command = click.option(
        "--model-name", help="With --explanations: who wrote them.  [default: the file's name]"
    )(command)
    return click.option(
        "--explanations",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Judge the texts of this file (.jsonl, .csv, .parquet, .json), which no run made; RUN becomes "
        "their run folder.",
    )(command)


def make_run(run: str, tasks: tuple[str, ...], options: dict[str, Any]) -> tuple[str, ...]:
    """Makes RUN of ``--explanations``, where it is given; takes its options out of ``options``.

    Returns:
        The tasks to judge.
    """
    given = {name: options.pop(name) for name in NAMES}
    file = given["explanations"]
    if file is None:
        used = [name for name in NAMES if given[name]]
        if used:
            raise click.UsageError(f"--{used[0].replace('_', '-')} goes with --explanations")
        return tasks
    if not given["question_field"] or not given["explanation_field"]:
        raise click.UsageError("--explanations needs --question-field and --explanation-field")
    if len(tasks) > 1:
        raise click.UsageError("--explanations makes one task: give --task once, to name it")
    from lm_eval_tasks.runs.from_elsewhere import Fields, run_of_explanations, task_name

    fields = Fields(
        question=given["question_field"],
        explanations=given["explanation_field"],
        **{name: given[f"{name}_field"] for name in _MAY_BE_LEFT_OUT},
    )
    task = task_name(tasks[0] if tasks else file.stem)
    run_of_explanations(file, fields, Path(run), task=task, model=given["model_name"] or file.stem)
    return (task,)
