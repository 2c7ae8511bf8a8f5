"""``reply_form: auto``: tries forms on a few questions and takes the first that gives replies to be read.

``asked`` comes first, because it shows the model nothing; then ``shown``, then ``shown+held``. A form in
which none of the first few replies can be read is not asked any further: a model that doesn't know how a
reply ends writes the longest ones. Nothing of the pilot is part of a result. What it chose lies in the run
folder, so that the same model is asked in the same way the next time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from judges.errors import BackendError, ConfigError
from judges.storage.files import read_object, write_json
from lm_eval_tasks.prompts.reply_form import ASKED, SHOWN, SHOWN_AND_HELD, ReplyForm, read_reply_form
from lm_eval_tasks.records import Json, Response, ScoredResponse

T = TypeVar("T")

FILE = "reply_form.json"
QUESTIONS = 40
"""Questions of a pilot, over all tasks; one reply each."""
FEW = 8
"""Questions asked first. Where half of all replies can be read, none of so many can once in 256 times."""
ENOUGH = 0.5
"""Share of readable replies from which on a form will do."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of asking in one form.

    Attributes:
        form: The form.
        replies: How many there were.
        explanations: Those with a readable explanation.
        choices: Those with a readable choice.
        readable: Those with both.
    """

    form: ReplyForm
    replies: int
    explanations: int
    choices: int
    readable: int

    @property
    def share(self) -> float:
        """Share of the replies with both parts readable."""
        return self.readable / self.replies if self.replies else 0.0

    def __str__(self) -> str:
        return (
            f"{self.form} {self.share:.0%} of {self.replies} "
            f"(explanation {self.explanations / max(1, self.replies):.0%}, "
            f"choice {self.choices / max(1, self.replies):.0%})"
        )


@dataclass(frozen=True, slots=True)
class ChosenForm:
    """A reply form, and who chose it.

    Attributes:
        form: The form.
        why: In one line; empty where the user gave it.
        warning: Whether ``why`` is a warning: no form gave enough that can be read.
    """

    form: ReplyForm
    why: str = ""
    warning: bool = False

    def to_json(self) -> Json:
        """``{form, why, warning}``."""
        return {"form": str(self.form), "why": self.why, "warning": self.warning}

    @staticmethod
    def from_json(row: Json) -> ChosenForm:
        """Reads the form back."""
        form = read_reply_form(row.get("form"), "reply_form")
        if not isinstance(form, ReplyForm):
            raise ConfigError(f"{FILE}: no form was chosen yet: {form}")
        return ChosenForm(form, str(row.get("why", "")), bool(row.get("warning", False)))


Try: TypeAlias = Callable[[ReplyForm], Iterable[Sequence[ScoredResponse]]]
"""Asks the questions of the pilot in a form: the replies so far, first after ``FEW``, then after all."""


def choose(attempt: Try, *, has_template: bool) -> ChosenForm:
    """The first form of which at least half of the replies can be read; else the best, with a warning.

    Args:
        attempt: Asks in a form; a ConfigError means that the model can't be asked in it.
        has_template: Whether prompts go through a chat template. Without one the model goes on with a text,
            and is not tried without an example to go on from.
    """
    trials: list[Trial] = []
    refused = ""
    for form in (ASKED, SHOWN, SHOWN_AND_HELD) if has_template else (SHOWN, SHOWN_AND_HELD):
        try:
            trials.append(_trial(form, attempt(form)))
        except ConfigError as error:
            if form != SHOWN_AND_HELD:
                raise
            refused = f"; {error}"
            continue
        if trials[-1].share >= ENOUGH:
            return ChosenForm(form, _said(form, trials))
    best = max(trials, key=lambda trial: trial.share)
    said = f"{_said(best.form, trials)}; less than half can be read in every form{refused}"
    return ChosenForm(best.form, said, warning=True)


def questions_each(tasks: int) -> int:
    """How many questions of each task a pilot asks."""
    return math.ceil(QUESTIONS / tasks)


def stored(run: Path) -> ChosenForm | None:
    """What a pilot chose in this run folder before; None if there was none."""
    path = run / FILE
    return ChosenForm.from_json(read_object(path)) if path.is_file() else None


def store(run: Path, chosen: ChosenForm) -> None:
    """Keeps the choice in a run folder."""
    run.mkdir(parents=True, exist_ok=True)
    write_json(run / FILE, chosen.to_json())


def in_parts(questions: Sequence[T]) -> list[Sequence[T]]:
    """A few of the questions, and the rest."""
    return [part for part in (questions[:FEW], questions[FEW:]) if part]


def _trial(form: ReplyForm, parts: Iterable[Sequence[ScoredResponse]]) -> Trial:
    replies: Sequence[ScoredResponse] = ()
    read: list[Response] = []
    for replies in parts:
        read = [scored.response for scored in replies if scored.response.failure is None]
        if len(read) >= FEW and not any(response.readable for response in read):
            break
    if not read:
        reason = next((scored.response.failure for scored in replies), "nothing was asked")
        raise BackendError(f"trying out reply forms: none of {len(replies)} replies arrived: {reason}")
    return Trial(
        form,
        len(read),
        sum(response.explanation is not None for response in read),
        sum(response.choice is not None for response in read),
        sum(response.readable for response in read),
    )


def _said(form: ReplyForm, trials: Sequence[Trial]) -> str:
    tried = ", ".join(map(str, trials))
    return f"reply form {form} (auto: replies readable with {tried})"


def asking(
    tasks: Callable[[ReplyForm], Any], lm: Any, chat_template: Any, gen_kwargs: Any, limit: int | None
) -> Try:
    """Asks the harness's model through the harness's tasks.

    Args:
        tasks: Form -> the loaded tasks, set to one reply a question.
        lm: The model.
        chat_template: Its function; None to ask in plain text.
        gen_kwargs: Generation settings over those of the tasks.
        limit: Most questions of a task.
    """

    def attempt(form: ReplyForm) -> Iterator[list[ScoredResponse]]:
        loaded = list(tasks(form))
        for task in loaded:
            if gen_kwargs:
                task.set_config(key="generation_kwargs", value=gen_kwargs, update=True)
            task.build_all_requests(
                limit=min(questions_each(len(loaded)), limit or QUESTIONS),
                apply_chat_template=chat_template is not None,
                chat_template=chat_template,
            )
        # The first questions of all tasks come first.
        rows = zip_longest(*(task.instances for task in loaded))
        for part in in_parts([request for row in rows for request in row if request is not None]):
            for request, reply in zip(part, lm.generate_until(part), strict=True):
                request.resps = [reply]
            yield [scored for task in loaded for scored in task.read_instances()]

    return attempt
