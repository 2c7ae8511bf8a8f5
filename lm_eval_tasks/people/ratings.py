"""What raters exported, read and checked, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from judges.errors import ConfigError, DataError
from judges.rubrics.rubric import Rubric
from judges.storage.files import read_rows
from lm_eval_tasks.runs.judgement_files import slug


class Rating(BaseModel):
    """One statement as one person rated it.

    Attributes:
        set: The page.
        task: Task of the statement.
        question: Id of its question.
        statement: Hash of its texts.
        source: The log that it was drawn from.
        rubric: Fingerprint of the rubric.
        annotator: Name of the person, as they entered it.
        verdicts: Criterion key -> verdict; None if they skipped it.
        repeat: Whether it is the second time that they saw it.
        seconds: How long it was before their eyes.
        at: When they gave the last verdict, ISO 8601; the later one of two exports counts.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)

    set: str
    task: str
    question: str
    statement: str = Field(pattern=r"^[0-9a-f]{24}$")
    source: str
    rubric: str
    annotator: str = Field(min_length=1, pattern=r"[A-Za-z0-9]")
    verdicts: dict[str, str] | None
    repeat: bool = False
    seconds: float = Field(ge=0)
    at: str

    @property
    def person(self) -> str:
        """The annotator as part of a file's name."""
        return slug(self.annotator)


def read_ratings(paths: Iterable[Path], rubric: Rubric) -> list[Rating]:
    """Reads exported files; of what stands in several exports of a person the latest counts.

    Args:
        paths: The files.
        rubric: The one that was rated by.

    Raises:
        ConfigError: If they were made by another rubric, or two people can't be told apart by their names.
        DataError: With file and line, for anything that isn't such a row.
    """
    found: dict[tuple[str, str, bool], Rating] = {}
    names: dict[str, str] = {}
    for path in paths:
        for where, row in read_rows(path):
            rating = _checked(row, rubric, where)
            known = names.setdefault(rating.person, rating.annotator)
            if known != rating.annotator:
                raise ConfigError(
                    f"{where}: annotators {known!r} and {rating.annotator!r} have the same file name "
                    f"({rating.person}); give one of them another name"
                )
            key = rating.person, rating.statement, rating.repeat
            if key not in found or found[key].at <= rating.at:
                found[key] = rating
    if not found:
        raise DataError(f"{_listed(paths)}: no rating in it; raters export them from the page")
    return list(found.values())


def _checked(row: dict[str, Any], rubric: Rubric, where: str) -> Rating:
    try:
        rating = Rating.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{where}: not a rating: {place}: {first['msg']}") from None
    if rating.rubric != rubric.fingerprint:
        raise ConfigError(
            f"{where}: rated by a rubric with fingerprint {rating.rubric}, and {rubric.name} has "
            f"{rubric.fingerprint}; name that rubric with --rubric"
        )
    if rating.verdicts is not None:
        keys = [criterion.key for criterion in rubric.criteria]
        if sorted(rating.verdicts) != sorted(keys):
            raise DataError(f"{where}: verdicts on {_listed(rating.verdicts)}, not on {_listed(keys)}")
        unknown = [verdict for verdict in rating.verdicts.values() if verdict not in rubric.scale]
        if unknown:
            raise DataError(f"{where}: verdict {unknown[0]!r} is none of {_listed(rubric.scale)}")
    return rating


def people_in(ratings: Sequence[Rating]) -> dict[str, str]:
    """Who rated: file name -> name, in the order of the files."""
    return {rating.person: rating.annotator for rating in ratings}


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
