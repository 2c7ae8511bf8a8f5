"""What Tab offers, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from lm_eval_tasks.cli import COMMANDS, main
from lm_eval_tasks.runs.discovery import find_runs, names_below
from tests.lm_eval_tasks.leaderboard.synthetic import BASE, SFT, Evaluation, write_run, write_runs

ARC = Evaluation(task="arc_challenge_explain", questions=2, repeats=1)
OWN = Evaluation(task="mine_explain", questions=2, repeats=1)


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_runs(tmp_path / "runs", (BASE, SFT), ARC)
    write_run(folder / "alice", BASE, OWN)
    (tmp_path / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


def offered(*line: str) -> list[str]:
    """What stands behind the last word of a line when Tab is pressed."""
    completer = ShellComplete(main, {}, "anchor-eval", "_ANCHOR_EVAL_COMPLETE")
    return [item.value for item in completer.get_completions(list(line[:-1]), line[-1])]


def test_commands_and_options_are_offered_with_what_they_do() -> None:
    assert {"score", "show"} <= set(offered("s"))
    assert offered("compare", "--lat") == ["--latex"]


def test_tasks_are_offered_and_of_several_the_last_without_those_named() -> None:
    assert offered("run", "--tasks", "arc") == ["arc_challenge_explain", "arc_challenge_explain_refined"]
    assert offered("run", "--tasks", "logiqa_explain,logi") == ["logiqa_explain,logiqa_explain_refined"]
    assert "self_explanation" in offered("run", "--tasks", "")


def test_run_folders_are_offered_with_their_tasks_and_none_twice() -> None:
    assert offered("show", "runs/") == ["runs/base", "runs/sft"]
    assert offered("compare", "runs/base", "runs/") == ["runs/sft"]
    assert offered("show", "runs/alice/b") == ["runs/alice/base"]
    completer = ShellComplete(main, {}, "anchor-eval", "_ANCHOR_EVAL_COMPLETE")
    (where,) = completer.get_completions(["show"], "no")
    assert (where.value, where.type) == ("no", "dir"), "the shell goes into folders by itself"


def test_tasks_of_the_run_on_the_line_are_offered_also_those_of_ones_own() -> None:
    assert offered("show", "runs/alice/base", "--task", "") == ["mine_explain"]
    assert offered("score", "runs/base", "--task", "a") == ["arc_challenge_explain"]


def test_names_of_runs_are_those_that_the_commands_know(runs: Path) -> None:
    assert offered("compare", "runs/base", "runs/sft", "--baseline", "") == ["base", "sft"]
    assert offered("leaderboard", "runs", "--baseline", "") == ["alice/base", "base", "sft"]
    assert names_below(runs) == [run.name for run in find_runs(runs)]
    assert offered("leaderboard", "notes", "--baseline", "") == ["notes"]


def test_bash_gets_its_script_and_its_answers_from_the_command(runs: Path) -> None:
    command = [sys.executable, "-m", "lm_eval_tasks"]

    def asked(**settings: str) -> str:
        # Under its own name the module would be called "python -m lm_eval_tasks".
        code = "import sys; sys.argv[0] = 'anchor-eval'; from lm_eval_tasks.cli import main; main()"
        return subprocess.run(
            [command[0], "-c", code], env=os.environ | settings, capture_output=True, text=True, check=True
        ).stdout

    assert "complete -o nosort -F _anchor_eval_completion anchor-eval" in asked(
        _ANCHOR_EVAL_COMPLETE="bash_source"
    )
    words = {"COMP_WORDS": "anchor-eval show runs/s", "COMP_CWORD": "2"}
    assert asked(_ANCHOR_EVAL_COMPLETE="bash_complete", **words) == "plain,runs/sft\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_completes_its_runs_and_tasks(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    wanted = {param.name: param for param in command.params if param.name in ("run", "runs", "tasks")}
    assert all(param._custom_shell_complete is not None for param in wanted.values()), list(wanted)
