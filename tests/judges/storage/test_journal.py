from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anchor_train.records import Argument
from judges.errors import DataError
from judges.storage.files import content_hash, read_records, write_json, write_records
from judges.storage.journal import Journal


def journal(path: Path, belongs_to: str = "x") -> Journal:
    return Journal(path, belongs_to, lambda row: str(row["id"]))


def test_rows_are_there_after_reopening(tmp_path):
    with journal(tmp_path / "j.jsonl") as first:
        first.append({"id": "a", "n": 1})
        first.append({"id": "b", "n": 2})
    with journal(tmp_path / "j.jsonl") as second:
        assert second.rows == {"a": {"id": "a", "n": 1}, "b": {"id": "b", "n": 2}}
        second.append({"id": "a", "n": 3})
    with journal(tmp_path / "j.jsonl") as third:
        assert third.rows["a"]["n"] == 3


def test_rows_of_something_else_do_not_count(tmp_path):
    with journal(tmp_path / "j.jsonl") as first:
        first.append({"id": "a"})
    with journal(tmp_path / "j.jsonl", "y") as other:
        assert other.rows == {}


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_cut_off_at_any_byte_it_keeps_the_whole_lines_and_goes_on(data):
    rows = [{"id": str(n), "text": text} for n, text in enumerate(["ä", "line\nbreak", "x" * 30])]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "j.jsonl"
        with journal(path) as whole:
            for row in rows:
                whole.append(row)
        content = path.read_bytes()
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        with journal(path) as resumed:
            kept = list(resumed.rows.values())
            assert kept == rows[: len(kept)]
            for row in rows[len(kept) :]:
                resumed.append(row)
        assert path.read_bytes() == content


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "rows.jsonl"
    write_records(path, [{"a": 1}])

    def broken():
        yield {"a": 2}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(path, broken())
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": 1}]
    assert [found.name for found in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_row_of_another_kind_is_named_with_its_line(tmp_path):
    write_records(tmp_path / "rows.jsonl", [{"question_id": "q"}])
    with pytest.raises(DataError, match=r"rows.jsonl:1: not a record"):
        list(read_records(tmp_path / "rows.jsonl", Argument.from_json))


def test_the_hash_of_a_folder_is_that_of_its_content(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "sub").mkdir(parents=True)
        write_json(tmp_path / name / "sub" / "a.json", [1, 2])
    assert content_hash(tmp_path / "one") == content_hash(tmp_path / "two")
    write_json(tmp_path / "two" / "sub" / "a.json", [1, 3])
    assert content_hash(tmp_path / "one") != content_hash(tmp_path / "two")
