"""What judges go by, wherever a rubric is named: a built-in rubric, a rubric's file, or a constitution's."""

from __future__ import annotations

from pathlib import Path

from judges.rubrics.constitution import constitution_from
from judges.rubrics.rubric import Rubric
from judges.rubrics.rubric_files import DEFAULT_RUBRIC, built_in_rubric, rubric_from
from judges.settings import load_yaml


def load_rubric(name_or_path: str | Path = DEFAULT_RUBRIC) -> Rubric:
    """Loads a built-in rubric by name, or one from a YAML file: a rubric, or a constitution.

    Raises:
        ConfigError: If there is none of that name, or the file isn't a rubric.
    """
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        return built_in_rubric(str(name_or_path))
    values = load_yaml(path)
    if "principles" in values:
        return constitution_from(values, str(path)).rubric()
    return rubric_from(values, str(path))
