"""Ground truth: what an explanation of a pocket story is worth, criterion by criterion, by computation.

Every criterion is the share of something that is right, as an exact fraction:

* factual accuracy: of the claims. Claims are the start amount, each calculation, each step's number and
  operation, and a conclusion unless it only repeats the last result;
* logical coherence: of the links. Each step must start where the one before it ended, the first one at the
  start amount if that is stated, and the conclusion must be the last result;
* clarity: of the sentences. A sentence is clear if it is of the pocket language, no padding and not a repeat;
* relevance: of the mentions. Each name, thing and number that is brought in must be one of the question's; an
  explanation that names nobody, or nothing, counts one missing mention each;
* depth: of the needed steps, how many are shown.

A repeated sentence is judged once: the repeat costs clarity and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from lm_eval_tasks.pocket.explanations import (
    Conclusion,
    Filler,
    Line,
    Sentence,
    Start,
    goods_in,
    people_in,
    read_explanation,
)
from lm_eval_tasks.pocket.stories import OPENINGS, Step, Story, calculate, operand_of, pattern, read_story

# The least share for EXCELLENT, GOOD, SATISFACTORY and NEEDS IMPROVEMENT; anything below is UNSATISFACTORY.
THRESHOLDS: dict[str, tuple[Fraction, Fraction, Fraction, Fraction]] = {
    "factual_accuracy": (Fraction(1), Fraction(85, 100), Fraction(7, 10), Fraction(4, 10)),
    "logical_coherence": (Fraction(1), Fraction(8, 10), Fraction(6, 10), Fraction(3, 10)),
    "clarity": (Fraction(1), Fraction(8, 10), Fraction(6, 10), Fraction(3, 10)),
    "relevance": (Fraction(1), Fraction(85, 100), Fraction(7, 10), Fraction(4, 10)),
    "depth": (Fraction(1), Fraction(75, 100), Fraction(5, 10), Fraction(25, 100)),
}


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of each criterion, from 0 to 1; field names are the criteria's keys."""

    factual_accuracy: Fraction
    logical_coherence: Fraction
    clarity: Fraction
    relevance: Fraction
    depth: Fraction

    def levels(self) -> dict[str, int]:
        """Criterion key -> place of its verdict on the scale, 0 (best) to 4; see :data:`THRESHOLDS`."""
        return {
            key: sum(getattr(self, key) < least for least in bounds) for key, bounds in THRESHOLDS.items()
        }


def find_story(text: str) -> Story | None:
    """Finds the one pocket story in a longer text, such as a question with its choices."""
    starts = [
        match.start() for opening in OPENINGS.values() if (match := pattern(opening.story).search(text))
    ]
    ends = [match.end() for match in re.finditer(r"\?", text)]
    for start in sorted(starts):
        for end in ends:
            if end > start and (story := read_story(text[start:end])):
                return story
    return None


def grade(story: Story, explanation: str) -> Shares:
    """Grades an explanation of a story; any text can be graded."""
    every = read_explanation(explanation)
    sentences = list(dict.fromkeys(every))
    applied = _applied(story, [sentence for sentence in sentences if isinstance(sentence, Line)])
    return Shares(
        factual_accuracy=_share(_claims(story, sentences, applied)),
        logical_coherence=_share(_links(sentences, applied)),
        clarity=_share(_clear(every)),
        relevance=_share(_mentions(story, explanation, sentences, applied)),
        depth=Fraction(sum(use.step is not None for use in applied.values()), len(story.steps)),
    )


@dataclass(frozen=True, slots=True)
class _Use:
    """What a line of an explanation does: which needed step it shows, if any, and which number is which."""

    step: Step | None
    running: int
    operand: int


def _applied(story: Story, lines: list[Line]) -> dict[Line, _Use]:
    """Gives each line the needed step that it shows; a step is shown once.

    A line shows the step that agrees with it in operation, number, reason and the amount before; failing
    that, the agreements are given up from the last one on.
    """
    open_steps = list(story.steps)
    uses: dict[Line, _Use] = {}
    for strictness in (3, 2, 1, 0):
        for line in lines:
            use = None if line in uses else _use(line, open_steps, strictness)
            if use is not None and use.step is not None:
                uses[line] = use
                open_steps.remove(use.step)
    return {line: uses.get(line, _Use(None, line.left, line.right)) for line in lines}


def _use(line: Line, steps: list[Step], strictness: int) -> _Use | None:
    for step in steps:
        if line.operation != step.operation:
            continue
        running, operand = line.left, line.right
        # A sum or a product may be written the other way round, unless the reason says otherwise.
        told = line.reason is None or line.reason[1] in (None, step.operand)
        swapped = told and line.operation != "-" and operand != step.operand and running == step.operand
        if step.event.kind.operand_first or swapped:
            running, operand = operand, running
        agreements = (
            operand == step.operand,
            line.reason is None or line.reason[0] is step.event.kind,
            running == step.running,
        )
        if all(agreements[:strictness]):
            return _Use(step, running, operand)
    return None


def _claims(story: Story, sentences: list[Sentence], applied: dict[Line, _Use]) -> list[bool]:
    claims = [sentence.number == story.start for sentence in sentences if isinstance(sentence, Start)]
    stated_start = bool(claims)
    for number, (line, use) in enumerate(applied.items()):
        claims.append(calculate(line.left, line.operation, line.right) == line.result)
        claims.append(_told(story, line, use))
        if number == 0 and not stated_start and use.step is not None:
            claims.append(use.running == use.step.running)
    results = [line.result for line in applied]
    for sentence in sentences:
        if isinstance(sentence, Conclusion) and sentence.number not in results[-1:]:
            claims.append(sentence.number == story.answer)
    return claims


def _told(story: Story, line: Line, use: _Use) -> bool:
    """Whether the story tells what the line does: operation, number, and the reason if one is given."""
    if use.step is None or use.operand != use.step.operand:
        return False
    if line.reason is None:
        return True
    kind, number = line.reason
    return kind is use.step.event.kind and number in (None, operand_of(use.step.event, story.start))


def _links(sentences: list[Sentence], applied: dict[Line, _Use]) -> list[bool]:
    links = []
    amount: int | None = None
    concluded = False
    for sentence in sentences:
        if isinstance(sentence, Start):
            amount = sentence.number
        elif isinstance(sentence, Line):
            if amount is not None:
                links.append(applied[sentence].running == amount)
            amount = sentence.result
        elif isinstance(sentence, Conclusion):
            links.append(bool(applied) and sentence.number == amount)
            concluded = True
    return links if concluded else [*links, False]


def _clear(sentences: list[Sentence]) -> list[bool]:
    seen: set[Sentence] = set()
    clear = []
    for sentence in sentences:
        clear.append(not isinstance(sentence, Filler) and sentence not in seen)
        seen.add(sentence)
    return clear


def _mentions(
    story: Story, explanation: str, sentences: list[Sentence], applied: dict[Line, _Use]
) -> list[bool]:
    people = [name in story.people for name in people_in(explanation)]
    goods = [thing in story.goods for thing in goods_in(explanation)]
    told = [sentence.number for sentence in sentences if isinstance(sentence, Start)]
    told += [use.operand for use in applied.values()]
    return [*(people or [False]), *(goods or [False]), *(number in story.numbers for number in told)]


def _share(parts: list[bool]) -> Fraction:
    """The share that is right; of nothing at all, none is."""
    return Fraction(sum(parts), len(parts)) if parts else Fraction(0)
