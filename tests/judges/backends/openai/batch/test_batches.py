"""Judging by batches, against a server that speaks files and batches."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from judges import ConfigError, Judge, ReplyCache, Statement, load_backend, load_judge, load_rubric
from judges.backends.openai.backend import OpenAIBackend
from judges.backends.openai.batch import folder as on_disk
from judges.backends.openai.batch.backend import OpenAIBatchBackend
from judges.backends.openai.settings import checked_settings
from judges.errors import BackendError, EndpointDownError
from judges.records import Assessment, Judgement, Unjudged
from lm_eval_tasks.cli import main
from tests.judges.batch_endpoint import BatchEndpoint, Line, completion, good, result
from tests.judges.endpoint import GOOD_FORM
from tests.lm_eval_tasks.test_cli import TASK, AnchorEval, anchor_eval, make_run

__all__ = ["anchor_eval"]

RUBRIC = load_rubric()
STATEMENTS = [Statement("What is 2 + 2?", f"Because of reason {k}.") for k in range(10)]


def judge_at(endpoint: BatchEndpoint, folder: Path, pilot: int = 3) -> Judge:
    settings = {"model": "m", "base_url": endpoint.url, "patience": 2, "backoff": 0.01, "batch": True}
    plain = OpenAIBackend(*checked_settings(settings))
    backend = OpenAIBatchBackend(plain, poll=0.02, patience=1, pilot=pilot)
    return Judge(RUBRIC, backend, cache=ReplyCache(folder / "cache.sqlite"))


def assess(
    endpoint: BatchEndpoint, folder: Path, statements: Sequence[Statement] = STATEMENTS, pilot: int = 3
) -> list[Assessment]:
    with judge_at(endpoint, folder, pilot) as judge:
        return judge.assess_all(statements, progress=False)


def left_over(folder: Path) -> list[str]:
    return [path.name for path in (folder / "cache.sqlite.batches").glob("*")]


def reasons(found: Sequence[Assessment]) -> list[str]:
    return [str(one.outcome) for one in found if isinstance(one.outcome, Unjudged)]


def test_a_pilot_goes_the_normal_way_and_the_rest_as_a_batch(tmp_path: Path) -> None:
    with BatchEndpoint() as endpoint:
        with judge_at(endpoint, tmp_path) as judge:
            found = judge.assess_all(STATEMENTS, progress=False)
            keys = {judge._asking.key(judge._prompt.conversation(one)).hex() for one in STATEMENTS}
            assert judge.accounts.asked == judge.accounts.judged == 10
        assert all(isinstance(one.outcome, Judgement) for one in found)
        assert len(endpoint.bodies) == 3
        ((lines, *_),) = [endpoint.uploads]
        assert len(lines) == 7
        assert {line["custom_id"] for line in lines} < keys
        assert {(line["method"], line["url"]) for line in lines} == {("POST", "/v1/chat/completions")}
        normal = endpoint.bodies[0]
        assert all({**line["body"], "messages": normal["messages"]} == normal for line in lines)
        assert {found[-1].usage.prompt_tokens, found[0].usage.prompt_tokens} == {100, 300}  # type: ignore[union-attr]
        (batch,) = endpoint.batches.values()
        assert (batch["endpoint"], batch["completion_window"]) == ("/v1/chat/completions", "24h")
        assert left_over(tmp_path) == []
        again = assess(endpoint, tmp_path)
        assert [one.cached for one in again] == [True] * 10
        assert (len(endpoint.bodies), len(endpoint.uploads)) == (3, 1)


def test_lines_that_fail_or_are_missing_are_failed_and_asked_again(tmp_path: Path) -> None:
    def fate(line: Line) -> Line | None:
        text = line["body"]["messages"][-1]["content"]
        if "reason 3." in text:
            return None
        if "reason 4." in text:
            return result(line, None, error={"code": "batch_expired", "message": "not in time"})
        if "reason 5." in text:
            error = {"error": {"message": "The server had an error", "code": "server_error"}}
            return result(line, error, status=500)
        if "reason 6." in text:
            return result(line, {"error": {"message": "flagged", "code": "content_filter"}}, status=400)
        if "reason 7." in text:
            return result(line, {"odd": True})
        return good(line)

    with BatchEndpoint(fate) as endpoint:
        found = assess(endpoint, tmp_path)
        said = reasons(found)
        assert [isinstance(one.outcome, Judgement) for one in found] == [True] * 3 + [False] * 5 + [True] * 2
        assert said[0].startswith("failed (its batch has ended (completed) without a reply to it")
        assert "not in time" in said[1]
        assert "500: The server had an error" in said[2]
        assert said[3].startswith("refused")
        assert "no choices" in said[4]
        assert left_over(tmp_path) == []
        endpoint.fate = good
        again = assess(endpoint, tmp_path, pilot=0)
        assert all(isinstance(one.outcome, Judgement) for one in again)
        assert [one.cached for one in again] == [True] * 3 + [False] * 5 + [True] * 2
        assert len(endpoint.uploads[1]) == 5


def test_an_expired_batch_gives_what_was_done_in_time(tmp_path: Path) -> None:
    done = [f"reason {k}." for k in (3, 4)]
    with BatchEndpoint(
        lambda line: good(line) if any(one in str(line) for one in done) else None, ends="expired"
    ) as endpoint:
        found = assess(endpoint, tmp_path)
    assert [isinstance(one.outcome, Judgement) for one in found] == [True] * 5 + [False] * 5
    assert "has ended (expired)" in reasons(found)[0]


def test_a_batch_that_is_refused_as_a_whole_says_why(tmp_path: Path) -> None:
    errors = [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]
    with BatchEndpoint(ends="failed", errors=errors) as endpoint:
        found = assess(endpoint, tmp_path)
        why = "its batch has ended (failed: Enqueued token limit reached) without a reply to it"
        assert reasons(found) == [f"failed ({why}; run again, and it is asked again)"] * 7


def test_repeated_askings_are_lines_of_their_own(tmp_path: Path) -> None:
    several = [replace(STATEMENTS[0], repeat=k) for k in range(4)]
    replies = iter(("GOOD", "EXCELLENT", "UNSATISFACTORY", "SATISFACTORY"))
    names = [criterion.name for criterion in RUBRIC.criteria]
    with BatchEndpoint(
        lambda line: (
            result(line, completion("\n".join([f"{name}: {verdict}" for name in names])))
            if (verdict := next(replies))
            else None
        )
    ) as endpoint:
        first = assess(endpoint, tmp_path, several, pilot=0)
        assert len({str(one.outcome) for one in first}) == 4
        assert [one.outcome for one in assess(endpoint, tmp_path, several)] == [one.outcome for one in first]


def test_nothing_is_sent_where_the_pilot_brings_nothing(tmp_path: Path) -> None:
    with BatchEndpoint() as endpoint:
        endpoint.behave = lambda k, body, handler: handler.error(422, "not like this")
        with pytest.raises(BackendError, match=r"every request fails|no batch was sent"):
            assess(endpoint, tmp_path)
        endpoint.behave = lambda k, body, handler: handler.reply("I can't judge that.")
        many = [Statement("What?", f"{k}") for k in range(130)]
        with pytest.raises(BackendError, match="none of its first 100 replies has verdicts"):
            assess(endpoint, tmp_path, many, pilot=100)
        assert endpoint.uploads == []
        assert left_over(tmp_path) == []


def test_all_batches_are_on_disk_before_the_first_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_disk, "MOST_LINES", 3)
    seen = []
    home = tmp_path / "cache.sqlite.batches"

    def look() -> None:
        lines = [path.read_text().splitlines() for path in home.glob("anchor-*/requests.jsonl")]
        seen.append(sorted(map(len, lines)))

    with BatchEndpoint(on_upload=look) as endpoint:
        found = assess(endpoint, tmp_path)
        assert seen[0] == [1, 3, 3]
        assert (len(endpoint.batches), len(seen)) == (3, 3)
    assert all(isinstance(one.outcome, Judgement) for one in found)


def test_what_a_later_run_does_not_ask_for_stays_until_somebody_does(tmp_path: Path) -> None:
    with BatchEndpoint() as endpoint:
        endpoint.troubled.set()
        with pytest.raises(EndpointDownError, match="what was sent goes on there: run again"):
            assess(endpoint, tmp_path)
        endpoint.troubled.clear()
        some = assess(endpoint, tmp_path, STATEMENTS[:5])
        assert all(isinstance(one.outcome, Judgement) for one in some)
        assert len([name for name in left_over(tmp_path) if not name.startswith(".")]) == 1
        rest = assess(endpoint, tmp_path)
        assert all(isinstance(one.outcome, Judgement) for one in rest)
        assert (len(endpoint.bodies), len(endpoint.uploads), len(endpoint.batches)) == (3, 1, 1)
        assert left_over(tmp_path) == []


def test_a_key_that_the_provider_repeats_is_kept_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-planted-0123456789abcdef"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with BatchEndpoint(lambda line: result(line, completion(f"{GOOD_FORM}\nyour key is {key}"))) as endpoint:
        endpoint.troubled.set()
        with pytest.raises(EndpointDownError):
            assess(endpoint, tmp_path)
        endpoint.troubled.clear()
        some = assess(endpoint, tmp_path, STATEMENTS[:5])  # the rest of the results stays on disk
        assert endpoint.keys == {f"Bearer {key}"}
    assert "***" in str(some[4].raw)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "results.jsonl" for path in files)
    assert not [path for path in files if key.encode() in path.read_bytes()]


def judge_file(folder: Path, endpoint: BatchEndpoint) -> str:
    settings = {"backend": "openai", "model": "m", "base_url": endpoint.url, "batch": True, "batch_poll": 0.1}
    (folder / "judge.yaml").write_text(json.dumps(settings), encoding="utf-8")
    return "judge.yaml"


def until(what: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_that_is_stopped_between_upload_and_result_pays_for_nothing_twice(
    anchor_eval: AnchorEval,
) -> None:
    make_run(anchor_eval.folder / "m1", better=0.5, seed=1, judged=False, questions=50)
    with BatchEndpoint() as endpoint:
        endpoint.go.clear()
        score = ("score", "m1", "--judge", judge_file(anchor_eval.folder, endpoint), "--task", TASK)
        home = anchor_eval.folder / "cache.sqlite.batches"

        # kill -9 when the batch has been made, and before its maker knows.
        endpoint.answers_making = False
        process = anchor_eval.start(*score)
        assert endpoint.made.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        endpoint.answers_making = True
        (lines,) = endpoint.uploads
        assert (len(endpoint.bodies), len(lines) > 10) == (100, True)

        # Ctrl-C while it is waited for.
        process = anchor_eval.start(*score)
        until(lambda: any('"batch": "batch_0"' in path.read_text() for path in home.glob("*/batch.json")))
        os.kill(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 130
        assert "batches go on at the provider, and are paid for: start the same command again" in stderr

        endpoint.go.set()
        done = anchor_eval(*score)
        assert done.returncode == 0, done.stderr
        assert "judged: 150 of 150 responses" in done.stdout
        assert (len(endpoint.bodies), len(endpoint.uploads), len(endpoint.batches)) == (100, 1, 1)
        assert list(home.glob("*")) == []


def test_where_batches_make_no_sense_they_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache.sqlite"))
    given = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "batch": True}
    with pytest.raises(ConfigError, match="takes one base_url"):
        load_judge({**given, "base_url": ["http://127.0.0.1:9/v1", "http://127.0.0.1:8/v1"]})
    with pytest.raises(ConfigError, match="leave out --no-cache"):
        load_judge(given, cache=None)
    with pytest.raises(ConfigError, match="batch: true and executor: ray"):
        load_judge({**given, "executor": "ray"})
    with load_backend(given) as backend, pytest.raises(ConfigError, match="batch: true is for judges"):
        backend.replies([], load_judge(given).sampling)
    for name, seed in (("m1", 1), ("m2", 2)):
        make_run(tmp_path / name, better=0.5, seed=seed, judged=False, questions=3)
    (tmp_path / "judge.yaml").write_text(json.dumps(given), encoding="utf-8")
    gate = ["gate", "m1", "--baseline", "m2", "--margin", "0", "--judge", "judge.yaml"]
    refused = CliRunner().invoke(main, gate)
    assert refused.exit_code == 2
    assert "a gate has a few statements judged at a time" in refused.stderr


@pytest.mark.engine
def test_vllm_reads_the_same_lines(tmp_path: Path) -> None:
    run_batch = pytest.importorskip("vllm.entrypoints.launchers.run_batch")
    with BatchEndpoint() as endpoint:
        assess(endpoint, tmp_path, pilot=1)
        (lines,) = endpoint.uploads
    for line in lines:
        read = run_batch.BatchRequestInput.model_validate(line)
        assert read.body.messages[-1]["content"] == line["body"]["messages"][-1]["content"]
        assert read.body.structured_outputs.regex == line["body"]["structured_outputs"]["regex"]


def test_line_breaks_of_unicode_inside_a_reply_end_no_line(tmp_path: Path) -> None:
    def fate(line: Line) -> Line:
        return result(line, completion(f"{GOOD_FORM}\n\u2028\x85\u2029 done"))

    with BatchEndpoint(fate) as endpoint:
        endpoint.ensure_ascii = False
        found = assess(endpoint, tmp_path)
        assert reasons(found) == []
        assert left_over(tmp_path) == []


@pytest.mark.parametrize("status", [None, "200", "ok", True, -1, 99])
def test_a_strange_status_is_a_reply_or_a_failure_and_never_an_end(tmp_path: Path, status: object) -> None:
    def fate(line: Line) -> Line:
        row = good(line)
        row["response"]["status_code"] = status
        return row

    with BatchEndpoint(fate) as endpoint:
        found = assess(endpoint, tmp_path)
        assert len(reasons(found)) == (0 if status in (None, "200") else 7)
        assert left_over(tmp_path) == []


def test_lines_of_results_that_are_damaged_cost_themselves_alone(tmp_path: Path) -> None:
    with BatchEndpoint() as endpoint:
        endpoint.damage = lambda rows: ['{"custom_id": "cut', "[1]", "null", *rows[2:]]
        found = assess(endpoint, tmp_path)
        assert len(reasons(found)) == 2
        assert all("without a reply to it" in reason for reason in reasons(found))
        endpoint.damage = lambda rows: rows
        again = assess(endpoint, tmp_path, pilot=0)
        assert reasons(again) == []
        assert [len(lines) for lines in endpoint.uploads] == [7, 2]


def test_a_batch_that_the_provider_forgot_says_what_to_remove(tmp_path: Path) -> None:
    with BatchEndpoint() as endpoint:
        endpoint.ends = "forgotten"
        with pytest.raises(BackendError, match=r"404.*asked again once .*cache.sqlite.batches/anchor-"):
            assess(endpoint, tmp_path)
        (folder,) = (tmp_path / "cache.sqlite.batches").glob("anchor-*")
        shutil.rmtree(folder)
        endpoint.ends = "completed"
        assert reasons(assess(endpoint, tmp_path)) == []
