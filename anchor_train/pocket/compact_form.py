"""The pocket model as a judge that writes letters: what its corpus and its tokenizer need for that."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

from judges.forms import letters, reply_in
from judges.prompt import JudgePrompt
from judges.records import Conversation, Statement, VerdictForm
from judges.rubric import Rubric

# Share of the judge's lessons that ask for letters.
COMPACT = 0.4


class JudgeLessons:
    """Conversations of the judge with the replies that they teach, in both forms.

    Args:
        rubric: What is asked.
        rng: Draws the form.
    """

    def __init__(self, rubric: Rubric, rng: random.Random) -> None:
        self._rubric = rubric
        self._rng = rng
        forms: tuple[VerdictForm, ...] = ("full", "compact")
        self._prompts = {form: JudgePrompt(rubric, form) for form in forms}

    def lesson(self, statement: Statement, verdicts: Mapping[str, str]) -> tuple[Conversation, str]:
        """The conversation about one statement and its reply.

        Args:
            statement: What the judge is shown.
            verdicts: Criterion key -> verdict.
        """
        form: VerdictForm = "compact" if self._rng.random() < COMPACT else "full"
        return self._prompts[form].conversation(statement), reply_in(form, self._rubric, verdicts)


def letter_phrases(rubric: Rubric) -> Iterator[str]:
    """What the compact form adds to the tokenizer: its paragraph of the prompt, and the letters."""
    full, compact = (
        JudgePrompt(rubric, form).conversation(Statement("", ""))[0].content for form in ("full", "compact")
    )
    yield compact.removeprefix(full)
    for letter in letters(rubric):
        yield from (letter, f" {letter}")
