"""The task class inside the real harness, with a tiny model that mostly answers in the right form."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from judges import load_rubric
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.stats.metrics import summarise
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.running_lm_eval import Outcome, environment, lm_eval
from tests.lm_eval_tasks.split_model import evaluate

RUBRIC = load_rubric()
GOOD = "\n".join(f"{criterion.name}: GOOD" for criterion in RUBRIC.criteria)
POOR = GOOD.replace("GOOD", "NEEDS IMPROVEMENT")
SCRIPT = {
    "replies": [
        {"match": "best conclusion", "reply": GOOD},
        {"match": "checked", "reply": POOR},
        {"reply": "I can't say."},
    ]
}
SHORT = ("--gen_kwargs", "max_gen_toks=40")
TASKS = ("aqua_rat_explain", "arc_challenge_explain", "logiqa_explain", "openbookqa_explain")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the run folders and the scripted judge's replies."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "replies.yaml").write_text(json.dumps(SCRIPT))
    return folder


@pytest.fixture(scope="module")
def group_run(folder: Path, talking_model: Path, original_questions: Path) -> Outcome:
    """All four tasks, sampled and judged."""
    metadata = {
        "judge": "scripted:replies.yaml",
        "data_dir": str(original_questions),
        "repeats": 3,
    }
    return lm_eval(
        folder / "group", "hf", f"pretrained={talking_model}", "self_explanation", metadata,
        "--apply_chat_template", *SHORT, as_installed=True,
    )  # fmt: skip


def logged(rows: list[dict[str, Any]]) -> list[ScoredQuestion]:
    """The samples log of a task, read back."""
    found = []
    for row in sorted(rows, key=lambda row: row["doc_id"]):
        (responses,) = row["filtered_resps"]
        parsed = tuple(ScoredResponse.from_json(json.loads(text)) for text in responses)
        found.append(ScoredQuestion(Question.from_json(row["doc"]), parsed))
    return found


@pytest.mark.parametrize("task", TASKS)
def test_the_log_keeps_every_reply_parsed_and_judged(
    group_run: Outcome, task: str, original_questions: Path
) -> None:
    questions = logged(group_run.samples[task])
    assert [scored.question for scored in questions] == load_task(task).load_questions(
        "test", original_questions
    )
    for scored, row in zip(
        questions, sorted(group_run.samples[task], key=lambda row: row["doc_id"]), strict=True
    ):
        assert [sample.response.text for sample in scored.responses] == row["resps"][0]
        assert len(scored.responses) == 3
        for sample in scored.responses:
            explained = sample.response.explanation is not None
            assert explained == (sample.response.explanation_problem is None)
            assert (sample.assessment is not None) == explained
            assert (sample.score is not None) == (sample.verdicts is not None)
            if explained and "best conclusion" in str(sample.response.explanation):
                assert sample.score == 20
    assert any(sample.score is not None for scored in questions for sample in scored.responses)


@pytest.mark.parametrize("task", TASKS)
def test_results_are_the_metrics_of_what_is_logged(group_run: Outcome, task: str) -> None:
    expected = summarise(logged(group_run.samples[task]), RUBRIC)
    assert group_run.metrics(task) == set(expected)
    for name, summary in expected.items():
        assert math.isclose(group_run.value(task, name), summary.value)
        stderr = group_run.results["results"][task][f"{name}_stderr,none"]
        assert stderr == (pytest.approx(summary.stderr) if summary.stderr is not None else "N/A")
    assert "win" not in expected


def test_the_group_is_the_plain_mean_of_its_tasks(group_run: Outcome) -> None:
    mean = statistics.fmean(group_run.value(task, "acc") for task in TASKS)
    assert group_run.value("self_explanation", "acc") == pytest.approx(mean)
    assert "acc_spread" not in group_run.metrics("self_explanation")


def test_judge_prompts_and_counts_stand_beside_the_results(group_run: Outcome) -> None:
    for task in TASKS:
        config = group_run.results["configs"][task]
        metadata = config["metadata"]
        assert metadata["prompt_fingerprint"] == load_task(task).fingerprint
        assert metadata["judge_info"]["backend"] == "scripted"
        assert metadata["judge_info"]["rubric_fingerprint"] == RUBRIC.fingerprint
        assert metadata["split"] == "test"
        assert config["repeats"] == 3
        assert config["generation_kwargs"]["until"] == []
        samples = [sample for scored in logged(group_run.samples[task]) for sample in scored.responses]
        assert metadata["counts"]["samples"] == len(samples)
        judged = sum(sample.score is not None for sample in samples)
        assert metadata["counts"]["judged"] == judged


def test_a_judge_that_fails_costs_no_reply(
    folder: Path, talking_model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "down.yaml").write_text(json.dumps({"replies": [{"down": "the endpoint stopped"}]}))
    judge = {"judge": f"scripted:{folder / 'down.yaml'}", "repeats": 3}
    found = evaluate(str(talking_model), ["demo_explain"], judge, {"max_gen_toks": 40}, limit=2)
    assert found is not None
    outcome = Outcome(found, found["samples"], caplog.text)
    error = "scripted:down.yaml: the endpoint stopped"
    assert f"demo_explain: judging broke off: {error}" in outcome.messages
    assert "acc" in outcome.metrics("demo_explain")
    assert "judged" not in outcome.metrics("demo_explain")
    assert outcome.results["configs"]["demo_explain"]["metadata"]["judging_error"] == error
    scored = logged(outcome.samples["demo_explain"])
    assert [len(question.responses) for question in scored] == [3, 3]


def test_the_prompt_is_the_one_that_training_renders(group_run: Outcome, talking_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(talking_model)
    for scored, row in zip(
        logged(group_run.samples["logiqa_explain"]), group_run.samples["logiqa_explain"], strict=True
    ):
        turns = load_task("logiqa_explain").explain_conversation(scored.question)
        messages = [{"role": turn.role, "content": turn.content} for turn in turns]
        prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert row["arguments"]["gen_args_0"]["arg_0"] == prompt


def test_two_processes_give_the_numbers_of_one(
    group_run: Outcome, folder: Path, talking_model: Path, original_questions: Path
) -> None:
    tasks = ["arc_challenge_explain", "logiqa_explain"]
    job = {
        "model": str(talking_model),
        "tasks": tasks,
        "metadata": {
            "judge": f"scripted:{folder / 'replies.yaml'}",
            "baseline": str(folder / "group"),
            "data_dir": str(original_questions),
            "repeats": 2,
        },
        "gen_kwargs": {"do_sample": False, "temperature": 0, "max_gen_toks": 40},
        "limit": 3,
    }
    (folder / "job.json").write_text(json.dumps(job))
    launch = [
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--num_machines", "1", "--main_process_port", "0",
        "--mixed_precision", "no", "--dynamo_backend", "no",
        "-m", "tests.lm_eval_tasks.split_model", str(folder / "job.json"),
    ]  # fmt: skip
    variables = {**environment(), "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(launch, env=variables, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    two = json.loads((folder / "job.out.json").read_text())
    one = evaluate(**job)
    assert one is not None
    assert (one["processes"], two["processes"]) == (1, 2)
    for task in tasks:
        # The documents come in another order, so that sums differ in the last bit.
        assert two["results"][task] == pytest.approx(one["results"][task])
        assert {"win,none", "tie,none", "loss,none"} <= two["results"][task].keys()
        shares = [two["results"][task][f"{name},none"] for name in ("win", "tie", "loss")]
        assert sum(shares) == pytest.approx(1.0)
        assert logged(two["samples"][task]) == logged(one["samples"][task])
        assert all(len(row["resps"][0]) == 2 for row in two["samples"][task])
    assert "2 equal samples a question" in done.stderr
