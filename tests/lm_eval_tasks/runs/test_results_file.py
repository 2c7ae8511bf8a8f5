"""What a judge found afterwards stands in the results file as if it had judged inside the harness."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judges.config import load_judge
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.judgement_files import JudgementSummary
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.runs.results_file import add_judged
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.run_folders import RUBRIC, level, question, reply, write_run
from tests.lm_eval_tasks.running_lm_eval import Outcome

TASK = "demo_explain"


def judged(folder: Path, *verdicts: list[str]) -> JudgementSummary:
    """Scores a run of four replies by a judge that gives these verdicts, one after the other."""
    rows = [
        ScoredQuestion(question(n), tuple(level(0, words=3 + 2 * n + k, choice="AB"[k]) for k in range(2)))
        for n in range(2)
    ]
    write_run(folder / "run", {TASK: rows}, judged=False)
    names = [criterion.name for criterion in RUBRIC.criteria]
    texts = ["\n".join(map(": ".join, zip(names, given, strict=True))) for given in verdicts]
    (folder / "replies.yaml").write_text(json.dumps({"replies": [{"reply": texts}]}))
    with load_judge(f"scripted:{folder / 'replies.yaml'}", cache=None) as judge:
        run = load_run(folder / "run").task(TASK)
        summary = score_task(run, load_task(TASK), judge, progress=False)
        add_judged(run, summary)
    return summary


def test_the_file_has_the_metrics_under_the_names_that_the_harness_gives_them(tmp_path: Path) -> None:
    good = ["GOOD"] * 5
    summary = judged(tmp_path, good, good, good, good)
    (path,) = (tmp_path / "run").rglob("results_*.json")
    results = json.loads(path.read_text())
    found = Outcome(results, {}, "")
    assert found.metrics(TASK) == set(summary.metrics)
    assert found.value(TASK, "explanation_score") == pytest.approx(4.0)
    assert found.value(TASK, "depth") == pytest.approx(0.8)
    assert results["results"][TASK]["acc_spread_stderr,none"] == "N/A"
    assert results["higher_is_better"][TASK]["explanation_score"] is True
    metadata = results["configs"][TASK]["metadata"]
    assert metadata["counts"] == {"judged": 4, "unjudged": {}}
    assert metadata["prompt_fingerprint"] == "0123"
    again = load_run(tmp_path / "run").task(TASK)
    assert again.summary is not None
    assert again.summary.metrics == summary.metrics


def test_a_judge_that_tells_nothing_apart_is_noted(tmp_path: Path) -> None:
    mixed = ["EXCELLENT", "GOOD", "GOOD", "SATISFACTORY", "GOOD"]
    summary = judged(tmp_path, mixed, ["GOOD"] * 5, ["EXCELLENT", "GOOD", "GOOD", "GOOD", "GOOD"], mixed)
    assert summary.notes == (
        "1 of 4 judgements give every criterion the same verdict",
        "Logical Coherence never varies: all 4 judgements say GOOD",
        "Clarity never varies: all 4 judgements say GOOD",
        "Depth of Argumentation never varies: all 4 judgements say GOOD",
    )


def test_a_judge_that_says_the_same_of_everything_is_noted_in_one_line(tmp_path: Path) -> None:
    same = ["EXCELLENT", "GOOD", "GOOD", "SATISFACTORY", "GOOD"]
    assert judged(tmp_path, same, same, same, same).notes == (
        "the judge tells no explanation from another: all 4 judgements say Factual Accuracy EXCELLENT, "
        "Logical Coherence GOOD, Clarity GOOD, Relevance SATISFACTORY, Depth of Argumentation GOOD",
    )


def test_a_run_without_a_results_file_is_left_as_it_is(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {TASK: [ScoredQuestion(question(1), (reply(["GOOD"] * 5),))]}, judged=False)
    (path,) = (tmp_path / "run").rglob("results_*.json")
    path.unlink()
    run = load_run(tmp_path / "run").task(TASK)
    (tmp_path / "other").mkdir()
    summary = judged(tmp_path / "other", *[["GOOD"] * 5] * 4)
    add_judged(run, summary)
    assert not list((tmp_path / "run").rglob("results_*.json"))
