"""The ground-truth judge: a chat backend that answers the judge's conversation by computation.

It is a backend like any other, registered as ``pocket-oracle``: it gets the very conversation that a judge
model gets, reads question and explanation between the delimiters, and replies in the rubric's form. As the
writer of probes (``--writer pocket-oracle:ground-truth``) it answers as :mod:`lm_eval_tasks.pocket.writer`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from judges.backends.protocol import IndexedOutcome
from judges.records import (
    BackendIdentity,
    Completion,
    Conversation,
    Failure,
    Outcome,
    Reply,
    Sampling,
    VerdictForm,
)
from judges.rubrics.forms import output_form, reply_in
from judges.rubrics.load import load_rubric
from judges.rubrics.rubric import Rubric
from judges.settings import Settings, parse
from lm_eval_tasks.pocket.grading import find_story, grade
from lm_eval_tasks.pocket.writer import written

BACKEND = "pocket-oracle"
_SHOWN = re.compile(
    r"<question>\n(?P<question>.*?)\n</question>\s*<explanation>\n(?P<explanation>.*)\n</explanation>", re.S
)


class OracleSettings(Settings):
    """Settings of the backend ``pocket-oracle``; it needs none.

    Attributes:
        model: A name for reports.
    """

    model: str = "ground-truth"


class PocketOracle:
    """Judges explanations of pocket questions by computation; anything else is a ``Failure``."""

    def __init__(self, model: str = "ground-truth") -> None:
        self._identity = BackendIdentity(BACKEND, model, (("grading", "1"),))
        self._rubric = load_rubric()
        self._compact = output_form(self._rubric, "compact")

    @property
    def identity(self) -> BackendIdentity:
        """What its answers depend on."""
        return self._identity

    @property
    def constrains(self) -> bool:
        """Its replies always have the rubric's form."""
        return True

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """Answers at once, in order; all completions of a conversation are the same."""
        form: VerdictForm = "compact" if sampling.form == self._compact else "full"
        for index, conversation in enumerate(conversations):
            yield index, _reply(self._rubric, conversation, sampling.n, form)

    def close(self) -> None:
        """Holds nothing."""

    def __enter__(self) -> PocketOracle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create(settings: Mapping[str, Any]) -> PocketOracle:
    """Makes the backend from its settings (entry point ``judges.backends``: ``pocket-oracle``)."""
    return PocketOracle(parse(OracleSettings, settings, BACKEND).model)


def verdict_lines(rubric: Rubric, question: str, explanation: str, form: VerdictForm = "full") -> str | None:
    """The reply of a perfect judge, in the full or the compact form; None without a pocket question."""
    story = find_story(question)
    if story is None:
        return None
    scale = tuple(rubric.scale)
    verdicts = {key: scale[level] for key, level in grade(story, explanation).levels().items()}
    return reply_in(form, rubric, verdicts)


def _reply(rubric: Rubric, conversation: Conversation, n: int, form: VerdictForm) -> Outcome:
    asked = conversation[-1].content
    if (answer := written(asked)) is not None:
        return Reply((Completion(answer),) * n)
    shown = _SHOWN.search(asked)
    if shown is None:
        return Failure(f"{BACKEND} judges by the built-in rubric's prompt only")
    text = verdict_lines(rubric, shown["question"], shown["explanation"], form)
    if text is None:
        return Failure(f"{BACKEND} can judge pocket questions only, and this is none")
    return Reply((Completion(text),) * n)
