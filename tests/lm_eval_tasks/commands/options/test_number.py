"""What is no number is refused wherever a command takes one: a budget of "nan" would never be spent."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from judges.errors import ConfigError
from judges.settings import Settings, parse
from lm_eval_tasks.cli import main

LINES = (
    "gate new --baseline old --judge j --margin {}",
    "gate new --baseline old --judge j --margin -0.02 --confidence {}",
    "score run --judge j --max-cost {}",
    "power --questions 100 --samples 4 --power {}",
    "run --model hf --tasks demo_explain -o run --until-width {}",
)


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_nan_and_infinity_are_refused_with_the_options_name(line: str, value: str) -> None:
    found = CliRunner().invoke(main, line.format(value).split())
    assert found.exit_code == 2
    assert f"Invalid value for '{line.split()[-2]}'" in found.output


def test_so_they_are_in_files_of_settings() -> None:
    class Some(Settings):
        size: float

    assert parse(Some, {"size": 2}, "some.yaml").size == 2
    for value in (float("nan"), float("inf")):
        with pytest.raises(ConfigError, match=r"some\.yaml: size"):
            parse(Some, {"size": value}, "some.yaml")
