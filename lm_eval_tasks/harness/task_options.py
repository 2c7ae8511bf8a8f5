"""What ``--metadata`` may hold for our tasks, checked."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import Field

from judges.errors import ConfigError
from judges.settings import Settings, parse
from lm_eval_tasks.harness.saying import say_once
from lm_eval_tasks.prompts.reply_form import ReplyForm, read_reply_form


class TaskOptions(Settings):
    """What ``--metadata`` may hold for these tasks.

    Attributes:
        judge: ``openai:MODEL@URL``, ``vllm:MODEL``, ``transformers:MODEL``, ``scripted:FILE``, a judge
            file, or what such a file holds. Without one, explanations are logged and not judged.
        baseline: Run folder to compare with; judged by the same judge.
        data_dir: Folder or file with local questions, instead of the hub.
        split: ``train``, ``validation`` or ``test``.
        repeats: Samples a question.
        thinking_tokens: Tokens for the thought of a model that thinks, on top of ``max_gen_toks``, which is
            for its reply. The harness's models bound the two together.
        skip_unreadable_rows: Whether rows of the data that can't be read are left out and counted
            (``counts.rows_left_out`` and ``left_out`` of the results), instead of ending the run.
        reply_form: How replies get into the form that can be read: ``asked``, ``shown``, ``shown:K``,
            ``held`` or ``shown+held`` (``prompts.reply_form``). Default: as the task's file
            says, else ``asked``.
        reply_form_from: Who chose it, as ``anchor-eval run`` notes it.
        judged_later: Whether ``anchor-eval run`` judges afterwards, or says itself that nobody does.
    """

    judge: str | Mapping[str, Any] | None = None
    baseline: str | None = None
    data_dir: str | None = None
    split: str | None = None
    repeats: int | None = Field(default=None, ge=1)
    thinking_tokens: int = Field(default=0, ge=0)
    skip_unreadable_rows: bool = False
    reply_form: str | Mapping[str, Any] | None = None
    reply_form_from: str | None = None
    judged_later: bool = False


def options_from(metadata: Mapping[str, Any]) -> TaskOptions:
    """Our part of the metadata, which also holds all arguments of the model."""
    known = list(TaskOptions.model_fields)
    for key in metadata:
        close = get_close_matches(key, known, n=1, cutoff=0.8)
        if close and key not in known:
            say_once(f"metadata key {key!r} is no option of these tasks; did you mean {close[0]!r}?")
    return parse(TaskOptions, {key: metadata[key] for key in known if key in metadata}, "--metadata")


def reply_form_from(value: str | Mapping[str, Any]) -> ReplyForm:
    """The form that the metadata names.

    Raises:
        ConfigError: If it isn't one that a task can be asked in.
    """
    form = read_reply_form(value, "--metadata: reply_form")
    if not isinstance(form, ReplyForm):
        raise ConfigError(
            "--metadata: reply_form auto tries several forms first, which anchor-eval run does; give one "
            "here: asked, shown, held or shown+held"
        )
    return form
