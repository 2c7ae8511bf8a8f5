"""How examples of several stages are headed for people: the question, the prompt, where a reply came from."""

from __future__ import annotations

from collections.abc import Iterable

from anchor_train.preferences.groups import Member
from anchor_train.records import Side
from anchor_train.run.stage import StageJob
from judges.records import Conversation
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.load import load_task


def headline(job: StageJob, question: Question) -> str:
    """A question with its gold label, as the model is shown it."""
    shown = load_task(job.recipe.task).shown_question(question)
    return f"=== question {question.id}, gold {question.gold}\n{shown}"


def prompt_text(id: str, prompt: Conversation) -> str:
    """A prompt, turn by turn."""
    turns = "\n".join(f"--- {message.role}\n{message.content}" for message in prompt)
    return f"=== question {id}\n{turns}"


def origin(side: Side | Member) -> str:
    """Where a reply that is trained on came from."""
    if isinstance(side, Side) and side.source == "consultant":
        judged = "" if side.score is None else f", score {side.score}"
        return f"the consultant's argument for the gold label{judged}"
    score = "no score" if side.score is None else f"score {side.score}"
    return f"sample {side.sample}, {score}, {'right' if side.correct else 'wrong'}"


def listed(indices: Iterable[int]) -> str:
    """Samples by their places."""
    return f"samples {', '.join(map(str, indices))}"
