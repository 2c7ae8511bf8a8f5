"""Judging while replies are still being written: the same judgements and accounts, sooner."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from judges import Judge, Statement, load_judge
from judges.spending.accounts import Accounts
from lm_eval_tasks.cli import main
from lm_eval_tasks.runs.judging.ahead import Report, judging_ahead
from tests.judges.endpoint import GOOD_FORM, Endpoint, Handler

STATEMENTS = [Statement(f"Question {k // 2}?", f"It is so, {k}.") for k in range(12)]


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def judge_at(endpoint: Endpoint, cache: Path | None = None, **more: Any) -> Judge:
    settings = {"backend": "openai", "model": "m", "base_url": endpoint.url, "form": "none", "backoff": 0.01}
    return load_judge({**settings, **more}, cache=cache)


def wait_until(true: Any) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_is_finished_is_judged_before_the_rest_is_there(tmp_path: Path) -> None:
    with Endpoint(owned_by=None) as endpoint, judge_at(endpoint, tmp_path / "cache") as judge:
        with judging_ahead(judge) as ahead:
            assert ahead.path is not None
            report = Report(ahead.path)
            for k, statement in enumerate(STATEMENTS[:6]):
                report.add("even" if k % 2 == 0 else "odd", statement)
            wait_until(lambda: len(endpoint.bodies) == 6)
        found = {task: ahead.of(task) for task in ("even", "odd", "none")}
        assert [one and one.verdicts for one in found.values()] == [3, 3, None]
        before = judge.accounts
        judge.assess_all(STATEMENTS[:12:2], progress=False)
        assert len(endpoint.bodies) == 6 + 3  # the other three are known
        even = found["even"]
        assert even is not None
        whole = judge.accounts.since(before).after(even.accounts, even.verdicts)
    in_one_go = (6, 6, 0, 6, 6, 0, 0)
    counts = ("statements", "asked", "cached", "answered", "requests", "retried", "failed")
    assert tuple(getattr(whole, name) for name in counts) == in_one_go
    assert whole.usage.prompt_tokens == 6 * 100


def test_what_failed_ahead_is_asked_again_and_counted_as_a_retry(tmp_path: Path) -> None:
    failing = True

    def behave(k: int, body: dict[str, Any], handler: Handler) -> None:
        handler.message("B", "moon_phase") if failing else handler.reply(GOOD_FORM)

    with Endpoint(behave, owned_by=None) as endpoint, judge_at(endpoint, tmp_path / "c") as judge:
        with judging_ahead(judge) as ahead:
            assert ahead.path is not None
            Report(ahead.path).add("t", STATEMENTS[0])
            wait_until(lambda: endpoint.bodies)
        first = ahead.of("t")
        assert first is not None
        assert (first.verdicts, first.accounts.failed) == (0, 1)
        failing, before = False, judge.accounts
        judge.assess_all(STATEMENTS[:1], progress=False)
        whole = judge.accounts.since(before).after(first.accounts, first.verdicts)
    assert (whole.asked, whole.answered, whole.failed, whole.requests, whole.retried) == (1, 1, 0, 2, 1)


def test_a_judge_that_cannot_serve_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def behave(k: int, body: dict[str, Any], handler: Handler) -> None:
        handler.error(401, "no such key")

    with Endpoint(behave, owned_by=None) as endpoint, judge_at(endpoint, tmp_path / "c") as judge:
        with judging_ahead(judge) as ahead:
            assert ahead.path is not None
            report = Report(ahead.path)
            report.add("t", STATEMENTS[0])
            wait_until(lambda: endpoint.bodies)
            report.add("t", STATEMENTS[1])
        assert "judging while generating has stopped" in capsys.readouterr().err
        assert len(endpoint.bodies) <= 2


def test_a_judge_on_this_machine_waits_its_turn(tmp_path: Path) -> None:
    replies = tmp_path / "replies.yaml"
    replies.write_text(json.dumps({"replies": [{"reply": GOOD_FORM}]}))
    with load_judge({"backend": "scripted", "replies": str(replies)}) as judge, judging_ahead(judge) as ahead:
        assert ahead.path is None
        assert ahead.of("t") is None


def test_sums_of_accounts_are_those_of_one_stretch() -> None:
    one, two = Accounts(statements=3, asked=2, cached=1, judged=3), Accounts(statements=1, asked=1, judged=1)
    total = one + two
    assert (total.statements, total.asked, total.cached, total.judged) == (4, 3, 1, 4)
    assert total.price is None


def test_the_whole_command_judges_while_it_generates(
    fork_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model's last replies wait until the judge has been asked about the first."""
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache.sqlite"))
    judged = threading.Event()

    def replies(k: int, body: dict[str, Any], handler: Handler) -> None:
        if k >= 6:
            assert judged.wait(60)
        handler.reply(f"<explanation>\nBecause of {k}.\n</explanation>\n<choice>\nA\n</choice>")

    def verdicts(k: int, body: dict[str, Any], handler: Handler) -> None:
        judged.set()
        handler.reply(GOOD_FORM)

    with Endpoint(replies, owned_by=None) as model, Endpoint(verdicts, owned_by=None) as judge:
        settings = {"backend": "openai", "model": "j", "base_url": judge.url, "form": "none"}
        (tmp_path / "judge.yaml").write_text(json.dumps(settings))
        arguments = [
            "run",
            "--model",
            "local-chat-completions",
            "--model-args",
            f"model=m,base_url={model.url}",
        ]
        arguments += ["--tasks", "demo_explain", "--limit", "4", "--repeats", "2", "--reply-form", "asked"]
        arguments += ["--judge", str(tmp_path / "judge.yaml"), "-o", str(tmp_path / "run"), "--json"]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        (task,) = json.loads(done.stdout)["tasks"]
        assert len(judge.bodies) == task["judged"] == 8
    accounts = task["accounts"]
    assert (accounts["statements"], accounts["asked"], accounts["cached"]) == (8, 8, 0)
    assert (accounts["requests"], accounts["retried"]) == (8, 0)
