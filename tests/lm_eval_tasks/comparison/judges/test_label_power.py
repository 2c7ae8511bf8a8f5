"""What more labels would bring, told before they are made, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lm_eval_tasks.cli import main
from lm_eval_tasks.comparison.judges.correction import LabelVariance
from lm_eval_tasks.comparison.judges.label_power import label_power
from lm_eval_tasks.comparison.power import smallest_margin
from lm_eval_tasks.stats.estimation.corrected import corrected, share_left
from lm_eval_tasks.stats.estimation.intervals import MARGIN
from tests.lm_eval_tasks.comparison.judges.test_correction import rate, runs

__all__ = ["runs"]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["power", *map(str, arguments)])


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_the_share_of_the_variance_that_is_left_is_what_corrections_have(correlation: float) -> None:
    random = np.random.default_rng(41)
    found = []
    for _ in range(600):
        both = random.multivariate_normal(
            [0, 0], [[0.09, correlation * 0.09], [correlation * 0.09, 0.09]], 300
        )
        y, f = both.clip(-1, 1).T
        found.append(corrected(y[:60], f[:60], f[60:], MARGIN).theta.value)
    expected = 0.09 / 60 * share_left(correlation, 60, 300)
    assert np.var(found) == pytest.approx(expected, rel=0.2)


def test_a_judge_that_knows_nothing_brings_nothing_and_one_that_knows_all_stands_for_all_labels() -> None:
    def rows(correlation: float) -> list[tuple[float | None, float | None]]:
        told = label_power(300, (60, 120, 60), LabelVariance(0.4, correlation, 0.6, 0), 0.8).rows
        return [(row.alone, row.corrected) for row in told]

    assert [alone == with_judge for alone, with_judge in rows(0.0)] == [True, True]
    everything = smallest_margin(0.4, 300, tie=0.6)
    for alone, with_judge in rows(1.0):
        assert with_judge == pytest.approx(everything, rel=0.02)
        assert alone is not None
        assert with_judge is not None
        assert with_judge < alone
    first, second = rows(0.6)
    assert first[1] is not None
    assert second[1] is not None
    assert second[1] < first[1]


def test_it_is_measured_on_runs_that_people_have_rated_in_part(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    rate(runs, 80, tmp_path / "ratings.jsonl")
    given = ("--questions", 300, "--labels", 120, "--labels", 40, "--from", runs[0], "--from", runs[1])
    done = call(*given, "--correct-with", "human", "--judge", "truth", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["measured_on"] == 40
    assert 0.2 < found["correlation"] < 1
    fewer, more = found["labels"]
    assert (fewer["labels"], more["labels"]) == (40, 120)
    assert fewer["smallest_margin_corrected"] < fewer["smallest_margin_by_labels_alone"]
    assert more["smallest_margin_corrected"] < fewer["smallest_margin_corrected"]
    assert (
        "measured on 40 labelled questions"
        in call(*given, "--correct-with", "human", "--judge", "truth").stdout
    )


def test_what_does_not_go_together_is_said() -> None:
    for given, said in (
        (("--labels", 20), "takes 30 labelled questions at least"),
        (("--labels", 200), "of 100 no more can be labelled"),
        (("--correlation", 0.5), "go with --labels"),
        (("--labels", 40, "--correct-with", "human"), "--from and --correct-with go together"),
    ):
        refused = call("--questions", 100, *given)
        assert refused.exit_code in (1, 2)
        assert said in refused.output
