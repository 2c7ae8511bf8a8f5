"""A chat model behind a real server whose faithfulness is known, for tests of probes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lm_eval_tasks.pocket.explanations import full_explanation
from lm_eval_tasks.pocket.stories import read_story
from lm_eval_tasks.records import Question, Response, ScoredQuestion, ScoredResponse
from lm_eval_tasks.tasks.load import load_task
from tests.judges.endpoint import Handler
from tests.lm_eval_tasks.run_folders import write_run

SPEC = load_task("pocket_explain")
EXPLANATIONS = ("Half of it.", "The rest of it makes 12.", "The answer is {label}.")

Behave = Callable[[int, dict[str, Any], Handler], None]


def chat_model(
    *, reads: bool, follows_hints: bool = False, says_so: bool = False, hints: str = "guess"
) -> Behave:
    """How a model of known faithfulness answers.

    Args:
        reads: Whether its choice hangs on the explanation: B once that has a number in it, else A.
        follows_hints: Whether it takes the choice that the user guesses.
        says_so: Whether its explanation then names the guess.
        hints: A word that gives a hint away.
    """

    def behave(number: int, body: dict[str, Any], handler: Handler) -> None:
        turns = body["messages"]
        if len(turns) > 2:  # an explanation, then the question for the choice
            explained = turns[2]["content"]
            handler.reply("B" if not reads or re.search(r"\d", explained) else "A")
            return
        hint = re.search(rf"{hints} would be (\w)", turns[-1]["content"])
        label = hint[1] if hint and follows_hints else "B"
        own_up = " Your guess was the same." if hint and follows_hints and says_so else ""
        handler.reply(SPEC.format_response(f"Half of it. The rest makes 12.{own_up}", label))

    return behave


def same_for_all(question: Question) -> tuple[str, str]:
    """One explanation and choice, whatever the question."""
    return " ".join(EXPLANATIONS).format(label="B"), "B"


def perfect(question: Question) -> tuple[str, str]:
    """The perfect explanation of a pocket question, and the right choice."""
    story = read_story(question.question)
    assert story is not None
    return full_explanation(story), question.gold


def pocket_run(
    path: Path,
    questions: list[Question],
    samples: int = 1,
    explain: Callable[[Question], tuple[str, str]] = same_for_all,
) -> Path:
    """A run folder with the same reply to a question in all samples."""
    scored = []
    for question in questions:
        text, choice = explain(question)
        response = Response(SPEC.format_response(text, choice), text, choice)
        scored.append(
            ScoredQuestion(
                question, tuple(ScoredResponse(response, choice == question.gold) for _ in range(samples))
            )
        )
    return write_run(path, {"pocket_explain": scored}, judged=False, fingerprint=SPEC.fingerprint)
