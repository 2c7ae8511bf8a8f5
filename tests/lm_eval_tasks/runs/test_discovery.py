"""Run folders as lm_eval leaves them, and hostile ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from judges.errors import DataError
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import find_runs, load_run
from tests.lm_eval_tasks.run_folders import DATE, level, question, reply, write_run

TASK = "aqua_rat_explain"


def questions(count: int = 3) -> list[ScoredQuestion]:
    return [
        ScoredQuestion(question(i), (level(i % 5), level(1, choice="A"), reply(None))) for i in range(count)
    ]


def log_of(run: Path, task: str = TASK) -> Path:
    return run / "model-a" / f"samples_{task}_{DATE}.jsonl"


def test_a_run_is_found_by_its_output_path_and_by_the_models_folder(tmp_path: Path) -> None:
    path = write_run(tmp_path / "m1", {TASK: questions()})
    run = load_run(path)
    assert (run.name, run.model, list(run.tasks)) == ("m1", "model-a", [TASK])
    task = run.task(TASK)
    assert (task.version, task.repeats, task.sampling) == ("1", 3, {"temperature": 0.6, "top_p": 0.9})
    assert list(task.questions.values()) == questions()
    assert list(load_run(path / "model-a").task(TASK).read()) == questions()


def test_a_run_knows_the_file_of_its_task(tmp_path: Path) -> None:
    path = write_run(tmp_path / "m1", {TASK: questions()})
    (results,) = path.rglob("results_*.json")
    assert load_run(path).task(TASK).source is None
    for logged, known in (("inline", None), ("/tasks/animals.yaml", Path("/tasks/animals.yaml"))):
        content = json.loads(results.read_text())
        content["configs"][TASK]["metadata"]["config_source"] = logged  # as the harness writes it
        results.write_text(json.dumps(content))
        assert load_run(path).task(TASK).source == known


def test_marks_are_the_numbers_of_the_questions(tmp_path: Path) -> None:
    marks = load_run(write_run(tmp_path / "m1", {TASK: questions(2)})).task(TASK).marks
    assert marks.ids == ("q0", "q1")
    assert marks.scores.tolist() == [[25, 20, -1], [20, 20, -1]]
    assert marks.correct.tolist() == [[True, False, True]] * 2
    assert (marks.samples, marks.judged) == (6, 4)
    assert marks.rows(["q1"]).scores.tolist() == [[20, 20, -1]]


def test_questions_with_different_numbers_of_samples_are_filled_up(tmp_path: Path) -> None:
    rows = [ScoredQuestion(question(0), (level(0),)), ScoredQuestion(question(1), (level(1), level(2)))]
    marks = load_run(write_run(tmp_path / "m1", {TASK: rows})).task(TASK).marks
    assert marks.present.tolist() == [[True, False], [True, True]]
    assert marks.scores.tolist() == [[25, -1], [20, 15]]


def test_replies_of_a_log_without_parsed_responses_are_read_again(tmp_path: Path) -> None:
    path = write_run(tmp_path / "m1", {TASK: questions(1)})
    log = log_of(path)
    row = json.loads(log.read_text())
    row["filtered_resps"] = [row["resps"][0][0]]
    log.write_text(json.dumps(row) + "\n")
    (scored,) = load_run(path).task(TASK).read()
    assert [sample.response for sample in scored.responses] == [
        sample.response for sample in questions(1)[0].responses
    ]
    assert [sample.correct for sample in scored.responses] == [True, False, True]
    assert all(sample.score is None for sample in scored.responses)


def test_raw_replies_to_a_refined_task_are_read_as_such(tmp_path: Path) -> None:
    task = f"{TASK}_refined"
    path = write_run(tmp_path / "m1", {task: questions(1)})
    log = log_of(path, task)
    row = json.loads(log.read_text())
    first = row["resps"][0][1]
    whole = f"{first}<principle>Count.</principle>{row['resps'][0][0]}"
    log.write_text(json.dumps(row | {"filtered_resps": [], "resps": [[whole, first]]}) + "\n")
    (scored,) = load_run(path).task(task).read()
    refined, unrefined = scored.responses
    assert (refined.response.choice, refined.correct) == ("B", True)
    assert refined.draft is not None
    assert (refined.draft.choice, refined.draft.principle) == ("A", "Count.")
    assert unrefined.response.choice_problem == "no_refined_reply"


def test_refined_replies_take_the_place_of_plain_ones(tmp_path: Path) -> None:
    both = {TASK: questions(1), f"{TASK}_refined": questions(2)}
    run = load_run(write_run(tmp_path / "m1", both)).refined()
    assert list(run.tasks) == [TASK]
    assert run.tasks[TASK].task == f"{TASK}_refined"
    assert len(run.tasks[TASK].questions) == 2
    assert run.notes[-1] == f"refined replies stand for the plain ones of {TASK}"
    plain = load_run(write_run(tmp_path / "m2", {TASK: questions(1)}))
    with pytest.raises(DataError, match="no refined replies"):
        plain.refined()


def test_docs_that_are_rows_of_the_data_set_are_read_in_the_tasks_layout(tmp_path: Path) -> None:
    doc = {"question": "2 + 2?", "options": ["A)3", "B)4"], "rationale": "", "correct": "B"}
    folder = tmp_path / "m1" / "model-a"
    folder.mkdir(parents=True)
    row = {"doc": doc, "resps": [["<explanation>It is.</explanation><choice>B</choice>"]]}
    (folder / f"samples_{TASK}_{DATE}.jsonl").write_text((json.dumps(row) + "\n") * 2)
    first, second = load_run(tmp_path / "m1").task(TASK).read()
    assert first.question.gold_choice.text == "4"
    assert second.question.id == f"{first.question.id}#2"
    assert first.responses[0].correct


def test_the_newest_log_of_a_task_is_used_and_the_others_are_named(tmp_path: Path) -> None:
    path = write_run(tmp_path / "m1", {TASK: questions(1)})
    write_run(path, {TASK: questions(2)}, date="2025-04-01T10-00-00.000000")
    run = load_run(path)
    assert len(run.task(TASK).questions) == 2
    assert run.notes == (f"{TASK}: the newest of 2 logs is used (2025-04-01T10-00-00.000000)",)
    assert len(load_run(path, date="2025-03").task(TASK).questions) == 1


def test_find_runs_names_runs_by_their_path(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {TASK: questions(1)})
    write_run(tmp_path / "team" / "b", {TASK: questions(1)})
    write_run(tmp_path / "c", {TASK: questions(1)})
    write_run(tmp_path / "c", {TASK: questions(1)}, model="model-b")
    assert [run.name for run in find_runs(tmp_path)] == ["a", "c/model-a", "c/model-b", "team/b"]
    assert [run.name for run in find_runs(tmp_path / "a")] == ["a"]


def test_two_models_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    for model in ("model-a", "model-b"):
        write_run(tmp_path / "m", {TASK: questions(1)}, model=model)
    with pytest.raises(DataError, match=r"2 models; name one of them: .*model-a, .*model-b"):
        load_run(tmp_path / "m")


def test_samples_of_other_tasks_are_left_aside_or_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "m1", {TASK: questions(1)})
    other = path / "model-a" / f"samples_hellaswag_{DATE}.jsonl"
    other.write_text(json.dumps({"doc": {"ctx": "..."}, "resps": [["-1.0"]], "filtered_resps": ["-1.0"]}))
    assert load_run(path).notes == ("samples of other tasks are left aside: hellaswag",)
    log_of(path).unlink()
    with pytest.raises(DataError, match="no samples of an explanation task, only of hellaswag"):
        load_run(path)


@pytest.mark.parametrize("what", ["nothing", "empty folder"])
def test_a_folder_without_samples_is_refused(tmp_path: Path, what: str) -> None:
    if what == "empty folder":
        (tmp_path / "m").mkdir()
    with pytest.raises(DataError, match=r"no such folder|no samples log"):
        load_run(tmp_path / "m")
    with pytest.raises(DataError, match=r"no such folder|no run below"):
        find_runs(tmp_path / "m")


def test_an_unknown_task_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"did you mean '{TASK}'"):
        load_run(write_run(tmp_path / "m1", {TASK: questions(1)})).task("aqua_explain")


def change(row: dict[str, Any], **parsed: Any) -> str:
    response = json.loads(row["filtered_resps"][0][0]) | parsed
    return json.dumps(row | {"filtered_resps": [[json.dumps(response)]]})


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "no JSON": (lambda row: "{", "not valid JSON"),
    "no object": (lambda row: "[1]", "expected an object, found list"),
    "NaN": (lambda row: json.dumps(row | {"acc": float("nan")}), "NaN is not a number"),
    "deep nesting": (lambda row: "[" * 100_000, "not valid JSON"),
    "not UTF-8": (lambda row: '{"doc": "\udcff"}', "not valid JSON"),
    "no doc": (lambda row: json.dumps({"resps": [["x"]]}), "'doc' is missing"),
    "gold outside": (lambda row: json.dumps(row | {"doc": row["doc"] | {"gold": "Z"}}), "gold 'Z' is none"),
    "labels and texts": (
        lambda row: json.dumps(row | {"doc": row["doc"] | {"choices": {"label": ["A", "B"], "text": ["x"]}}}),
        r"zip\(\)|shorter|longer",
    ),
    "no replies": (lambda row: json.dumps(row | {"resps": [], "filtered_resps": []}), "neither"),
    "wrong type": (lambda row: change(row, correct="yes"), "response correct: Input should be a valid bool"),
    "score a float": (lambda row: change(row, score=12.5), "response score: Input should be a valid integer"),
    "negative score": (lambda row: change(row, score=-1), "response score: Input should be greater"),
    "score alone": (lambda row: change(row, judgement=None, score=3), "a score without verdicts"),
    "strange choice": (lambda row: change(row, choice="Q", correct=False), "choice 'Q' is none of"),
    "contradiction": (lambda row: change(row, correct=False), "contradict 'correct'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_row_is_refused_with_file_and_line(tmp_path: Path, name: str) -> None:
    spoil, message = HOSTILE[name]
    path = write_run(tmp_path / "m1", {TASK: questions(1)})
    log = log_of(path)
    good = log.read_text()
    row = json.loads(good) | {"doc": question(7).to_json()}
    log.write_bytes((good + spoil(row) + "\n").encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=message) as caught:
        list(load_run(path).task(TASK).read())
    assert str(caught.value).startswith(f"{log}:2: ")


def test_a_question_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "m1", {TASK: [*questions(2), questions(1)[0]]})
    with pytest.raises(DataError, match=r"jsonl:3: question 'q0' comes twice"):
        list(load_run(path).task(TASK).read())


def test_a_line_without_end_is_not_taken_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("judges.storage.files.MAX_LINE_BYTES", 1 << 20)
    path = write_run(tmp_path / "m1", {TASK: questions(1)})
    with log_of(path).open("a") as log:
        log.write("x" * (2 << 20))
    with pytest.raises(DataError, match="jsonl:2: a line of more than 1 MiB"):
        list(load_run(path).task(TASK).read())


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    path = write_run(tmp_path / "m1", {TASK: questions(1)})
    log_of(path).write_text("")
    with pytest.raises(DataError, match="the samples log is empty"):
        load_run(path)
