"""The questions of a task as a data set of TRL's ``GRPOTrainer``: its prompt, and the question beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judges.errors import ConfigError, DataError
from judges.records import Message
from lm_eval_tasks.prompts.reply_form import read_reply_form
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.load import load_task

if TYPE_CHECKING:
    import datasets

COLUMN = "anchor_question"
"""The question, as JSON in a text: GRPO hands a row's other columns to reward functions."""


def question_set(
    task: str | Path,
    *,
    split: str = "train",
    data_dir: str | Path | None = None,
    limit: int | None = None,
    reply_form: str = "asked",
) -> datasets.Dataset:
    """The questions of a task's split, asked for an explanation first and a choice second.

    Args:
        task: A task's name, or the path of a task file.
        split: ``train``, ``validation`` or ``test``.
        data_dir: Local files instead of the task's own source.
        limit: Only the first questions.
        reply_form: ``asked``, or ``shown:K`` with K worked examples before the question; GRPO can't hold
            replies to a form.

    Returns:
        Columns ``prompt`` (lists of ``{role, content}``), ``question_id`` and ``anchor_question``.

    Raises:
        ConfigError: If there is no such task or split.
        DataError: If questions can't be read, or there are none.
    """
    import datasets

    spec = load_task(task)
    form = read_reply_form(reply_form, "reply_form")
    if isinstance(form, str) or form.held:
        raise ConfigError(
            f"reply_form {reply_form}: GRPO takes asked or shown:K; replies are held to no form"
        )
    spec = spec.in_form(form)
    questions = spec.load_questions(split, data_dir)[:limit]
    if not questions:
        raise DataError(f"{spec.name}: the {split} split has no questions")
    return datasets.Dataset.from_list(
        [
            {
                "prompt": _turns(spec.asked_conversation(question)),
                "question_id": question.id,
                COLUMN: json.dumps(question.to_json(), ensure_ascii=False),
            }
            for question in questions
        ]
    )


def question_of(cell: str) -> Question:
    """Reads a cell of the column back."""
    return Question.from_json(json.loads(cell))


def _turns(conversation: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": message.role, "content": message.content} for message in conversation]
