"""What is said of a task's replies when all are read and judged, and stands beside the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from judges.judge import Judge
from judges.models.family import same_family_note
from judges.records import Unjudged
from lm_eval_tasks.harness.saying import log, say_once
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.stats import metrics

_MOST_NAMED = 50  # rows that were left out, in the results


def account_of(
    name: str,
    questions: Sequence[ScoredQuestion],
    judge: Judge | None,
    *,
    left_out: Sequence[str],
    thinking_tokens: int,
    sampled: bool,
    model: str,
) -> dict[str, Any]:
    """Says what was read and judged.

    Args:
        name: The task's.
        questions: With the scored replies.
        judge: Who judged them; None if nobody did.
        left_out: Rows of the data that couldn't be read, each with its reason.
        thinking_tokens: Room that each thought had.
        sampled: Whether replies to one question may differ.
        model: Name of the evaluated model, as far as it is known.

    Returns:
        The ``counts`` of the results file.
    """
    samples = [sample for scored in questions for sample in scored.responses]
    answered = [sample for scored in questions for sample in scored.answered]
    failed, unreadable = metrics.failures_of(questions), _unreadable(answered)
    found: dict[str, Any] = {"samples": len(samples), "unreadable": dict(unreadable.most_common())}
    if left_out:
        found["rows_left_out"] = len(left_out)
        found["left_out"] = list(left_out[:_MOST_NAMED])
    if failed:
        found["failed"] = dict(failed.most_common())
        log.warning(
            "%s: %d of %d replies failed and count nowhere: %s",
            name,
            failed.total(),
            len(samples),
            _counts(failed),
        )
    if thinking := sum(sample.response.choice_problem == "unfinished_thinking" for sample in answered):
        log.warning(
            "%s: %d of %d replies ran out of tokens while thinking; give them more: thinking_tokens "
            "(now %d) is for the thought, beside max_gen_toks for the reply",
            name,
            thinking,
            len(answered),
            thinking_tokens,
        )
    if unreadable:
        log.info("%s: unreadable in %d replies: %s", name, len(samples), _counts(unreadable))
    if sampled and _all_equal(questions):
        log.warning(
            "%s: every question got the same reply %d times, as when a fixed seed goes out with every "
            "request; --gen_kwargs '{\"seed\": null}' turns that off",
            name,
            max(len(scored.responses) for scored in questions),
        )
    return found if judge is None else found | _judged(name, samples, judge, model)


def say_that_nobody_judges() -> None:
    """For a user who may not know that explanations are scored by a judge."""
    say_once(
        "no judge: explanation scores are left out; `anchor-eval score RUN_FOLDER --judge ...` "
        "adds them to what --log_samples keeps, without generating again"
    )


def _judged(name: str, samples: Sequence[ScoredResponse], judge: Judge, model: str) -> dict[str, Any]:
    outcomes = [sample.assessment.outcome for sample in samples if sample.assessment]
    unjudged = Counter(str(outcome.reason) for outcome in outcomes if isinstance(outcome, Unjudged))
    found: dict[str, Any] = {
        "judged": len(outcomes) - unjudged.total(),
        "unjudged": dict(unjudged.most_common()),
    }
    log.info(
        "%s: %s judged %d of %d explanations%s",
        name,
        judge.info.name,
        found["judged"],
        len(outcomes),
        f" ({_counts(unjudged)})" if unjudged else "",
    )
    if note := same_family_note(judge.info.model, model):
        found["note"] = note
        say_once(note)
    return found


def _unreadable(answered: Sequence[ScoredResponse]) -> Counter[str]:
    return Counter(
        f"{part} {problem}"
        for sample in answered
        for part, problem in (
            ("explanation", sample.response.explanation_problem),
            ("choice", sample.response.choice_problem),
        )
        if problem
    )


def _all_equal(questions: Sequence[ScoredQuestion]) -> bool:
    texts = [{sample.response.text for sample in scored.answered} for scored in questions]
    several = any(len(scored.responses) > 1 for scored in questions)
    return several and len(texts) > 1 and all(len(found) == 1 for found in texts)


def _counts(counter: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counter.items())
