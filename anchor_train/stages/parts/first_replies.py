"""Whether the first replies of a stage can be read: if none can, all others would be paid for in vain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Generic, TypeAlias, TypeVar

from anchor_train.records import SampledQuestion
from judges.errors import DataError
from judges.models.thoughts import said
from lm_eval_tasks.prompts.reply_form import DEFAULT_EXAMPLES, ReplyForm
from lm_eval_tasks.records import Response
from lm_eval_tasks.replies.responses import read_principle
from lm_eval_tasks.runs.judging.scoring import read_replies

EXCERPTS = 2
EXCERPT_LENGTH = 160
Unread: TypeAlias = tuple[Response, str | None]
"""A reply that can't be read, and how it ended."""
T = TypeVar("T")


class _First(Generic[T]):
    """What was seen so far, until something can be read.

    Args:
        most: How many unreadable ones are enough to stop; None for never.
        form: How the model is asked.
        what: The stage, for the message.
    """

    def __init__(self, most: int | None, form: ReplyForm, what: str) -> None:
        self._most = most
        self._form = form
        self._what = what
        self._unread: list[T] = []


class FirstReplies(_First[Unread]):
    """Reads replies as they arrive, until one can be read."""

    def see(self, sampled: SampledQuestion) -> None:
        """Takes up the replies to one question.

        Raises:
            DataError: If so many have been seen and none could be read: with excerpts and what to try.
        """
        if self._most is None:
            return
        texts = [completion.text for completion in sampled.completions]
        for completion, scored in zip(
            sampled.completions, read_replies(sampled.question, texts).responses, strict=True
        ):
            if scored.response.readable:
                self._most = None
                return
            self._unread.append((scored.response, completion.finish_reason))
        if len(self._unread) >= self._most:
            raise DataError(self._message())

    def _message(self) -> str:
        excerpts = " and ".join(_excerpt(response.text) for response, _ in self._shown())
        return (
            f"{self._what}: none of the first {len(self._unread)} replies can be read "
            f"({_why(response for response, _ in self._unread)}), e.g. {excerpts}. {self._advice()}; "
            "sampler.stop_unreadable=null goes on all the same"
        )

    def _shown(self) -> list[Unread]:
        distinct = {response.text: (response, end) for response, end in self._unread}
        return list(distinct.values())[:EXCERPTS]

    def _advice(self) -> str:
        """The setting to try, by the most frequent cause."""
        cut = sum(end == "length" for _, end in self._unread)
        thinking = sum(said(response.text).cut for response, _ in self._unread)
        if 2 * thinking >= len(self._unread):
            return "Most end in the middle of a thought: raise sampler.thinking_tokens"
        form, now = self._form, f"(now {self._form})"
        if form.held:
            if 2 * cut >= len(self._unread):
                return f"Most were cut off: raise sampler.max_tokens, and dpo.max_length with it {now}"
            return f"Give the model more to go by: reply_form=shown:{max(4, form.examples + 2)}+held {now}"
        if form.examples:
            return f"Hold the model to the form: reply_form=shown:{form.examples}+held {now}"
        return (
            f"Show the model the form: reply_form=shown:{DEFAULT_EXAMPLES} {now}, or have fine-tuning teach "
            "it: sft.target=form"
        )


class FirstPrinciples(_First[str]):
    """The same for replies that name a principle."""

    def see(self, texts: Sequence[str]) -> None:
        """Takes up the replies to one request.

        Raises:
            DataError: If so many have been seen and none names a principle: with excerpts and what to try.
        """
        if self._most is None:
            return
        if any(read_principle(text) is not None for text in texts):
            self._most = None
            return
        self._unread += texts
        if len(self._unread) >= self._most:
            excerpts = " and ".join(map(_excerpt, list(dict.fromkeys(self._unread))[:EXCERPTS]))
            shown = max(DEFAULT_EXAMPLES, self._form.examples + 1)
            raise DataError(
                f"{self._what}: none of the first {len(self._unread)} replies names a principle, e.g. "
                f"{excerpts}. Show the model how: reply_form=shown:{shown} (now {self._form}), or have "
                "another do it: staple.discover.backend; sampler.stop_unreadable=null goes on all the same"
            )


def _why(responses: Iterable[Response]) -> str:
    problems = Counter(
        f"{part}: {(problem or '').replace('_', ' ')}"
        for response in responses
        for part, problem in (
            ("explanation", response.explanation_problem),
            ("choice", response.choice_problem),
        )
        if problem is not None
    )
    return ", ".join(f"{name} {count}" for name, count in problems.most_common(4))


def _excerpt(text: str) -> str:
    words = " ".join(text.split())
    return repr(words if len(words) <= EXCERPT_LENGTH else f"{words[:EXCERPT_LENGTH]}...")
