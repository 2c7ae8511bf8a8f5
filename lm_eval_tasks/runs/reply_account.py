"""What a run's replies came to before any judge: how many can be read, why the others can't, what to try.

Accuracy stands beside what guessing gives: a model that can't follow the form and one that knows nothing look
alike in a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from lm_eval_tasks.records import Json, ScoredQuestion
from lm_eval_tasks.runs.browsing import excerpt
from lm_eval_tasks.stats.estimation.estimates import Estimate, means
from lm_eval_tasks.stats.estimation.intervals import MARGIN

MANY = 0.2
"""From this share of unreadable explanations or choices on, examples and a remedy are told."""
UNCLOSED = ("unclosed_tag", "truncated")
IN_CIRCLES = 4
"""A reply that isn't closed and is so many times as long as those that can be read says the same again."""
_EXCERPTS = 2


@dataclass(frozen=True, slots=True)
class ReplyAccount:
    """One task's replies.

    Attributes:
        replies: Replies.
        explanations: Why explanations can't be read: reason -> count.
        choices: Why choices can't be read: reason -> count.
        accuracy: Mean over questions of the share of right choices; one that can't be read isn't right.
        guessing: What guessing gives: mean over questions of 1 / number of choices.
        above_guessing: Accuracy - guessing, with its interval by question.
        examples: Beginnings of unreadable replies, of the most frequent reason first.
        room_helps: Whether those that aren't closed look as if they had been cut: longer than nearly all that
            can be read, but not by far. Shorter ones ended by themselves, longer ones go round in circles.
    """

    replies: int
    explanations: Mapping[str, int]
    choices: Mapping[str, int]
    accuracy: float
    guessing: float
    above_guessing: Estimate
    examples: tuple[str, ...]
    room_helps: bool

    @property
    def explained(self) -> int:
        """Replies whose explanation can be read, so that a judge has something to judge."""
        return self.replies - sum(self.explanations.values())

    @property
    def unreadable(self) -> float:
        """The larger share of the two kinds of part that can't be read."""
        return max(sum(self.explanations.values()), sum(self.choices.values())) / self.replies

    @property
    def like_guessing(self) -> bool:
        """Whether the model can't be told from one that guesses, or does worse."""
        low = self.above_guessing.low
        return low is None or low <= 0

    def to_json(self) -> Json:
        """For machines."""
        return {
            "replies": self.replies,
            "unreadable_explanations": dict(self.explanations),
            "unreadable_choices": dict(self.choices),
            "accuracy": self.accuracy,
            "guessing": self.guessing,
            "above_guessing": self.above_guessing.to_json(),
        }


def account(questions: Iterable[ScoredQuestion]) -> ReplyAccount | None:
    """Counts the replies to questions with choices; None if there is none."""
    explanations: Counter[str] = Counter()
    choices: Counter[str] = Counter()
    first: dict[str, list[str]] = {}
    read: list[int] = []
    unclosed: list[int] = []
    right: list[float] = []
    guessing: list[float] = []
    replies = 0
    for scored in questions:
        if not scored.answered or scored.question.is_open:
            continue
        replies += len(scored.answered)
        right.append(sum(sample.correct for sample in scored.answered) / len(scored.answered))
        guessing.append(1 / len(scored.question.choices))
        for response in (sample.response for sample in scored.answered):
            if response.explanation_problem is not None:
                explanations[response.explanation_problem] += 1
            if response.choice_problem is not None:
                choices[response.choice_problem] += 1
            reason = response.explanation_problem or response.choice_problem
            if reason is None:
                read.append(len(response.text))
            elif reason in UNCLOSED:
                unclosed.append(len(response.text))
            if reason:
                kept = first.setdefault(reason, [])
                if len(kept) < _EXCERPTS:
                    kept.append(f"[{reason}] {excerpt(response.text)}")
    if not replies:
        return None
    (above,) = means([a - b for a, b in zip(right, guessing, strict=True)], MARGIN)
    frequent = (explanations | choices).most_common()
    examples = [text for reason, _ in frequent for text in first.get(reason, ())][:_EXCERPTS]
    return ReplyAccount(
        replies,
        dict(explanations.most_common()),
        dict(choices.most_common()),
        sum(right) / len(right),
        sum(guessing) / len(guessing),
        above.estimate(),
        tuple(examples),
        _look_cut(unclosed, read),
    )


def _look_cut(unclosed: Sequence[int], read: Sequence[int]) -> bool:
    """Whether replies of these lengths look cut by a limit, beside the lengths of those that can be read."""
    if not unclosed or not read:
        return bool(unclosed)
    long = sorted(read)[int(0.9 * len(read))]
    return long <= median(unclosed) <= IN_CIRCLES * median(read)


def account_text(found: ReplyAccount, run: str, form: str | None = None) -> str:
    """The account in a few lines; with many unreadable replies also examples, what to try, where to look.

    Args:
        found: The account.
        run: The run folder, as the user named it.
        form: The run's ``reply_form``; None if it isn't known.
    """
    lines = [
        f"readable: explanations {_share(found.explanations, found.replies)}, "
        f"choices {_share(found.choices, found.replies)}",
        f"accuracy {found.accuracy:.3f}, where guessing gives {found.guessing:.3f}",
    ]
    if found.like_guessing:
        above = found.above_guessing
        interval = "" if above.low is None else f" (difference {_points(above)}, 95% interval by question)"
        below = above.high is not None and above.high < 0
        why = "; a choice that can't be read counts as wrong" if below and found.choices else ""
        said = "this is less than guessing gives" if below else "this can't be told from guessing"
        lines.append(f"note: {said}{interval}{why}")
    if found.unreadable >= MANY:
        lines += ["", f"{found.unreadable:.0%} of the replies can't be read. Two of them, cut:"]
        lines += [f"  {example}" for example in found.examples]
        lines.append(f"try: {remedy(found, form)}")
        lines.append(f"look: anchor-eval show {run} --only unreadable; leaderboard pages have them, too")
    return "\n".join(lines)


def remedy(found: ReplyAccount, form: str | None = None) -> str:
    """The setting to try for the most frequent reason why replies can't be read."""
    reasons = Counter(found.explanations) + Counter(found.choices)
    reason = reasons.most_common(1)[0][0] if reasons else ""
    if "thinking" in reason:
        return "more room to think: --thinking-tokens 4096, or --gen-kwargs max_gen_toks=4096"
    if reason in UNCLOSED and found.room_helps:
        return "longer replies: --gen-kwargs max_gen_toks=1024"
    shown, held = "shown" in (form or ""), "held" in (form or "")
    if reason == "empty_reply" or (shown and held):
        return "another model, or anchor-eval show to see what it writes instead"
    if not shown:
        return "worked examples before the question: --reply-form shown"
    return "holding replies to the form: --reply-form shown+held"


def _share(lost: Mapping[str, int], replies: int) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in lost.items())
    return f"{replies - sum(lost.values())} of {replies}" + (f" ({reasons})" if reasons else "")


def _points(of: Estimate) -> str:
    assert of.low is not None
    assert of.high is not None
    return f"{100 * of.value:+.1f} [{100 * of.low:+.1f}, {100 * of.high:+.1f}] points"
