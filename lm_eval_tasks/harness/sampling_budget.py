"""``--until-width`` and ``--repeats auto``: twice as many replies a question, until they are enough.

What was generated so far is kept on disk, so each step asks for what it adds, and the run itself, which then
asks for as many replies as were found to be enough, for nothing. The rule looks at how wide the interval of
the accuracy is, never at where it lies, so that the interval of the last step is as good as one whose number
of replies stood fixed (measured: benchmarks/RESULTS.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from judges.errors import DataError
from lm_eval_tasks.records import Json
from lm_eval_tasks.stats.sampling_budget import FIRST, Precision, precision_of


@dataclass(frozen=True, slots=True)
class Budget:
    """How many replies a question a task gets, and why.

    Attributes:
        task: Its name.
        replies: Replies a question.
        most: The most that were allowed.
        asked: Length of the interval that was asked for; 0 if none was.
        steps: Replies a question -> what was known with so many.
    """

    task: str
    replies: int
    most: int
    asked: float
    steps: tuple[tuple[int, Precision], ...]

    def __str__(self) -> str:
        found = self.steps[-1][1]
        said = f"{self.task}: {self.replies} replies a question of at most {self.most}"
        if found.width is not None:
            said += f": accuracy's 95% interval is {100 * found.width:.1f} points wide"
        if found.width is not None and found.width <= self.asked:
            return f"{said}, asked for were {100 * self.asked:.1f}"
        said += f"; twice as many would make it {100 * (1 - found.narrowed(2)):.0f}% narrower"
        if not self.asked:
            return said
        return (
            f"{said}, more questions more" if found.enough(self.asked) else f"{said}, but no more are allowed"
        )

    def to_json(self) -> Json:
        """``{replies, most, asked, steps: [{replies, width, between, within}]}``."""
        return {
            "replies": self.replies,
            "most": self.most,
            "asked": self.asked,
            "steps": [
                {
                    "replies": replies,
                    "width": found.width,
                    "between": found.between,
                    "within": found.within,
                }
                for replies, found in self.steps
            ],
        }


def settle(task: Any, ask: Callable[[Any], Sequence[Any]], *, width: float, most: int) -> Budget:
    """Asks for replies until they are enough.

    Args:
        task: One of the harness's tasks of ours, loaded; its replies a question are set.
        ask: Builds the task's requests and gives the replies to all of them, those to one request one after
            the other.
        width: Length of the interval to stop at; 0: when more replies hardly narrow it.
        most: Replies a question at the most, at least two.

    Raises:
        DataError: If no question got two replies.
    """
    steps: list[tuple[int, Precision]] = []
    replies = FIRST
    while True:
        task.set_config(key="repeats", value=replies)
        texts = iter(ask(task))
        for request in task.instances:
            request.resps = [next(texts) for _ in range(request.repeats)]
        found = precision_of(
            [[one.correct for one in question.answered] for question in task.read_questions()]
        )
        if found is None:
            raise DataError(f"{task.spec.name}: no question got two replies, so how they vary can't be told")
        steps.append((replies, found))
        if replies == most or found.enough(width):
            return Budget(task.spec.name, replies, most, width, tuple(steps))
        replies = min(2 * replies, most)


def asking(lm: Any, chat_template: Any, gen_kwargs: Any, limit: int | None) -> Callable[[Any], Sequence[Any]]:
    """How :func:`settle` asks the harness's model.

    Args:
        lm: The model, whose replies are kept on disk.
        chat_template: Its function; None to ask in plain text.
        gen_kwargs: Generation settings over those of the task.
        limit: Most questions of a task.
    """

    def ask(task: Any) -> Sequence[Any]:
        if gen_kwargs:
            task.set_config(key="generation_kwargs", value=gen_kwargs, update=True)
        task.build_all_requests(
            limit=limit, apply_chat_template=chat_template is not None, chat_template=chat_template
        )
        replies: Sequence[Any] = lm.generate_until(
            [request for request in task.instances for _ in range(request.repeats)]
        )
        return replies

    return ask
