"""How a run was asked and judged: what two runs must agree in to stand in one table, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from judges.judge_info import JudgeInfo
from judges.records import VerdictForm
from lm_eval_tasks.comparison.entry import Entry
from lm_eval_tasks.runs.discovery import TaskRun

_SAMPLING = ("do_sample", "temperature", "top_p", "max_gen_toks")

Facts = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two settings differ; None where a log doesn't tell."""

    what: str
    here: str | None
    there: str | None

    def __str__(self) -> str:
        """``temperature 1.0 instead of 0.6``."""
        return f"{self.what} {self.here or 'unknown'} instead of {self.there or 'unknown'}"


@dataclass(frozen=True, slots=True)
class Setting:
    """How one task of a run was asked, and by whom it was judged.

    Attributes:
        asked: Name -> value: version of the task, its reply form and prompts, samples a question, sampling.
        judged: The same of the judge: name, rubric, reply settings; empty if nobody judged.
        yardstick: What scores must share to be comparable at all: rubric and verdict form; None if not known.
    """

    asked: Facts
    judged: Facts
    yardstick: tuple[str, VerdictForm] | None

    def differences(self, other: Setting) -> tuple[Difference, ...]:
        """What is different here from ``other``."""
        return tuple(
            Difference(what, here, there)
            for mine, theirs in ((self.asked, other.asked), (self.judged, other.judged))
            if mine and theirs
            for what, here, there in _paired(dict(mine), dict(theirs))
            if here != there
        )

    def value(self, what: str) -> str | None:
        """One fact by its name; None if it isn't known."""
        return dict((*self.asked, *self.judged)).get(what)

    @property
    def sampling(self) -> str:
        """Sampling settings for people, e.g. ``temperature 0.6, top_p 0.9``."""
        return _listed(self.asked, _SAMPLING)


def setting_of(entry: Entry) -> Setting:
    """How one run was asked and judged on one task."""
    judge = entry.task_run.judge
    return Setting(
        asked=asked_facts(entry.task_run, entry.samples),
        judged=_facts(_judged(judge) if judge else {"judge": None} if entry.marks.judged else {}),
        yardstick=None if judge is None else judge.yardstick,
    )


def asked_facts(run: TaskRun, samples: int) -> Facts:
    """How a model was asked: version of the task, reply form and prompts, samples a question, sampling.

    Args:
        run: The task's samples.
        samples: The most samples that a question has.
    """
    sampling = dict(run.sampling or {})
    if sampling.get("do_sample") is True and "temperature" in sampling:
        del sampling["do_sample"]
    return _facts(
        {
            "task version": run.version,
            "reply form": run.reply_form,
            "prompts": run.prompt_fingerprint,
            "samples a question": samples,
            **{key: sampling[key] for key in _SAMPLING if key in sampling},
        }
    )


def _judged(judge: JudgeInfo) -> dict[str, object]:
    return {
        "judge": judge.name,
        "rubric": f"{judge.asked} ({judge.rubric_fingerprint[:8]})",
        **{f"judge's {key}": value for key, value in judge.sampling.items()},
    }


def _facts(values: Mapping[str, object]) -> Facts:
    return tuple((name, None if value is None else str(value)) for name, value in values.items())


def _paired(
    here: Mapping[str, str | None], there: Mapping[str, str | None]
) -> Iterator[tuple[str, str | None, str | None]]:
    for what in dict.fromkeys((*here, *there)):
        yield what, here.get(what), there.get(what)


def _listed(facts: Facts, names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts if name in names and value is not None)
