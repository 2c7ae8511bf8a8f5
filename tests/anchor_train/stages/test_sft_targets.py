"""What fine-tuning learns: ``sft.target`` answer, form or rationale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anchor_train.inspection.preflight import check
from anchor_train.inspection.trial import try_rendering
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.plan import plan
from anchor_train.recipes.config import Recipe
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.train import sft_examples
from judges.errors import ConfigError
from lm_eval_tasks.records import Choice, Question
from lm_eval_tasks.replies.responses import read_response
from lm_eval_tasks.tasks.load import load_task
from tests.anchor_train.scripted_run import make_run

QUESTIONS = [
    Question("q1", "2 + 2?", (Choice("A", "3"), Choice("B", "4")), gold="B"),
    Question("q2", "1 + 2?", (Choice("A", "3"), Choice("B", "4")), gold="A"),
]
SPEC = load_task("aqua_rat_explain")
REASON = {"q1": "Two and two are four."}


def test_answer_is_the_papers():
    found = sft_examples(SPEC, QUESTIONS)
    assert [example.target for example in found] == ["B) 4", "A) 3"]
    assert found[0].prompt == SPEC.answer_conversation(QUESTIONS[0])


def test_form_is_the_choice_within_its_tag():
    found = sft_examples(SPEC, QUESTIONS, "form")
    for example, question in zip(found, QUESTIONS, strict=True):
        assert read_response(question, example.target).choice == question.gold
        assert example.prompt == SPEC.choose_conversation(question)


def test_rationale_is_a_whole_reply_asked_for_as_everywhere_else():
    (example,) = sft_examples(SPEC, QUESTIONS, "rationale", REASON)
    read = read_response(QUESTIONS[0], example.target)
    assert (read.explanation, read.choice) == ("Two and two are four.", "B")
    assert example.prompt == SPEC.explain_conversation(QUESTIONS[0])


AQUA = [
    {
        "question": f"{n} + {n}?",
        "options": [f"A){2 * n}", f"B){2 * n + 1}"],
        "rationale": f"Twice {n} is {2 * n}.",
        "correct": "A",
    }
    for n in range(8)
]


def aqua_run(tmp_path: Path, model: Path, *overrides: str) -> tuple[Path, Recipe]:
    folder = tmp_path / "aqua"
    folder.mkdir()
    for split, rows in (("train", AQUA[:6]), ("validation", AQUA[6:])):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = make_run(tmp_path, model, task="aqua_rat_explain", strategies=["rank"], sft=SFT)
    return run.path, run.recipe([f"data_dir={folder}", *overrides])


SFT = {"lora": {"r": 4}, "max_steps": 1, "optimiser": {"gradient_checkpointing": False}}


@pytest.mark.parametrize("target", ["answer", "form", "rationale"])
def test_each_is_trained_on_and_shown(tmp_path, tiny_model, target):
    path, recipe = aqua_run(tmp_path, tiny_model, f"sft.target={target}")
    try_rendering(recipe)
    run = RunFolder.open(path)
    Pipeline(run, recipe).do({"questions", "sft"})
    rows = [json.loads(line) for line in (run.stage("sft") / "examples.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    begins = {"answer": "A) ", "form": "<choice>", "rationale": "<explanation>"}[target]
    assert all(row["target"].startswith(begins) for row in rows)
    settings = run.manifest().stages["sft"].settings
    assert settings.get("sft.target") == (None if target == "answer" else target)


def test_the_papers_target_leaves_no_trace(tmp_path, tiny_model):
    _, recipe = aqua_run(tmp_path, tiny_model, "sft.target=answer")
    for stage in plan(recipe):
        assert "sft.target" not in stage.settings
        assert "choose prompts" not in stage.externals


def test_a_rationale_is_asked_for_in_the_form_that_a_pilot_chose(tmp_path, tiny_model):
    _, recipe = aqua_run(tmp_path, tiny_model, "sft.target=rationale", "reply_form=auto")
    stages = {stage.key: stage for stage in plan(recipe)}
    assert stages["sft"].needs == {"questions": "questions", "form": "form"}
    keys = list(stages)
    assert keys.index("form") < keys.index("sft")
    other = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"target": "form"})})
    assert next(stage for stage in plan(other) if stage.key == "sft").needs == {"questions": "questions"}


def test_a_task_without_rationales_is_refused_before_anything_runs(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    with pytest.raises(ConfigError, match="task arc_challenge_explain names no field of a rationale"):
        check(run.recipe(["sft.target=rationale"]))
