"""Rewards in TRL's own GRPOTrainer, on the pocket model, whose explanations its ground truth can judge."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from anchor_train.rewards import explanation_reward, question_set
from anchor_train.rewards.questions import COLUMN, question_of
from judges.config import load_judge
from judges.errors import BudgetSpentError, ConfigError
from judges.spending.budget import Budget
from lm_eval_tasks.tasks.load import load_task
from tests.anchor_train.few_questions import NAME as TASK
from tests.anchor_train.few_questions import POCKET, small_task
from tests.docs.blocks import block_with

GOOD = "<explanation>{}</explanation>\n<choice>{}</choice>"
VERDICTS = ("Factual accuracy", "Logical coherence", "Clarity", "Relevance", "Depth of argumentation")


def verdict(name: str) -> str:
    return "\n".join(f"{criterion}: {name}" for criterion in VERDICTS)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_task(tmp_path_factory.mktemp("task"))


@pytest.fixture(scope="module")
def questions(task: Path) -> Any:
    return question_set(task, limit=2)


@pytest.fixture
def judge_file(tmp_path: Path) -> Path:
    """A judge that likes reasons, and can't be read on what shouts."""
    replies = [
        {"match": "BECAUSE", "reply": "I won't say."},
        {"match": "because", "reply": verdict("EXCELLENT")},
        {"reply": verdict("NEEDS IMPROVEMENT")},
    ]
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"replies": replies}))
    return path


def rewards(functions: list[Any], completions: list[Any], rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """What TRL would have of each function, by the name that it logs."""
    found = {}
    for function in functions:
        given = function(completions=completions, **{COLUMN: [row[COLUMN] for row in rows]})
        found[function.__name__] = asyncio.run(given) if asyncio.iscoroutine(given) else given
    return found


def test_each_reward_says_one_thing(judge_file: Path, questions: Any) -> None:
    row, other = questions
    gold = json.loads(row[COLUMN])["gold"]
    wrong = next(label for label in json.loads(row[COLUMN])["choices"]["label"] if label != gold)
    completions = [
        GOOD.format("because of it", gold),
        GOOD.format("so it is", wrong),
        GOOD.format("BECAUSE!", gold),
        "no tags",
        [{"role": "assistant", "content": GOOD.format("BECAUSE!", wrong)}],
    ]
    with load_judge(f"scripted:{judge_file}", cache=None) as judge:
        found = rewards(explanation_reward(judge, TASK), completions, [row] * 4 + [other])
    needs = found["quality"][1]
    assert found["correctness"][:4] == [1.0, 0.0, 1.0, 0.0]
    assert found["form"] == [1.0, 1.0, 1.0, 0.0, 1.0]
    assert 0 < needs < 1
    assert found["quality"][:2] == [1.0, needs]
    assert found["quality"][2] == pytest.approx((1.0 + needs + 0.0) / 3), "unjudged is neither good nor bad"
    assert found["quality"][3] == 0.0
    assert found["quality"][4] is None, "nothing is known of this question's replies"


def test_a_budget_ends_it_and_the_cache_pays_once(judge_file: Path, questions: Any, tmp_path: Path) -> None:
    rows = list(questions)
    completions = [GOOD.format("because of it", "A"), GOOD.format("so it is", "B")]
    cache = tmp_path / "cache.sqlite"
    with load_judge(f"scripted:{judge_file}", cache=cache, budget=Budget(calls=2)) as judge:
        (quality,) = explanation_reward(judge, TASK, parts=("quality",))
        first = rewards([quality], completions, rows)
        assert rewards([quality], completions, rows) == first
        assert judge.accounts.asked == 2
        with pytest.raises(BudgetSpentError):
            rewards([quality], [GOOD.format("something new", "A")] * 2, rows)


def test_mistakes_are_named() -> None:
    with pytest.raises(ConfigError, match="no part 'qualty': did you mean 'quality'"):
        explanation_reward("pocket-oracle:ground-truth", TASK, parts=("qualty",))  # type: ignore[arg-type]
    (function,) = explanation_reward("pocket-oracle:ground-truth", TASK, parts=("form",))
    with pytest.raises(ConfigError, match="no column 'anchor_question'"):
        function(completions=["x"])
    with pytest.raises(ConfigError, match="held to no form"):
        question_set(TASK, reply_form="shown+held")


def test_the_prompt_is_what_the_task_asks(questions: Any) -> None:
    spec = load_task(TASK)
    for row in questions:
        question = question_of(row[COLUMN])
        turns = [{"role": turn.role, "content": turn.content} for turn in spec.asked_conversation(question)]
        assert (row["prompt"], row["question_id"]) == (turns, question.id)


def test_the_script_of_the_docs_for_two_steps(
    tmp_path: Path, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The block of docs/training.md as it stands, with a small task and settings that make it short."""
    import trl
    from transformers import AutoModelForCausalLM

    few = {
        "num_generations": 4,
        "per_device_train_batch_size": 4,
        "max_completion_length": 120,
        "max_steps": 2,
        "learning_rate": 1e-4,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.setattr(trl, "GRPOConfig", partial(trl.GRPOConfig, **few))
    (tmp_path / "my-model").symlink_to(POCKET)
    (tmp_path / "judge.yaml").write_text("backend: pocket-oracle\n")
    shown = block_with("docs/training.md", "GRPOTrainer(").text
    names: dict[str, Any] = {}
    exec(shown.replace("aqua_rat_explain", str(task)), names)
    trainer = names["trainer"]
    assert list(trainer.args.reward_weights) == [1.0, 0.5, 2.0]
    logged = [row for row in trainer.state.log_history if "reward" in row]
    assert [row["step"] for row in logged] == [1, 2]
    for row in logged:
        means = [row[f"rewards/{name}/mean"] for name in ("correctness", "form", "quality")]
        assert row["reward"] == pytest.approx(means[0] + 0.5 * means[1] + 2 * means[2], abs=1e-5)
        assert row["quality/unjudged"] == 0
        assert means[1] > 0.5, "the pocket model keeps the form"
        assert 0 < means[2] <= 1
    before = AutoModelForCausalLM.from_pretrained(POCKET, dtype=trainer.model.dtype).state_dict()
    assert any(not value.equal(before[name]) for name, value in trainer.model.named_parameters())
