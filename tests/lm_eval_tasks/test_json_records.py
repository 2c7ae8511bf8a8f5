"""Dataclasses as rows of JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from judges.errors import DataError
from judges.storage.files import read_records, write_records
from lm_eval_tasks.json_records import JsonRecord


@dataclass(frozen=True, slots=True)
class Part:
    """Within another record; needs no base."""

    text: str
    score: float | int | None = None


@dataclass(frozen=True, slots=True)
class Whole(JsonRecord):
    """Of the kinds of values that records have."""

    name: str
    kind: Literal["sample", "consultant"]
    parts: tuple[Part, ...]
    counts: Mapping[str, int]
    folder: Path
    ends: tuple[int | None, ...] = ()
    later: str | None = None


WHOLE = Whole("one", "sample", (Part("a", 3), Part("b", 0.5)), {"x": 1}, Path("out"), (1, None))
ROW = {
    "name": "one",
    "kind": "sample",
    "parts": [{"text": "a", "score": 3}, {"text": "b", "score": 0.5}],
    "counts": {"x": 1},
    "folder": "out",
    "ends": [1, None],
    "later": None,
}


def test_keys_come_in_the_order_of_the_fields_and_whole_numbers_stay_whole() -> None:
    assert json.dumps(WHOLE.to_json()) == json.dumps(ROW)
    assert Whole.from_json(ROW) == WHOLE


def test_what_an_earlier_version_left_out_has_its_default_and_what_a_later_one_adds_is_passed_over() -> None:
    earlier = {key: value for key, value in ROW.items() if key not in {"ends", "later"}}
    assert Whole.from_json({**earlier, "newest": 1}) == Whole(
        "one", "sample", WHOLE.parts, {"x": 1}, Path("out")
    )


def test_texts_that_are_no_valid_unicode_come_back(tmp_path: Path) -> None:
    odd = Whole("a \ud83d cut pair", "sample", (), {}, Path("out"))
    write_records(tmp_path / "rows.jsonl", [odd.to_json()])
    assert list(read_records(tmp_path / "rows.jsonl", Whole.from_json)) == [odd]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "oracle"}, "kind: Input should be 'sample' or 'consultant'"),
        ({"counts": {"x": "many"}}, "counts.x: Input should be a valid integer"),
        ({"parts": [{"score": 1}]}, "parts.0.text: Field required"),
        ({"ends": None}, "ends: Input should be a valid tuple"),
    ],
)
def test_a_value_of_another_kind_is_named_with_its_line(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "rows.jsonl"
    write_records(path, [ROW, {**ROW, **change}])
    with pytest.raises(DataError) as refused:
        list(read_records(path, Whole.from_json))
    assert str(refused.value).startswith(f"{path}:2: not a record of this artifact")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)
