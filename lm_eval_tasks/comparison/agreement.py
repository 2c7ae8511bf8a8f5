"""How much judges agree: several judges, or repeats of one, on the same samples log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from judges.errors import MissingExtraError
from judges.judge import JudgeInfo
from lm_eval_tasks.records import ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.runs.judgement_files import judgement_paths
from lm_eval_tasks.runs.sample_logs import read_judgement_file
from lm_eval_tasks.stats.intervals import Floats

TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of judges on one aspect.

    Attributes:
        aspect: Key of a criterion, or ``total`` for the score.
        alpha: Krippendorff's alpha (ordinal for criteria, interval for the total): 1 is full agreement, 0 is
            what chance gives. None if the verdicts never vary.
        kappa: Mean over pairs of judges of Cohen's kappa with quadratic weights; None likewise.
        samples: Samples that at least two judges gave a verdict on.
    """

    aspect: str
    alpha: float | None
    kappa: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class JudgeAgreement:
    """Agreement of all judgements of a log that were made with the same rubric.

    Attributes:
        judgements: Their names.
        aspects: The total first, then the criteria.
    """

    judgements: tuple[str, ...]
    aspects: tuple[Agreement, ...]


def judge_agreement(run: TaskRun) -> JudgeAgreement | None:
    """Compares the judgements of a samples log that share the rubric of the one in use.

    Returns:
        None if there is only one.

    Raises:
        MissingExtraError: If the libraries of the extra ``report`` aren't installed.
        DataError: If a file can't be read.
    """
    if run.summary is None or len(run.judgements) < 2:
        return None
    info = run.summary.judge
    files = {}
    for name in run.judgements:
        other = load_run(run.samples_file.parent, judge=name, date=run.date).task(run.task)
        if other.judge is not None and other.judge.rubric_fingerprint == info.rubric_fingerprint:
            files[name] = judgement_paths(run.samples_file.parent, run.task, name)[0]
    if len(files) < 2:
        return None
    return agreement({name: read_judgement_file(path) for name, path in files.items()}, info)


def agreement(judgements: Mapping[str, Iterable[ScoredQuestion]], judge: JudgeInfo) -> JudgeAgreement:
    """Compares judgements of the same samples.

    Args:
        judgements: Name -> the scored questions of one judge.
        judge: Any of the judges, for criteria and scale.

    Raises:
        MissingExtraError: If the libraries of the extra ``report`` aren't installed.
    """
    levels = {verdict: float(place) for place, verdict in enumerate(reversed(list(judge.scale)))}
    tables = [
        {
            (scored.question.id, number): _marks(sample, judge, levels)
            for scored in questions
            for number, sample in enumerate(scored.responses)
            if sample.score is not None
        }
        for questions in judgements.values()
    ]
    samples = sorted(set().union(*tables))
    aspects = (TOTAL, *judge.criteria)
    values = np.full((len(aspects), len(tables), len(samples)), np.nan)
    for j, table in enumerate(tables):
        for k, sample in enumerate(samples):
            if sample in table:
                values[:, j, k] = table[sample]
    return JudgeAgreement(
        tuple(judgements),
        tuple(
            Agreement(
                aspect,
                _alpha(values[i], "interval" if aspect == TOTAL else "ordinal"),
                _kappa(values[i]),
                int((np.isfinite(values[i]).sum(axis=0) > 1).sum()),
            )
            for i, aspect in enumerate(aspects)
        ),
    )


def _marks(sample: ScoredResponse, judge: JudgeInfo, levels: Mapping[str, float]) -> Sequence[float]:
    verdicts = sample.verdicts or {}
    return [float(sample.score or 0), *(levels[verdicts[criterion]] for criterion in judge.criteria)]


def _alpha(values: Floats, level: str) -> float | None:
    try:
        import krippendorff
    except ImportError:
        raise MissingExtraError("krippendorff", "report") from None
    shared = values[:, np.isfinite(values).sum(axis=0) > 1]
    if len(np.unique(shared[np.isfinite(shared)])) < 2:
        return None
    return float(krippendorff.alpha(reliability_data=shared, level_of_measurement=level))


def _kappa(values: Floats) -> float | None:
    try:
        from sklearn.metrics import cohen_kappa_score
    except ImportError:
        raise MissingExtraError("scikit-learn", "report") from None
    found = []
    for first, second in combinations(values, 2):
        both = np.isfinite(first) & np.isfinite(second)
        pair = first[both].astype(int), second[both].astype(int)
        labels = np.arange(int(max(map(np.max, pair))) + 1) if both.any() else np.zeros(0)
        if len(np.unique(np.concatenate(pair))) > 1:
            found.append(float(cohen_kappa_score(*pair, weights="quadratic", labels=labels)))
    return float(np.mean(found)) if found else None
