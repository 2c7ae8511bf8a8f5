"""Files of questions: which file is which split, and what is wrong with one that can't be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judges.errors import DataError
from lm_eval_tasks.questions.rows import find_files, hub_rows, made_rows, read_rows

ROWS = [{"question": "One?", "gold": "A"}, {"question": "Zwei, früh?", "gold": "B"}]


def files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_text(json.dumps(ROWS[0]) + "\n")
    return folder


@pytest.mark.parametrize(
    ("names", "split", "found"),
    [
        (["train.jsonl", "dev.jsonl"], "validation", ["dev.jsonl"]),
        (["Eval.txt", "eval.jsonl", "Test.txt"], "validation", ["eval.jsonl"]),
        (["ARC-Challenge-Dev.jsonl", "ARC-Challenge-Test.jsonl"], "test", ["ARC-Challenge-Test.jsonl"]),
        (["train_subset.jsonl", "dev.jsonl"], "train", ["train_subset.jsonl"]),
        (["train.jsonl", "train_subset.jsonl"], "train", ["train.jsonl"]),
        (
            ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"],
            "test",
            ["test-00000-of-00002.parquet", "test-00001-of-00002.parquet"],
        ),
        (["contest.jsonl", "test.json"], "test", ["test.json"]),
    ],
)
def test_a_split_is_found_by_the_names_people_give_files(
    tmp_path: Path, names: list[str], split: str, found: list[str]
) -> None:
    assert [path.name for path in find_files(files(tmp_path, *names), split)] == found


def test_a_missing_split_is_an_error_that_names_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file for the test split .*there is dev\.jsonl, train\.jsonl"):
        find_files(files(tmp_path, "train.jsonl", "dev.jsonl"), "test")


def test_a_folder_without_any_data_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data file at all"):
        find_files(files(tmp_path, "README.md"), "train")


def test_two_files_that_could_be_meant_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"dev\.jsonl, validation\.jsonl could all be the validation split"):
        find_files(files(tmp_path, "dev.jsonl", "validation.jsonl"), "validation")


def test_all_forms_of_a_file_hold_the_same_rows(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    lines = "".join(json.dumps(row) + "\n\n" for row in ROWS)
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "b.json").write_text(json.dumps(ROWS))
    (tmp_path / "c.json").write_text(lines)
    (tmp_path / "d.csv").write_text('question,gold\nOne?,A\n"Zwei, früh?",B\n', encoding="utf-8-sig")
    parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / "e.parquet")
    for path in sorted(tmp_path.iterdir()):
        assert [dict(row.values) for row in read_rows(path)] == ROWS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", "", "a.jsonl: no rows in it"),
        ("a.jsonl", "\n\n", "no rows"),
        ("a.json", "", "no rows"),
        ("a.json", "[]", "no rows"),
        ("a.csv", "question,gold\n", "no rows"),
        ("a.txt", "\n", "no rows"),
        ("a.jsonl", '{"a": 1}\n{"a": ', "a.jsonl, line 2: not JSON"),
        ("a.jsonl", '{"a": 1}\n[1]', "line 2: expected an object with fields, found list"),
        ("a.json", '"text"', "expected a list of rows, found str"),
        ("a.json", "[1]", "row 0: expected an object"),
        ("a.csv", "a,b\n1\n", "line 2: other number of columns"),
        ("a.csv", "a,b\n1,2,3\n", "line 2: other number of columns"),
        ("a.txt", "\na\npassage\nquestion\nA.x\nB.y\nC.z\n", "line 2: expected a block"),
        ("a.txt", "\nx\npassage\nquestion\nA.x\nB.y\nC.z\nD.w\n", "line 2: expected a block"),
        ("a.parquet", "no", "not a Parquet file"),
        ("a.xml", "<a/>", "can't read .xml files"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_rows(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "good"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": \n[1]\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ("a.json", '[{"a": 1}, 7, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        ("a.csv", "a,b\n1,2\n3\n4,5\n", [{"a": "1", "b": "2"}, {"a": "4", "b": "5"}]),
    ],
)
def test_a_broken_line_can_be_kept_as_a_row_with_a_problem(
    tmp_path: Path, name: str, content: str, good: list[dict[str, object]]
) -> None:
    (tmp_path / name).write_text(content)
    found = read_rows(tmp_path / name, keep_unreadable=True)
    assert [dict(row.values) for row in found if row.problem is None] == good
    with pytest.raises(DataError):
        read_rows(tmp_path / name)


def test_a_passage_of_a_text_file_may_hold_line_breaks_of_unicode(tmp_path: Path) -> None:
    passage = "one\u2028two\x0bthree\x85four"
    block = f"\na\n{passage}\nquestion\nA.w\nB.x\nC.y\nD.z\n"
    (tmp_path / "a.txt").write_bytes((2 * block).replace("\n", "\r\n").encode())
    assert [row.values["context"] for row in read_rows(tmp_path / "a.txt")] == [passage, passage]


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_rows(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match=r"gone\.jsonl: No such file"):
        read_rows(tmp_path / "gone.jsonl")


def test_a_hub_that_cannot_be_reached_is_one_line_with_the_remedy() -> None:
    with pytest.raises(
        DataError, match=r"nobody/nothing, split test, can't be loaded: .*Use local files"
    ) as caught:
        hub_rows("nobody/nothing", None, "test", {}, "Use local files.")
    assert "\n" not in str(caught.value)


def test_rows_through_the_hub_library(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    rows = hub_rows("json", None, "test", {"data_files": {"test": str(tmp_path / "a.jsonl")}}, "")
    assert [dict(row.values) for row in rows] == ROWS
    assert rows[1].place.endswith("a.jsonl, test row 1")


def test_a_function_that_does_not_exist_or_makes_no_such_split() -> None:
    with pytest.raises(DataError, match=r"custom_dataset nowhere\.splits"):
        made_rows("nowhere.splits", "test", {})
    with pytest.raises(DataError, match="makes no split 'test'; it makes train"):
        made_rows("tests.lm_eval_tasks.questions.test_rows.only_train", "test", {})


def only_train() -> dict[str, list[dict[str, str]]]:
    return {"train": ROWS}


@pytest.mark.parametrize("name", ["test.jsonl", "test.json", "test.csv"])
def test_a_byte_order_mark_in_front_is_no_part_of_the_first_row(tmp_path: Path, name: str) -> None:
    """Editors and spreadsheets on Windows write one."""
    path = tmp_path / name
    texts = {
        "test.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
        "test.json": json.dumps(ROWS),
        "test.csv": "question,gold\nWhy?,A\n",
    }
    path.write_text("\ufeff" + texts[name], encoding="utf-8")
    (first, *_) = read_rows(path)
    assert next(iter(first.values)) == ("question" if name == "test.csv" else next(iter(ROWS[0])))
