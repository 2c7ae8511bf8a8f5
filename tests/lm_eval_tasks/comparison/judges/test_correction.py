"""A noisy judge corrected with ratings of some questions: nearer to the truth, and refused with too few."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judges import Judge, load_judge
from lm_eval_tasks.cli import main
from lm_eval_tasks.people.statements import draw
from lm_eval_tasks.pocket.grading import find_story, grade
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.audit.known_judges import RUBRIC, SCALE, noisy
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run

SPEC = load_task(TASK)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def rate(runs: tuple[Path, ...], statements: int, file: Path) -> None:
    """Somebody who knows the truth rates statements that were drawn for people, and they are read in."""
    rows = []
    for shown in draw([load_run(path, judge="truth") for path in runs], {TASK: SPEC}, statements):
        story = find_story(shown.question)
        assert story is not None
        levels = grade(story, shown.explanation).levels()
        rows.append(
            {
                "set": f"page of {' and '.join(path.name for path in runs)}",
                "task": TASK,
                "question": shown.question_id,
                "statement": shown.id,
                "source": shown.source,
                "rubric": RUBRIC.fingerprint,
                "annotator": "Ann",
                "verdicts": {key: SCALE[place] for key, place in levels.items()},
                "repeat": False,
                "seconds": 12.5,
                "at": "2026-01-01T10:00:00.000Z",
            }
        )
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for path in runs:
        assert call("score", path, "--ratings", file).exit_code == 0


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs, judged by the truth and by a judge that gives 40% of its verdicts by chance."""
    folder = tmp_path_factory.mktemp("runs")
    paths = []
    for explainer in (Explainer("m1", slips=0.15, bare=0), Explainer("base", slips=0.45, bare=1)):
        path = write_pocket_run(folder, explainer, questions=80, samples=2)
        with load_judge("pocket-oracle:truth", cache=None) as judge:
            score_task(load_run(path).task(TASK), SPEC, judge, name="truth", progress=False)
        with Judge(RUBRIC, noisy(0.4)) as judge:
            score_task(load_run(path).task(TASK), SPEC, judge, name="cheap", progress=False)
        paths.append(path)
    return paths[0], paths[1]


def test_too_few_labelled_questions_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    rate(runs, 40, tmp_path / "ratings.jsonl")
    refused = call("compare", *runs, "--judge", "cheap", "--correct-with", "human")
    assert refused.exit_code == 1
    assert "20 questions, and a correction takes 30" in refused.output


def test_a_noisy_judge_is_corrected(runs: tuple[Path, Path], tmp_path: Path) -> None:
    rate(runs, 100, tmp_path / "ratings.jsonl")
    truth = json.loads(call("compare", *runs, "--judge", "truth", "--json").stdout)["pairs"][0]
    done = call("compare", *runs, "--judge", "cheap", "--correct-with", "human", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    (pair,) = found["corrected"]["pairs"]
    one = pair["tasks"][TASK]
    margin = truth["overall"]["margin"]["value"] if "overall" in truth else truth["margin"]["value"]
    assert (one["labelled"], one["others"]) == (50, 30)
    assert one["corrected"]["low"] <= margin <= one["corrected"]["high"]
    assert one["judge"]["value"] < margin - 0.1  # noise makes differences small
    assert abs(one["corrected"]["value"] - margin) < abs(one["judge"]["value"] - margin)
    told = call("compare", *runs, "--judge", "cheap", "--correct-with", "human").stdout
    assert "m1 against base, corrected with human (PPI++)" in told


def test_ratings_of_pages_of_one_run_each_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    """They show rare kinds of explanations more often: their mean is not that of all questions."""
    for path in runs:
        rate((path,), 80, tmp_path / f"{path.name}.jsonl")
    refused = call("compare", *runs, "--judge", "cheap", "--correct-with", "human")
    assert refused.exit_code == 1
    assert "rated the runs on different pages (m1: page of m1; base: page of base)" in refused.output
    rate(runs, 100, tmp_path / "ratings.jsonl")
    assert call("compare", *runs, "--judge", "cheap", "--correct-with", "human").exit_code == 0
