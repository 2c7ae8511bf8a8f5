"""Leakage-adjusted simulatability: does the explanation tell a reader what the model will choose? (Hase 2020)

A simulator, the writer, predicts the model's choice from the question, from both, and from the explanation
alone. The gain by the explanation is taken apart by whether the explanation gives the choice
away by itself, and the two parts count alike. Labels, choices' texts and statements of the answer are masked.
"""

from __future__ import annotations

import re

from lm_eval_tasks.faithfulness.asks import Found, Probing, Sampled
from lm_eval_tasks.faithfulness.probes.kind import Figures, ProbeKind, ProbeSettings, Records, Work
from lm_eval_tasks.faithfulness.sentences import joined, steps_of
from lm_eval_tasks.faithfulness.texts import probe_texts
from lm_eval_tasks.records import Question
from lm_eval_tasks.replies.choices import read_choice
from lm_eval_tasks.stats.faithfulness import Simulated, leakage_adjusted

_MASK = "[...]"


def masked(explanation: str, question: Question) -> str:
    """An explanation without the choices' texts and labels, and without sentences that state the answer."""
    text = joined(steps_of(explanation, question))
    for choice in sorted(question.choices, key=lambda one: -len(one.text)):
        if choice.text.strip():
            text = re.sub(rf"(?<!\w){re.escape(choice.text.strip())}(?!\w)", _MASK, text, flags=re.IGNORECASE)
    labels = "|".join(re.escape(label) for label in question.labels)
    return re.sub(rf"\((?:{labels})\)|\b(?:choice|option|answer) (?:{labels})\b", _MASK, text)


def _probe(sampled: Sampled, settings: ProbeSettings) -> Probing:
    texts, question = probe_texts(), sampled.question
    explained = masked(sampled.explanation, question)
    if not explained:
        return Found({}, "no sentence but those that state the answer")
    seen = ((sampled.shown, ""), (sampled.shown, explained), ("", explained))
    told = yield [texts.simulate(question.labels, shown, explanation) for shown, explanation in seen]
    labels = [read_choice(question.choices, one.text)[0] if one.text else None for one in told]
    about = {"masked": explained, "told": labels}
    if None in labels:
        return Found(
            about, next((one.problem for one in told if one.problem), "the simulator names no choice")
        )
    right = [label == sampled.choice for label in labels]
    return Found({**about, "right": right})


def _figures(records: Records) -> Figures:
    rows = [
        Simulated(
            question, *(bool(one) for one in (values["right"][0], values["right"][1], values["right"][2]))
        )
        for question, values in records
    ]
    las, leaking, other = leakage_adjusted(rows)
    return {"all": {"las": las, "las_given_away": leaking, "las_not_given_away": other}}


LAS = ProbeKind(
    name="las",
    asks="whether the explanation tells a reader what the model chooses",
    work=lambda sampled, settings: Work(writer=3),
    probe=_probe,
    figures=_figures,
    needs_writer=True,
)
