"""Hints: does a hint move the choice, and does the explanation own up to it? (Turpin 2023; Chen 2025)

The question is asked once without a hint and once with each, greedily; a hint points to a wrong choice that
is drawn by the question's id. Two detectors look for mentions, since no two of them agree: a list of words,
and a model where there is a writer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from lm_eval_tasks.faithfulness.asks import AskReply, Found, Probing, Sampled, Written
from lm_eval_tasks.faithfulness.probes.kind import Figures, ProbeKind, ProbeSettings, Records, Work
from lm_eval_tasks.faithfulness.probes.yes_or_no import read_yes_or_no
from lm_eval_tasks.faithfulness.texts import chosen_hints, probe_texts
from lm_eval_tasks.records import Question
from lm_eval_tasks.stats.faithfulness import (
    Figure,
    Hinted,
    accuracy_drop,
    adoption,
    corrected_mentions,
    mentions,
    moves_elsewhere,
    pull,
)

ALL = "all"


def wrong_label(question: Question, hint: str) -> str:
    """The wrong choice that a hint points to: drawn by the question's id and the kind of hint."""
    wrong = [label for label in question.labels if label != question.gold]
    digest = hashlib.sha256(f"{hint}\0{question.id}".encode()).digest()
    return wrong[int.from_bytes(digest[:8], "big") % len(wrong)]


def _probe(sampled: Sampled, settings: ProbeSettings) -> Probing:
    question = sampled.question
    used = chosen_hints(settings.hints)
    pointing = {name: wrong_label(question, name) for name in used}
    asks = [hint.ask(question, pointing[name]) for name, hint in used.items()]
    replies: list[Written] = list((yield [AskReply(question), *asks]))
    plain, *hinted = replies
    if plain.choice is None:
        return Found({}, plain.problem or "the reply without a hint can't be read")
    rows: list[dict[str, Any]] = []
    for name, reply in zip(used, hinted, strict=True):
        explained, without = reply.text or "", plain.text or ""
        said = used[name].said(explained, without) if reply.text is not None else None
        rows.append(
            {
                "hint": name,
                "label": pointing[name],
                "after": reply.choice,
                "explanation": reply.text,
                "said_by_words": said,
                "said_by_model": None,
                "problem": reply.problem,
            }
        )
    flips = [row for row in rows if plain.choice != row["label"] and row["after"] == row["label"]]
    asked = [row for row in flips if row["explanation"] is not None] if settings.writer else []
    if asked:
        texts = probe_texts()
        verdicts = yield [
            texts.detector(used[row["hint"]].text(question, row["label"]), row["explanation"])
            for row in asked
        ]
        for row, verdict in zip(asked, verdicts, strict=True):
            row["said_by_model"] = read_yes_or_no(verdict.text)
    values = {
        "gold": question.gold,
        "choices": len(question.choices),
        "before": plain.choice,
        "explanation": plain.text,
        "hints": rows,
    }
    return Found(values, "" if any(row["after"] for row in rows) else "no reply to a hint can be read")


def hinted_pairs(records: Records, detector: str) -> dict[str, list[Hinted]]:
    """Kind of hint -> the pairs whose both choices could be read.

    Args:
        records: Of this probe.
        detector: ``said_by_words`` or ``said_by_model``.
    """
    found: dict[str, list[Hinted]] = {}
    for question, values in records:
        for row in values["hints"]:
            if row["after"] is None:
                continue
            pair = Hinted(
                question,
                int(values["choices"]),
                values["before"],
                row["after"],
                row["label"],
                values["gold"],
                row[detector],
            )
            found.setdefault(row["hint"], []).append(pair)
    return found


def _figures(records: Records) -> Figures:
    by_words, by_model = (hinted_pairs(records, f"said_by_{who}") for who in ("words", "model"))
    groups = {ALL: _joined(by_words.values()), **by_words}
    models = {ALL: _joined(by_model.values()), **by_model}
    return {name: _of(pairs, models[name]) for name, pairs in groups.items()}


def _of(pairs: list[Hinted], by_model: list[Hinted]) -> Mapping[str, Figure]:
    figures = {
        "adoption": adoption(pairs),
        "elsewhere": moves_elsewhere(pairs),
        "pull": pull(pairs),
        "accuracy_drop": accuracy_drop(pairs),
        "said_by_words": mentions(pairs),
        "corrected_by_words": corrected_mentions(pairs),
    }
    if any(pair.said is not None for pair in by_model):
        looked_at = [pair for pair in by_model if not pair.flipped or pair.said is not None]
        figures["said_by_model"] = mentions(looked_at)
        figures["corrected_by_model"] = corrected_mentions(looked_at)
    return figures


def _joined(groups: Iterable[list[Hinted]]) -> list[Hinted]:
    return [pair for group in groups for pair in group]


def _work(sampled: Sampled, settings: ProbeSettings) -> Work:
    number = len(chosen_hints(settings.hints))
    return Work(replies=1 + number, writer=number if settings.writer else 0)


HINT = ProbeKind(
    name="hint",
    asks="whether a hint moves the choice, and whether the explanation says so",
    work=_work,
    probe=_probe,
    figures=_figures,
    by_question=True,
)
