"""What the task class makes of its YAML and of ``--metadata``, before anything is generated."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

from judges.errors import AnchorError, ConfigError, DataError
from lm_eval_tasks.harness.packages import packages_read_here
from lm_eval_tasks.harness.task import MEAN_OF_KNOWN, ExplainTask
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TASKS
from tests.lm_eval_tasks.running_lm_eval import environment


def task(name: str = "demo_explain", **metadata: Any) -> ExplainTask:
    """A task as the harness loads it."""
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    loaded = manager.load([name])["tasks"][name]
    assert isinstance(loaded, ExplainTask)
    return loaded


def chat(*, system: bool = True) -> Callable[..., str]:
    """A chat template; one without system turns drops them, as the harness does where a template refuses."""

    def render(turns: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        kept = [turn for turn in turns if system or turn["role"] != "system"]
        return "".join(f"[{turn['role']}] {turn['content']}\n" for turn in kept) + "[assistant]"

    return render


def test_the_harness_gets_sampling_and_split_from_the_yaml() -> None:
    config = task().config
    assert (config.repeats, config.test_split, config.num_fewshot) == (16, "test", None)
    assert config.generation_kwargs == {
        "do_sample": True,
        "temperature": 0.6,
        "top_p": 0.9,
        "max_gen_toks": 384,
        "until": [],
    }


def test_options_come_by_metadata(original_questions: Path) -> None:
    found = task(
        "arc_challenge_explain", repeats=4, data_dir=str(original_questions), pretrained="some/model"
    )
    assert found.config.repeats == 4
    assert len(found.eval_docs) == 4
    assert [doc["gold"] for doc in found.eval_docs] == ["B", "3", "B", "B"]


def test_a_task_made_by_a_function_takes_its_options_from_metadata() -> None:
    found = task("pocket_explain", pocket_sizes={"test": 5})
    assert len(found.eval_docs) == 5


@pytest.mark.parametrize(
    ("metadata", "error", "message"),
    [
        ({"repeats": 0}, ConfigError, "--metadata: repeats = 0"),
        ({"data_dir": "nowhere"}, DataError, "data_dir nowhere is neither a folder nor a file"),
        ({"data_dir": str(TASKS)}, DataError, "no file for the test split"),
        ({"split": "tset"}, ConfigError, "did you mean 'test'"),
        ({"judge": "openai"}, ConfigError, "judge 'openai'"),
        ({"judge": "scripted:nowhere.yaml"}, ConfigError, "nowhere.yaml"),
        ({"baseline": "runs/base"}, ConfigError, "comparing needs a judge"),
    ],
)
def test_mistakes_are_found_before_anything_is_generated(
    metadata: dict[str, Any], error: type[AnchorError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        task(**metadata)
    assert "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached_names_the_original_files() -> None:
    with pytest.raises(DataError, match=r"Local files do as well: .*Train\.txt, Eval\.txt and Test\.txt"):
        task("logiqa_explain")


def test_a_misspelt_option_is_pointed_out(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("lm_eval").propagate = True
    task(basline="runs/base")
    assert "'basline' is no option of these tasks; did you mean 'baseline'?" in caplog.text


def test_prompts_with_and_without_a_chat_template() -> None:
    found = task()
    question = load_task("demo_explain").load_questions("test")[0]
    doc = found.eval_docs[0]
    system, user = (turn.content for turn in load_task("demo_explain").explain_conversation(question))
    assert found.fewshot_context(doc, 0) == f"{system}\n\n{user}\n\n"
    rendered = found.fewshot_context(doc, 0, apply_chat_template=True, chat_template=chat())
    assert rendered == f"[system] {system}\n[user] {user}\n[assistant]"
    extended = found.fewshot_context(doc, 0, system_instruction="Be kind.")
    assert extended.startswith(f"Be kind.\n\n{system}\n\n")


def test_a_template_without_system_turns_loses_no_instruction() -> None:
    found = task()
    rendered = found.fewshot_context(
        found.eval_docs[0], 0, apply_chat_template=True, chat_template=chat(system=False)
    )
    assert rendered.startswith("[user] You will see a question")
    assert "<explanation>" in rendered
    assert rendered.count("[user]") == 1


def test_the_mean_leaves_out_documents_without_data_and_passes_for_the_harness_own() -> None:
    from lm_eval.api.metrics import mean, stderr_for_metric

    values: list[float | None] = [1.0, None, 0.0, None]
    assert MEAN_OF_KNOWN(values) == 0.5
    assert values == [1.0, 0.0]
    of_mean, of_ours = stderr_for_metric(mean, 1000), stderr_for_metric(MEAN_OF_KNOWN, 1000)
    assert of_mean is not None
    assert of_ours is not None
    assert of_ours([1.0, 0.0, 1.0]) == of_mean([1.0, 0.0, 1.0])


def test_a_mistake_ends_the_harness_with_one_line() -> None:
    load = (
        "from lm_eval.tasks import TaskManager\n"
        f"TaskManager(include_path={str(TASKS)!r}, include_defaults=False, metadata={{'judge': 'openai:@'}})"
        ".load(['demo_explain'])"
    )
    done = subprocess.run([sys.executable, "-c", load], env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: judge 'openai:@'")
    assert "Traceback" not in done.stderr


@packages_read_here()
def test_predict_only_logs_replies_and_measures_nothing() -> None:
    results = lm_eval.simple_evaluate(
        model="dummy",
        tasks=["demo_explain"],
        task_manager=TaskManager(
            include_path=str(TASKS),
            include_defaults=False,
            metadata={"repeats": 2, "judge": "openai:nobody@http://127.0.0.1:9/v1"},
        ),
        predict_only=True,
        limit=2,
    )
    assert results["results"]["demo_explain"]["bypass,none"] == 999
    assert [len(row["filtered_resps"][0]) for row in results["samples"]["demo_explain"]] == [2, 2]


def test_tokens_for_a_thought_come_on_top_of_those_for_the_reply() -> None:
    for tokens, expected in ((0, 384), (500, 884)):
        found = task(thinking_tokens=tokens)
        request = found.construct_requests(found.eval_docs[0], "Well?", metadata=("demo_explain", 0, 1))
        assert request.arguments[1]["max_gen_toks"] == expected
        assert found.config.generation_kwargs["max_gen_toks"] == 384
    with pytest.raises(ConfigError, match="thinking_tokens"):
        task(thinking_tokens=-1)


def test_a_reply_that_ran_out_of_tokens_while_thinking_is_counted_as_such(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The prompt opened the thought, so the reply itself doesn't say that it is one."""
    logging.getLogger("lm_eval").propagate = True
    found = task(repeats=3, thinking_tokens=7)
    doc = found.eval_docs[0]
    asked = found.fewshot_context(
        doc, 0, apply_chat_template=True, chat_template=lambda turns, add_generation_prompt: thinking(turns)
    )
    request = found.construct_requests(doc, asked, metadata=("demo_explain", 0, 3))
    request.resps = [
        "First I look at each choice",
        "So it is A.\n</think>\n\n<explanation>It is.</explanation><choice>A</choice>",
        "<explanation>a draft</explanation><choice>B</choice> but",
    ]
    found._instances = [request]
    found.apply_filters()
    parsed = [json.loads(text) for text in request.filtered_resps["none"]]
    assert [row["choice"] for row in parsed] == [None, "A", None]
    assert [row["choice_problem"] for row in parsed] == ["unfinished_thinking", None, "unfinished_thinking"]
    assert "2 of 3 replies ran out of tokens while thinking" in caplog.text


def thinking(turns: list[dict[str, str]]) -> str:
    """A chat template that opens a thought where the model is to begin."""
    return f"{chat()(turns)}<think>\n"
