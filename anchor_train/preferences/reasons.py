"""Why questions gave nothing to train on, in words, and what to try where that is the rule."""

from __future__ import annotations

from collections.abc import Mapping

_FORM = "reply_form=shown+held shows the form and holds the model to it"
_JUDGE = "look at the judge's replies (anchor-train show RUN --stage judge), or set another judge"
_TELLS = "a stronger judge tells replies apart better, and so do more of them (sampler.n)"
_ADVICE: Mapping[str, str] = {
    "no_readable_explanation": _FORM,
    "right_ones_unreadable": _FORM,
    "wrong_ones_unreadable": "pairs.unreadable_losers=true lets replies lose that can't be read",
    "none_judged": _JUDGE,
    "right_ones_not_judged": _JUDGE,
    "wrong_ones_not_judged": _JUDGE,
    "argument_not_judged": _JUDGE,
    "all_scores_equal": _TELLS,
    "no_wrong_one_scored_lower": _TELLS,
    "one_scored_only": _TELLS,
    "one_reply": "more replies differ with sampler.n or sampler.temperature raised",
    "no_right_reply": "easier questions, or strategy anchor, whose consultant argues for the right choice",
    "no_argument": "see what the consultant wrote: anchor-train show RUN --stage consult",
    "argument_not_usable": "raise consultant.max_tokens, or set consultant.backend to a stronger model",
    "argument_says_too_little": "set consultant.backend to a stronger model, or lower consultant.min_words",
    "argument_scored_below_all": "set consultant.backend to a stronger model, or consultant.check=false",
}


def reasons_text(reasons: Mapping[str, int]) -> str:
    """`` (all scores equal 7, no readable explanation 2)``; empty without any."""
    named = [f"{reason.replace('_', ' ')} {count}" for reason, count in reasons.items()]
    return f" ({', '.join(named)})" if named else ""


def advice(reasons: Mapping[str, int]) -> str:
    """What to try against the most frequent reason, as the end of a message; empty if there is nothing."""
    if not reasons:
        return ""
    found = _ADVICE.get(max(reasons, key=lambda reason: reasons[reason]))
    return "" if found is None else f"; {found}"
