"""The demo and the experiment as a user starts them, with few questions and steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calling import call

FEW = [
    *("--set", "questions.limit=36"),
    *("--set", "sft.optimiser.learning_rate=0.0005"),
    *("--set", "dpo.max_steps=3"),
    *("--set", "listwise.max_steps=3"),
    *("--set", "evaluate.limit=8"),
    *("--set", "evaluate.n=2"),
]


@pytest.mark.engine
@pytest.mark.timeout(1500)
def test_the_demo_runs_the_whole_method_and_goes_on_where_it_was(fork_server: None, tmp_path: Path) -> None:
    done = call("anchor-train", "demo", "-o", str(tmp_path / "demo"), *FEW)
    assert done.returncode == 0, done.stderr[-2000:]
    report = (tmp_path / "demo" / "report.md").read_text(encoding="utf-8")
    assert report.strip() in done.stdout
    for part in ("ground truth", "pocket base model", "Behaviours", "lambda", "anchor", "| base |"):
        assert part in report
    again = call("anchor-train", "demo", "-o", str(tmp_path / "demo"), *FEW)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "started" not in again.stderr
    assert (tmp_path / "demo" / "report.md").read_text(encoding="utf-8") == report


@pytest.mark.engine
@pytest.mark.timeout(1500)
def test_the_experiment_takes_other_mixes_of_questions_and_strategies(
    fork_server: None, tmp_path: Path
) -> None:
    folder = tmp_path / "experiment"
    chosen = ("--mix", "hard", "--strategies", "anchor,aft-none", "--own-judge", "none")
    arguments = ("experiment", "pocket", "--seeds", "1", *chosen, "-o", str(folder), *FEW)
    done = call("anchor-train", *arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    report = (folder / "report.md").read_text(encoding="utf-8")
    assert "## Questions: hard, 1 seed" in report
    assert "| aft-none |" in report
    assert "judged by the pocket base model" not in report.lower()
    assert {path.name for path in folder.glob("*.png")} == {"figure1.png", "figure3.png"}
    again = call("anchor-train", *arguments)
    assert again.returncode == 0, again.stderr[-2000:]
    assert "reading the results" in done.stderr
    assert "reading the results" not in again.stderr


def test_the_commands_explain_themselves() -> None:
    for command in (["demo"], ["experiment", "pocket"], ["pocket", "build"], ["pocket", "path"]):
        done = call("anchor-train", *command, "--help")
        assert done.returncode == 0
        assert f"anchor-train {' '.join(command)}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seeds", "0"), "expected a count such as 5, or a range such as 4-6"),
        (("--seeds", "6-4"), "expected a count"),
        (("--strategies", "anchor", "--all-methods"), "exclude each other"),
        (("--strategies", "anchor,aft-non"), "no strategy 'aft-non' (did you mean 'aft-none'?"),
    ],
)
def test_what_the_experiment_cannot_do_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    done = call("anchor-train", "experiment", "pocket", "-o", str(tmp_path / "experiment"), *arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert message in done.stderr


def test_an_unknown_setting_of_the_demo_is_one_line(tmp_path: Path) -> None:
    done = call("anchor-train", "demo", "-o", str(tmp_path / "demo"), "--set", "dpo.max_step=5")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "did you mean 'max_steps'" in done.stderr
