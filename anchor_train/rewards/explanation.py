"""Reward functions for TRL's ``GRPOTrainer``: is the choice right, the form kept, the explanation good?

Three functions and not their sum: TRL logs each by its name, and ``GRPOConfig.reward_weights`` weighs them.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any, Literal, TypeAlias, get_args

from anchor_train.rewards.questions import COLUMN, question_of
from judges.config import load_judge
from judges.errors import ConfigError
from judges.judge import Judge
from judges.settings import nearest
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.judging.scoring import judge_questions, read_reply
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

Part: TypeAlias = Literal["correctness", "form", "quality"]
PARTS: tuple[Part, ...] = get_args(Part)
Completion: TypeAlias = str | Sequence[Mapping[str, Any]]
Reward: TypeAlias = float | None


def explanation_reward(
    judge: Judge | str | Path | Mapping[str, Any],
    task: str | Path | TaskSpec,
    parts: Sequence[Part] = PARTS,
) -> list[Callable[..., Any]]:
    """The reward functions of a task, for ``GRPOTrainer(reward_funcs=...)``; rows come from ``question_set``.

    * ``correctness``: 1 for the right choice, else 0; nothing where a question is open.
    * ``form``: 1 where explanation and choice can be read, 1/2 where one of them can, else 0.
    * ``quality``: the judge's score as a share of the best one, 0 where there is no explanation to read. What
      the judge gives no verdict on (its endpoint failed, say) is no 0: it gets the mean of the other replies
      to its question in the batch, so that it is neither sought nor avoided.

    ``quality`` is asynchronous: all explanations of a batch are judged at once, while TRL goes on with other
    asynchronous rewards. The judge's cache and budget hold as everywhere; when the budget is spent, training
    ends with ``BudgetSpentError``, and what was judged is stored. Each process of a distributed training has
    a judge of its own, so take one at an endpoint there.

    Args:
        judge: A judge, or what ``load_judge`` takes. One that is loaded here lives as long as the functions.
        task: The task that the questions are of.
        parts: Which of the three.

    Raises:
        ConfigError: If there is no such part, task or judge.
    """
    if unknown := [part for part in parts if part not in PARTS]:
        raise ConfigError(f"explanation_reward: no part {unknown[0]!r}: {nearest(unknown[0], PARTS)}")
    spec = task if isinstance(task, TaskSpec) else load_task(task)
    made: dict[Part, Callable[[], Callable[..., Any]]] = {
        "correctness": lambda: correctness,
        "form": lambda: form,
        "quality": lambda: _Quality(judge if isinstance(judge, Judge) else load_judge(judge), spec),
    }
    return [made[part]() for part in parts]


def correctness(completions: Sequence[Completion], **columns: Any) -> list[Reward]:
    """1 for the right choice, else 0; None where a question is open."""
    read = _read(completions, columns)
    return [None if question.is_open else float(reply.correct) for question, reply in read]


def form(completions: Sequence[Completion], **columns: Any) -> list[Reward]:
    """The share of explanation and choice that can be read."""
    return [_form(question, reply) for question, reply in _read(completions, columns)]


def _form(question: Question, reply: ScoredResponse) -> float:
    explained = reply.response.explanation is not None
    if question.is_open:
        return float(explained)
    return (explained + (reply.response.choice is not None)) / 2


class _Quality:
    """The judge's score; an object, because it has a judge, and named as TRL names functions."""

    __name__ = "quality"

    def __init__(self, judge: Judge, spec: TaskSpec) -> None:
        self.judge = judge
        self._spec = spec
        self._one_at_a_time: AbstractContextManager[Any] = Lock()

    async def __call__(
        self,
        completions: Sequence[Completion],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[Reward]:
        """The scores, 0 to 1; None where the judge gave no verdict on any reply to the question."""
        found, unjudged = await asyncio.to_thread(self._scores, _read(completions, columns))
        if log_metric is not None:
            log_metric("quality/unjudged", unjudged)
        return found

    def _scores(self, read: Sequence[tuple[Question, ScoredResponse]]) -> tuple[list[Reward], float]:
        """The scores, and the share of the explanations that has none."""
        of_question: dict[str, list[int]] = {}
        for index, (question, _) in enumerate(read):
            of_question.setdefault(question.id, []).append(index)
        groups = [
            ScoredQuestion(read[places[0]][0], tuple(read[index][1] for index in places))
            for places in of_question.values()
        ]
        with self._one_at_a_time:
            judged = judge_questions(self._spec, groups, self.judge, progress=False)
        found: list[Reward] = [None] * len(read)
        for scored, places in zip(judged, of_question.values(), strict=True):
            scores = [self._share(reply) for reply in scored.responses]
            known = [score for score in scores if score is not None]
            neutral = statistics.fmean(known) if known else None
            for index, score in zip(places, scores, strict=True):
                found[index] = neutral if score is None else score
        replies = [reply for scored in judged for reply in scored.responses]
        explained = [reply for reply in replies if reply.response.explanation is not None]
        missing = sum(reply.score is None for reply in explained)
        return found, missing / len(explained) if explained else 0.0

    def _share(self, reply: ScoredResponse) -> Reward:
        if reply.response.explanation is None:
            return 0.0
        if reply.score is None:
            return None
        return reply.score / self.judge.rubric.max_score


def _read(
    completions: Sequence[Completion], columns: Mapping[str, Any]
) -> list[tuple[Question, ScoredResponse]]:
    if COLUMN not in columns:
        raise ConfigError(
            f"explanation_reward: the data set has no column {COLUMN!r}; anchor_train.rewards.question_set "
            "makes one that has"
        )
    questions = [question_of(cell) for cell in columns[COLUMN]]
    return [
        (question, read_reply(question, _text(completion)))
        for question, completion in zip(questions, completions, strict=True)
    ]


def _text(completion: Completion) -> str:
    """What the model wrote: plain, or its turn of a conversation."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
