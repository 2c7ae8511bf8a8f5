"""Which runs may stand in one table: those that asked the same, in the same way, of the same judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lm_eval_tasks.runs.discovery import TaskRun

_SAMPLING = ("do_sample", "temperature", "top_p", "max_gen_toks")


@dataclass(frozen=True, slots=True)
class Setting:
    """What two runs of a task must agree in to be compared.

    Attributes:
        version: Version of the task.
        prompts: Hash of its prompts.
        judge: The judge with its reply settings; None if nobody judged.
        rubric: Name and version of the rubric, and its hash.
        repeats: Samples a question.
        sampling: How replies were drawn.
    """

    version: str | None
    prompts: str | None
    judge: str | None
    rubric: str | None
    repeats: int | None
    sampling: str | None

    def differences(self, other: Setting) -> tuple[str, ...]:
        """In words, what is different here from ``other``."""
        return tuple(
            f"{label} {_said(mine)} instead of {_said(theirs)}"
            for label, mine, theirs in (
                ("task version", self.version, other.version),
                ("prompts", self.prompts, other.prompts),
                ("judge", self.judge, other.judge),
                ("rubric", self.rubric, other.rubric),
                ("samples a question", self.repeats, other.repeats),
                ("sampling", self.sampling, other.sampling),
            )
            if mine != theirs
        )


def setting_of(run: TaskRun, repeats: int | None) -> Setting:
    """The setting of one task of a run.

    Args:
        run: The run.
        repeats: Samples a question that the log really holds.
    """
    judge = run.judge
    return Setting(
        version=run.version,
        prompts=run.prompt_fingerprint,
        judge=None if judge is None else f"{judge.name}{_details(judge.sampling)}",
        rubric=None if judge is None else f"{judge.asked} ({judge.rubric_fingerprint[:8]})",
        repeats=repeats,
        sampling=None if run.sampling is None else _sampling(run.sampling),
    )


def main_setting(settings: Mapping[str, Setting], baseline: str | None) -> Setting:
    """The setting that the others are measured by: the baseline's, or else the most common one.

    Args:
        settings: Run name -> setting; at least one.
        baseline: Name of the baseline run.
    """
    if baseline is not None and baseline in settings:
        return settings[baseline]
    return most_common(settings.values())


def most_common(settings: Iterable[Setting]) -> Setting:
    """The most frequent setting, the first of those that are."""
    return Counter(settings).most_common(1)[0][0]


def _sampling(values: Mapping[str, object]) -> str:
    shown = {key: values[key] for key in _SAMPLING if key in values}
    if shown.get("do_sample") is True and "temperature" in shown:
        del shown["do_sample"]
    return _listed(shown)


def _details(values: Mapping[str, object]) -> str:
    known = _listed(values)
    return f" ({known})" if known else ""


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if value is not None)


def _said(value: object) -> str:
    return "unknown" if value is None else str(value)
