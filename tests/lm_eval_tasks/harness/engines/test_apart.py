"""Work in a process of its own: questions go there, answers and errors come back as what they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from judges.errors import AnchorError, BackendError, BudgetSpentError, ConfigError
from lm_eval_tasks.harness.engines.apart import ask

MODULE = """
import os, signal, sys
from judges.errors import BudgetSpentError, ConfigError
from lm_eval_tasks.harness.engines.apart import answer

def work(question):
    match question["do"]:
        case "config":
            raise ConfigError("a key")
        case "budget":
            raise BudgetSpentError("spent")
        case "break":
            raise RuntimeError("no device\\nsecond line")
        case "template":
            raise ValueError("tokenizer.chat_template is not set")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(0)
    return {"doubled": 2 * question["number"], "apart": os.getpid()}

def main(arguments=None):
    return answer(arguments, work)

if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture(autouse=True)
def some_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_work.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # `python -m` finds it there


def test_an_answer_comes_back() -> None:
    found = ask("some_work", {"do": "double", "number": 21}, "the process")
    assert found["doubled"] == 42
    assert found["apart"] != os.getpid()


@pytest.mark.parametrize(
    ("what", "kind", "said", "in_log"),
    [
        ("config", ConfigError, "a key", False),
        ("budget", BudgetSpentError, "spent", False),
        ("break", BackendError, "the harness failed: RuntimeError: no device", True),
        ("template", BackendError, "is not set; try --no-apply-chat-template", True),
        ("die", BackendError, "the process was killed (signal 9", True),
        ("exit", BackendError, "the process ended with code 0", True),
    ],
)
def test_what_went_wrong_comes_back_as_what_it_is(
    what: str, kind: type[AnchorError], said: str, in_log: bool
) -> None:
    with pytest.raises(AnchorError) as raised:
        ask("some_work", {"do": what}, "the process")
    assert type(raised.value) is kind
    assert said in str(raised.value)
    assert "second line" not in str(raised.value)
    assert raised.value.in_log is in_log
