"""Records as JSON objects and back: the fields of a dataclass by their names, checked as they are read."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from typing_extensions import Self

from judges.storage.files import Json


class JsonRecord:
    """Base of the dataclasses that are kept in files as they are.

    Keys come in the order of the fields, tuples become arrays. Reading back fills in defaults for what an
    earlier version didn't write and passes over what a later one adds. A class whose row differs from its
    fields has its own ``to_json`` and ``from_json``; one that is nested in others can't differ.
    """

    __slots__ = ()

    def to_json(self) -> Json:
        """Its attributes; records within it nested."""
        kind: Any = type(self)
        row: Json = _adapter(kind).dump_python(self, mode="json")
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Reads the form back.

        Raises:
            ValueError: Naming the first key that is missing or has a value of another kind.
        """
        kind: Any = cls
        try:
            record: Self = _adapter(kind).validate_python(row)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            place = ".".join(map(str, problem["loc"]))
            raise ValueError(f"{place}: {problem['msg']}" if place else problem["msg"]) from None
        return record


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
