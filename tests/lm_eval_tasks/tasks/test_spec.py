"""Tasks as their YAML files have them, and the real question sets through them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from lm_eval.tasks import TaskManager

from judges import load_rubric
from judges.errors import ConfigError, DataError
from lm_eval_tasks.stats.metrics import metric_names
from lm_eval_tasks.tasks.load import find_tasks, load_task, task_names
from tests.lm_eval_tasks.examples import QUESTION

REAL_SPLITS = [
    ("aqua_rat_explain", "validation", 254),
    ("aqua_rat_explain", "train", 2724),
    ("arc_challenge_explain", "train", 1119),
    ("arc_challenge_explain", "validation", 299),
    ("logiqa_explain", "validation", 651),
    ("openbookqa_explain", "train", 4957),
    ("openbookqa_explain", "validation", 500),
]


@pytest.mark.parametrize(("task", "split", "count"), REAL_SPLITS)
def test_every_real_row_becomes_a_question(shared_data: Path, task: str, split: str, count: int) -> None:
    questions = load_task(task).load_questions(split, shared_data)
    assert len(questions) == count
    assert len({question.id for question in questions}) == count
    for question in questions:
        assert question.gold in question.labels
        assert (question.context is not None) == (task == "logiqa_explain")


def test_both_forms_of_logiqa_hold_the_same_questions(shared_data: Path) -> None:
    task = load_task("logiqa_explain")
    text = task.load_questions("validation", shared_data / "logiqa" / "Eval.txt")
    assert text == task.load_questions("validation", shared_data / "logiqa" / "eval.jsonl")


def test_real_arc_rows_keep_their_labels(shared_data: Path) -> None:
    questions = load_task("arc_challenge_explain").load_questions("train", shared_data)
    kinds = [question.labels for question in questions]
    assert kinds.count(("1", "2", "3", "4")) == 23
    assert kinds.count(("A", "B", "C")) == 1
    assert kinds.count(("A", "B", "C", "D", "E")) == 1


def test_the_built_in_tasks() -> None:
    assert set(task_names()) >= {
        "aqua_rat_explain",
        "arc_challenge_explain",
        "logiqa_explain",
        "openbookqa_explain",
    }
    for name in task_names():
        task = load_task(name)
        assert task.name == name
        assert task.sampling.n == 16
        assert (task.sampling.temperature, task.sampling.top_p) == (0.6, 0.9)


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'logiqa_explain'"):
        load_task("logiqa_explan")


def test_the_task_of_ones_own_in_the_documentation(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
    row, yaml = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL) for kind in ("json", "yaml"))
    assert row
    assert yaml
    (tmp_path / "test.jsonl").write_text(row[1])
    (tmp_path / "animals_explain.yaml").write_text(yaml[1])
    task = load_task(tmp_path / "animals_explain.yaml")
    (question,) = task.load_questions("test")
    assert (question.id, question.context, question.gold_choice.text) == ("17", "Bats are mammals.", "a bat")
    assert task.explain_conversation(question)[0].content.startswith("You will see a fact, a question")
    loaded = TaskManager(include_path=str(tmp_path), include_defaults=False).load(["animals_explain"])
    assert list(loaded["tasks"]["animals_explain"].eval_docs) == [question.to_json()]


@pytest.mark.parametrize("name", [name for name in task_names() if name.endswith("_refined")])
def test_a_refined_task_asks_the_questions_of_the_plain_one_in_another_way(name: str) -> None:
    refined = load_task(name)
    plain = load_task(refined.plain_name)
    assert plain.name == name.removesuffix("_refined")
    assert (refined.layouts, refined.dataset_path, refined.splits) == (
        plain.layouts,
        plain.dataset_path,
        plain.splits,
    )
    assert refined.prompts == plain.prompts
    assert refined.fingerprint != plain.fingerprint
    assert refined.generation.max_gen_toks == 2 * plain.generation.max_gen_toks
    assert refined.asked_conversation(QUESTION) == plain.refined_explain_conversation(QUESTION)
    assert plain.asked_conversation(QUESTION) == plain.explain_conversation(QUESTION)
    assert refined.asked_system_text == refined.asked_conversation(QUESTION)[0].content


def test_a_refined_task_of_ones_own_as_in_the_documentation(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
    plain, refined = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "animals_explain.yaml").write_text(plain)
    (tmp_path / "animals_explain_refined.yaml").write_text(refined)
    (tmp_path / "animals").mkdir()
    (row,) = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    (tmp_path / "animals" / "test.jsonl").write_text(row)
    task = load_task(tmp_path / "animals_explain_refined.yaml")
    assert task.protocol == "refined"
    (question,) = task.load_questions("test", tmp_path)
    metadata = {"data_dir": str(tmp_path / "animals")}
    loaded = TaskManager(include_path=str(tmp_path), include_defaults=False, metadata=metadata)
    asked = loaded.load([task.name])["tasks"][task.name]
    assert list(asked.eval_docs) == [question.to_json()]
    assert "<principle>" in asked.fewshot_context(question.to_json(), 0)


def test_the_documentation_names_every_metric() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "tasks.md").read_text(encoding="utf-8")
    for name in metric_names(load_rubric(), compared=True):
        assert f"`{name}`" in page


YAML = """
task: own_explain
class: !function lm_eval_tasks.task.ExplainTask
data_dir: .
test_split: test
fields: {question: q, choices: c, gold: g}
prompt: {introduction: Look.}
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("test_split", "tset_split"), "unknown key 'tset_split' .did you mean 'test_split'"),
        (("question: q", "qestion: q"), "did you mean 'question'"),
        (("question: q, ", ""), "'fields.0.question' is missing"),
        (("prompt: {introduction: Look.}", ""), "'prompt' is missing"),
        (("introduction: Look.", "introduction: ''"), "introduction"),
        (("task: own_explain", "task: own explain"), "task = 'own explain'"),
        (("test_split: test", "repeats: 0"), "repeats = 0"),
        (("fields: {", "fields: {{"), "not valid YAML"),
    ],
)
def test_mistakes_in_a_task_of_ones_own(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "own_explain.yaml"
    path.write_text(YAML.replace(*change))
    with pytest.raises(ConfigError, match=message) as caught:
        load_task(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_includes_are_merged_as_the_harness_does(tmp_path: Path) -> None:
    (tmp_path / "shared.yaml").write_text(YAML.replace("task: own_explain\n", "repeats: 2\n"))
    (tmp_path / "own_explain.yaml").write_text("include: shared.yaml\ntask: own_explain\n")
    assert load_task(tmp_path / "own_explain.yaml").repeats == 2
    (tmp_path / "shared.yaml").write_text("include: shared.yaml")
    with pytest.raises(ConfigError, match="includes itself"):
        load_task(tmp_path / "own_explain.yaml")


def test_an_empty_data_file_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text("")
    with pytest.raises(DataError, match=r"test\.jsonl: no rows in it"):
        load_task("demo_explain").load_questions("test", tmp_path)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("arc_explain", "arc_challenge_explain"),
        ("openbook_explain", "openbookqa_explain"),
        ("logiqa", "logiqa_explain"),
        ("aqua_rat", "aqua_rat_explain"),
    ],
)
def test_an_unknown_task_is_answered_with_the_one_that_has_its_words(name: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{meant}'"):
        find_tasks([name])


def test_a_task_of_ones_own_is_found_where_a_run_says_that_it_was(tmp_path: Path) -> None:
    path = tmp_path / "animals.yaml"
    path.write_text(
        "task: animals\nfields: {question: q, choices: [a, b], gold: g}\ndata_dir: .\n"
        "prompt: {introduction: You will see a question.}\n"
    )
    (found,) = find_tasks(["animals"], sources={"animals": path})
    assert found.name == "animals"
    gone = tmp_path / "gone.yaml"
    with pytest.raises(ConfigError, match=f"made with {re.escape(str(gone))}, which isn't there any more"):
        find_tasks(["animals"], sources={"animals": gone})
    (builtin,) = find_tasks(["demo_explain"], sources={"demo_explain": path})
    assert builtin.name == "demo_explain"
