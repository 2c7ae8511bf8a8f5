"""The writer: a model beside the one under test that changes explanations and reads them.

Any backend of a judge will do. What it answered is on disk at once, beside the evaluated model's answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from judges.backends.protocol import ChatBackend, stored_replies
from judges.models.thoughts import said
from judges.output.progress import progress
from judges.records import Failure, Outcome, OutputForm, Reply, Sampling
from judges.storage.cache import ReplyCache
from lm_eval_tasks.faithfulness.asks import AskWriter, Written


class Writer:
    """Answers what probes ask the writer, greedily.

    Args:
        backend: Who answers.
        answers: The file that answers are kept in.
        thinking_tokens: Room for a thought, beside that for an answer.
    """

    def __init__(self, backend: ChatBackend, answers: Path, thinking_tokens: int = 0) -> None:
        self._backend = backend
        self._store = ReplyCache(answers)
        self._thinking_tokens = thinking_tokens
        self.asked = 0

    @property
    def name(self) -> str:
        """Who it is."""
        return str(self._backend.identity)

    def answers(self, asks: Sequence[AskWriter]) -> list[Written]:
        """An answer to each ask, thoughts left out."""
        groups: dict[tuple[OutputForm | None, int], list[int]] = defaultdict(list)
        for number, ask in enumerate(asks):
            groups[ask.form, ask.max_tokens].append(number)
        found: dict[int, Written] = {}
        with progress(len(asks), "asking the writer") as bar:
            for (form, room), numbers in groups.items():
                sampling = Sampling(max_tokens=room, form=form, thinking_tokens=self._thinking_tokens)
                asking = self._store.asking(self._backend.identity, sampling, "probe")
                keys = {number: asking.key(asks[number].conversation) for number in numbers}
                missing = []
                for number in numbers:
                    if (known := self._store.get(keys[number])) is None:
                        missing.append(number)
                    else:
                        found[number] = _written(known)
                        bar.update()

                def store(index: int, outcome: Outcome) -> None:
                    if isinstance(outcome, Reply):
                        key = keys[missing[index]]  # noqa: B023 - called before the next round
                        self._store.put(asking, key, outcome, has_verdict=True)  # noqa: B023

                self.asked += len(missing)
                conversations = (asks[number].conversation for number in missing)
                if missing:
                    for index, outcome in stored_replies(self._backend, conversations, sampling, store):
                        found[missing[index]] = _written(outcome)
                        bar.update()
        return [found.get(number, Written(None, None, "no answer")) for number in range(len(asks))]


def _written(outcome: Outcome) -> Written:
    if isinstance(outcome, Failure):
        return Written(None, None, f"the writer failed: {outcome.message}")
    completion = outcome.completions[0]
    if completion.finish_reason == "length":
        return Written(None, None, "the writer was cut off")
    text = said(completion.text).text.strip()
    return Written(text or None, None, "" if text else "the writer wrote nothing")
