"""Some of a log's samples, drawn by strata: right and wrong, by thirds of the score."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from judges.records import Statement
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.runs.judging.scoring import statement_of
from lm_eval_tasks.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Drawn:
    """A sample with a readable explanation.

    Attributes:
        task: Its task.
        question: Its question.
        statement: What a judge can be shown of it.
        sample: The sample.
    """

    task: str
    question: Question
    statement: Statement
    sample: ScoredResponse

    @property
    def text(self) -> str:
        """The question as a judge is shown it."""
        return self.statement.question

    @property
    def explanation(self) -> str:
        """Its explanation."""
        return self.statement.explanation

    def saying(self, explanation: str) -> Statement:
        """The same with another explanation."""
        return replace(self.statement, explanation=explanation)


def drawable(spec: TaskSpec, scored: ScoredQuestion) -> Iterator[Drawn]:
    """The samples of a question that have a readable explanation; of identical ones the first."""
    text = spec.shown_question(scored.question)
    seen: set[str] = set()
    for sample in scored.answered:
        explanation = sample.response.explanation
        if explanation is not None and explanation not in seen:
            seen.add(explanation)
            statement = statement_of(text, scored.question, explanation, sample.response.choice)
            yield Drawn(spec.name, scored.question, statement, sample)


def of_strata(run: TaskRun, spec: TaskSpec, number: int, rng: random.Random) -> list[Drawn]:
    """Draws samples, as many of each stratum as long as it has some, of as many questions as there are.

    Strata are right and wrong by thirds of the score; right and wrong alone where nobody has judged yet.

    Args:
        run: The log.
        spec: Its task.
        number: How many; fewer where there aren't as many.
        rng: Draws them.
    """
    strata: dict[tuple[bool, int], list[Drawn]] = {}
    found = [drawn for scored in run.read() for drawn in drawable(spec, scored)]
    for drawn, third in _with_thirds(found):
        strata.setdefault((drawn.sample.correct, third), []).append(drawn)
    for stratum in strata.values():
        rng.shuffle(stratum)
    taken: Counter[str] = Counter()
    chosen: list[Drawn] = []
    while len(chosen) < number and any(strata.values()):
        for key in sorted(strata):
            if strata[key] and len(chosen) < number:
                place = min(range(len(strata[key])), key=lambda k: taken[strata[key][k].question.id])
                drawn = strata[key].pop(place)
                taken[drawn.question.id] += 1
                chosen.append(drawn)
    return chosen


def _with_thirds(found: Sequence[Drawn]) -> Iterable[tuple[Drawn, int]]:
    """Each sample with the third of its score; equal scores are in one third."""
    scores = sorted(drawn.sample.score for drawn in found if drawn.sample.score is not None)
    if not scores:
        return [(drawn, 0) for drawn in found]
    edges = scores[len(scores) // 3], scores[2 * len(scores) // 3]
    return [(drawn, sum((drawn.sample.score or 0) > edge for edge in edges)) for drawn in found]
