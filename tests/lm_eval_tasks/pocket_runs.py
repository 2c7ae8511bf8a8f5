"""Runs of the pocket task with explanations of chosen quality, as ``anchor-eval run`` would leave them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from anchor_train.pocket.making.flaws import Flaws, explain
from lm_eval_tasks.pocket.questions import draw_stories, question_of, range_of
from lm_eval_tasks.pocket.stories import Story
from lm_eval_tasks.records import Response, ScoredQuestion, ScoredResponse
from tests.lm_eval_tasks.run_folders import write_run

TASK = "pocket_explain"


@dataclass(frozen=True)
class Explainer:
    """How a made-up model explains.

    Attributes:
        name: Of the run.
        slips: Probability that a step's result is wrong, and the answer with it.
        bare: Probability that calculations stand without reasons, which costs nothing but words.
    """

    name: str
    slips: float = 0.25
    bare: float = 0.3


def write_pocket_run(
    folder: Path,
    explainer: Explainer,
    *,
    questions: int = 30,
    samples: int = 4,
    seed: int = 0,
    fingerprint: str = "0123",
) -> Path:
    """Writes a run without judgements; returns its folder."""
    rows = []
    for number, story in enumerate(islice(draw_stories("test", seed, "even"), questions)):
        dice = random.Random(f"{explainer.name}/{number}")
        replies = tuple(_reply(story, explainer, dice) for _ in range(samples))
        rows.append(ScoredQuestion(question_of(story), replies))
    name = f"made-{explainer.name}"
    written = {TASK: rows}
    return write_run(folder / explainer.name, written, model=name, judged=False, fingerprint=fingerprint)


def _reply(story: Story, explainer: Explainer, dice: random.Random) -> ScoredResponse:
    slips = {
        place: dice.choice((-9, -3, 2, 8))
        for place in range(len(story.steps))
        if dice.random() < explainer.slips
    }
    written = explain(story, Flaws(slips=slips, bare=dice.random() < explainer.bare))
    choice = range_of(written.conclusion)
    text = f"<explanation>\n{written.text}\n</explanation>\n<choice>\n{choice}\n</choice>"
    response = Response(text, written.text, choice)
    return ScoredResponse(response, choice == question_of(story).gold)
