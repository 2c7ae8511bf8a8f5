"""What is drawn for raters: strata, questions, nothing that tells whose it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from judges import load_judge
from judges.errors import ConfigError, DataError
from lm_eval_tasks.people.statements import Shown, draw, statement_id
from lm_eval_tasks.runs.discovery import Run, load_run
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run
from tests.lm_eval_tasks.run_folders import level, question, write_run

SPECS = {TASK: load_task(TASK)}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """Two runs on the same questions, judged by the ground truth."""
    folder = tmp_path_factory.mktemp("runs")
    found = []
    with load_judge("pocket-oracle:truth", cache=None) as judge:
        for explainer in (Explainer("m1", slips=0.2), Explainer("base", slips=0.4)):
            path = write_pocket_run(folder, explainer)
            score_task(load_run(path).task(TASK), SPECS[TASK], judge, progress=False)
            found.append(load_run(path))
    return found[0], found[1]


def stratum(run: Run, shown: Shown) -> tuple[bool, bool]:
    """Whether a statement is right, and whether it has the best score."""
    for scored in run.task(TASK).read():
        text = SPECS[TASK].shown_question(scored.question)
        for sample in scored.responses:
            if statement_id(text, sample.response.explanation or "") == shown.id:
                return sample.correct, sample.score == 25
    raise AssertionError(f"{shown.id} isn't in the run")


def test_of_one_run_every_stratum_is_drawn_alike(judged: tuple[Run, Run]) -> None:
    run = judged[0]
    drawn = draw([run], SPECS, 24)
    assert len({shown.id for shown in drawn}) == 24
    counts = Counter(stratum(run, shown)[0] for shown in drawn)
    assert min(counts[True], counts[False]) >= 8  # a fifth of all are wrong
    assert len({shown.question_id for shown in drawn}) >= 20


def test_of_several_runs_the_same_questions_are_drawn(judged: tuple[Run, Run]) -> None:
    drawn = draw(judged, SPECS, 24)
    of_source: dict[str, set[str]] = {}
    for shown in drawn:
        of_source.setdefault(shown.source, set()).add(shown.question_id)
    first, second = of_source.values()
    assert len(first | second) == 12


def test_every_question_is_as_likely_as_another(judged: tuple[Run, Run]) -> None:
    drawn: Counter[str] = Counter()
    for seed in range(60):
        drawn.update({shown.question_id for shown in draw(judged, SPECS, 20, seed=seed)})
    assert len(drawn) == 30
    # 60 draws of 10 of 30: 20 each, with a standard deviation of 3.7.
    assert all(6 < count < 34 for count in drawn.values()), drawn


def test_a_draw_depends_on_its_seed_alone(judged: tuple[Run, Run]) -> None:
    assert draw(judged, SPECS, 20, seed=3) == draw(judged, SPECS, 20, seed=3)
    assert draw(judged, SPECS, 20, seed=3) != draw(judged, SPECS, 20, seed=4)


def test_what_is_shown_is_what_a_judge_sees_and_nothing_else(judged: tuple[Run, Run]) -> None:
    for shown in draw(judged, SPECS, 20):
        assert shown.question.count("\n")  # choices stand below the question
        assert "<choice>" not in shown.explanation
        assert not {"m1", "base", "made"} & set(shown.source.split("/"))


def runs_of(folder: Path, *tasks: str) -> Sequence[Run]:
    rows = [question_of_one(number) for number in range(3)]
    return [load_run(write_run(folder / task, {task: rows}, judged=False)) for task in tasks]


def question_of_one(number: int):  # type: ignore[no-untyped-def]
    from lm_eval_tasks.records import ScoredQuestion

    return ScoredQuestion(question(number), (level(0),))


def test_runs_without_a_common_task_and_too_few_statements_are_refused(
    tmp_path: Path, judged: tuple[Run, Run]
) -> None:
    one, other = runs_of(tmp_path, "aqua_rat_explain", "logiqa_explain")
    specs = {name: load_task(name) for name in ("aqua_rat_explain", "logiqa_explain")}
    with pytest.raises(DataError, match="no task in common"):
        draw([one, other], specs, 10)
    with pytest.raises(ConfigError, match="takes at least 2"):
        draw(judged, SPECS, 1)
