import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from judges import (
    BackendError,
    BackendIdentity,
    Completion,
    DataError,
    EndpointDownError,
    Judge,
    Judgement,
    Prices,
    Reply,
    ReplyCache,
    Statement,
    Unjudged,
    Usage,
    load_backend,
    load_judge,
    load_rubric,
)
from judges.judge_info import JudgeInfo
from judges.spending.accounts import REASONS
from tests.judges.endpoint import GOOD_FORM, Endpoint

REPLIES = f"""
replies:
  - match: unreadable
    reply: I like it.
  - match: cut short
    reply: "Factual Accuracy: GO"
    finish_reason: length
  - match: indecent
    reply: I can't help with that.
    finish_reason: refused
  - match: lost
    failure: the network is away
  - reply: {json.dumps(GOOD_FORM)}
"""


@pytest.fixture
def scripted(tmp_path):
    (tmp_path / "replies.yaml").write_text(REPLIES)
    return f"scripted:{tmp_path / 'replies.yaml'}"


def statements(*explanations):
    return [Statement("Which one?", explanation) for explanation in explanations]


def adds_up(accounts):
    assert accounts.statements == accounts.cached + accounts.copies + accounts.asked + accounts.too_long
    assert accounts.statements == accounts.judged + sum(accounts.unjudged.values())
    assert accounts.asked == accounts.answered + accounts.failed
    assert accounts.requests == accounts.asked + accounts.retried
    return True


def test_every_statement_gets_verdicts_or_a_reason(scripted):
    with load_judge(scripted, cache=None) as judge:
        assessments = judge.assess_all(
            statements("good", "unreadable", "cut short", "indecent", "lost", "x" * 1_000_000), progress=False
        )
    assert assessments[0].outcome == Judgement(
        {
            "factual_accuracy": "GOOD",
            "logical_coherence": "EXCELLENT",
            "clarity": "SATISFACTORY",
            "relevance": "NEEDS IMPROVEMENT",
            "depth": "UNSATISFACTORY",
        }
    )
    assert judge.rubric.score(assessments[0].outcome) == 4 + 5 + 3 + 1 + 0
    reasons = [assessment.outcome.reason for assessment in assessments[1:]]
    assert reasons == ["unparsable", "truncated", "refused", "failed", "failed"]
    raw = [assessment.raw for assessment in assessments[1:5]]
    assert raw == ["I like it.", "Factual Accuracy: GO", "I can't help with that.", None]
    assert "at most 100,000" in assessments[5].outcome.detail

    accounts = judge.accounts
    assert adds_up(accounts)
    assert (accounts.judged, accounts.too_long, accounts.coverage) == (1, 1, 1 / 6)
    assert accounts.unjudged == dict(zip(REASONS, (1, 1, 1, 2), strict=True))
    assert "1 of 6 judged (1 unparsable, 1 truncated, 1 refused, 2 failed)" in str(accounts)


def test_identical_statements_are_judged_once(scripted, tmp_path):
    explanations = ["good", "better", "lost", "unreadable"] * 5
    with load_judge(scripted, cache=tmp_path / "cache.sqlite") as judge:
        assessments = judge.assess_all(statements(*explanations), progress=False)
        accounts = judge.accounts
    assert adds_up(accounts)
    assert (accounts.asked, accounts.cached + accounts.copies) == (4, 16)
    assert all(same.outcome == assessments[0].outcome for same in assessments[::4])
    assert assessments[0].cached is False
    assert all(copy == replace(assessments[3], cached=True) for copy in assessments[7::4])


def test_a_warm_cache_makes_no_call_and_tells_the_first_calls_cost(tmp_path):
    cache = tmp_path / "cache.sqlite"
    with Endpoint(lambda k, b, h: h.reply(GOOD_FORM, tokens=(1000, 50))) as endpoint:
        spec = {
            "backend": "openai",
            "model": "m",
            "base_url": endpoint.url,
            "prices": {"prompt": 2.0, "completion": 10.0},
        }
        given = statements(*map(str, range(20)))
        with load_judge(spec, cache=cache) as judge:
            cold = judge.assess_all(given, progress=False)
            assert judge.accounts.price == pytest.approx(20 * (1000 * 2 + 50 * 10) / 1e6)
        assert endpoint.paths["/v1/chat/completions"] == 20
        paths = dict(endpoint.paths)
        with load_judge(spec, cache=cache) as judge:
            warm = judge.assess_all(given, progress=False)
            assert judge.info.constrained is None
            accounts = judge.accounts
        assert dict(endpoint.paths) == paths
    assert adds_up(accounts)
    assert (accounts.cached, accounts.asked, accounts.requests, accounts.price) == (20, 0, 0, 0.0)
    assert [replace(assessment, cached=False) for assessment in warm] == cold
    assert warm[0].price == pytest.approx(0.0025)


def test_only_what_stayed_unjudged_is_asked_again(tmp_path):
    broken = {"2", "5"}

    def some_broken(k, body, handler):
        text = body["messages"][-1]["content"]
        bad = any(f"\n{number}\n" in text for number in broken)
        handler.reply("hm" if bad else GOOD_FORM)

    with Endpoint(some_broken, owned_by=None) as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "form": "none"}
        given = statements(*map(str, range(8)))
        with load_judge(spec, cache=tmp_path / "c") as judge:
            first = judge.assess_all(given, progress=False)
        broken.clear()
        with load_judge(spec, cache=tmp_path / "c") as judge:
            second = judge.assess_all(given, progress=False)
            assert (judge.accounts.asked, judge.accounts.cached) == (2, 6)
    assert [isinstance(a.outcome, Unjudged) for a in first] == [k in (2, 5) for k in range(8)]
    assert all(isinstance(a.outcome, Judgement) for a in second)


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"sampling": {"temperature": 0.5}},
        {"sampling": {"max_tokens": 99}},
        {"sampling": {"seed": 1}},
        {"extra_body": {"top_k": 1}},
    ],
)
def test_another_request_is_never_answered_from_the_cache(tmp_path, change):
    with Endpoint() as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url}
        for settings in (spec, spec | change):
            with load_judge(settings, cache=tmp_path / "c") as judge:
                judge.assess_all(statements("a"), progress=False)
                assert judge.accounts.cached == 0


def test_another_rubric_is_never_answered_from_the_cache(scripted, tmp_path):
    rubric = load_rubric()
    for version in ("1", "2"):
        backend, cache = load_backend(scripted), ReplyCache(tmp_path / "c")
        with Judge(replace(rubric, version=version), backend, cache=cache) as judge:
            judge.assess_all(statements("a"), progress=False)
            assert judge.accounts.cached == 0


def test_accounts_are_exact_when_requests_fail(tmp_path):
    def every_third_fails(k, body, handler):
        if k % 3 == 2:
            handler.error(500, "now and then")
        else:
            handler.reply(GOOD_FORM, tokens=(107, 3))

    with Endpoint(every_third_fails) as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "backoff": 0.01}
        with load_judge(spec, cache=tmp_path / "c") as judge:
            assessments = judge.assess_all(statements(*map(str, range(100))), progress=False)
            accounts = judge.accounts
        assert accounts.requests == len(endpoint.bodies) == sum(a.attempts for a in assessments)
    assert adds_up(accounts)
    assert accounts.judged == accounts.answered == 100
    assert accounts.retried == accounts.requests - 100 > 0
    assert accounts.usage == Usage(10_700, 300)


def test_a_clock_that_jumps_does_no_harm(tmp_path, monkeypatch):
    """Wall-clock time runs back and forth by years; waits and time-outs go by another clock."""
    jumps = itertools.cycle([2_000_000_000.0, 1_000_000_000.0, 0.0])
    monkeypatch.setattr(time, "time", lambda: next(jumps))

    def now_and_then_told_to_wait(k, body, handler):
        if k % 10 == 3:
            handler.error(429, "wait", retry_after="0.05")
        else:
            handler.reply(GOOD_FORM)

    with Endpoint(now_and_then_told_to_wait) as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "timeout": 30, "concurrency": 8}
        with load_judge(spec, cache=tmp_path / "c") as judge:
            assessments = judge.assess_all(statements(*map(str, range(100))), progress=False)
            accounts = judge.accounts
        assert accounts.requests == len(endpoint.bodies)
        with load_judge(spec, cache=tmp_path / "c") as judge:
            judge.assess_all(statements(*map(str, range(100))), progress=False)
            assert judge.accounts.cached == 100
    assert adds_up(accounts)
    assert accounts.judged == 100
    assert all(0 <= assessment.seconds < 30 for assessment in assessments)
    assert 0 < accounts.seconds < 300


def test_statements_are_pulled_and_handed_out_as_a_stream(scripted, tmp_path):
    with load_judge(scripted, cache=tmp_path / "c") as judge:
        endless = (Statement("q", str(k)) for k in itertools.count())
        first = list(itertools.islice(judge.assess(endless), 50))
        assert judge.accounts.statements == 50
    assert sorted(index for index, _ in first) == list(range(50))


def test_a_long_stretch_of_known_statements_does_not_pile_up(scripted, tmp_path, monkeypatch):
    monkeypatch.setattr("judges.judge._LOOKAHEAD", 10)
    known = [str(k) for k in range(200)]
    with load_judge(scripted, cache=tmp_path / "c") as judge:
        judge.assess_all(statements(*known), progress=False)
    pulled = 0

    def mixed():
        nonlocal pulled
        for explanation in ["new", *known, "newer", *known]:
            pulled += 1
            yield Statement("Which one?", explanation)

    with load_judge(scripted, cache=tmp_path / "c") as judge:
        for handed, _ in enumerate(judge.assess(mixed(), read_ahead=5)):
            assert pulled - handed <= 17
        assert judge.accounts.statements == 402
        assert judge.accounts.asked == 2


def test_a_dead_endpoint_leaves_what_was_answered(tmp_path):
    with Endpoint() as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "backoff": 0.01, "patience": 0.1}
        given = statements(*map(str, range(40)))
        endpoint.behave = lambda k, b, h: h.reply(GOOD_FORM) if k < 25 else h.drop()
        with load_judge(spec | {"concurrency": 1}, cache=tmp_path / "c") as judge:
            with pytest.raises(EndpointDownError):
                judge.assess_all(given, progress=False)
            assert judge.accounts.judged == 25
        endpoint.behave = lambda k, b, h: h.reply(GOOD_FORM)
        with load_judge(spec, cache=tmp_path / "c") as judge:
            judge.assess_all(given, progress=False)
            assert (judge.accounts.cached, judge.accounts.asked) == (25, 15)


def test_a_judge_that_writes_no_verdicts_is_given_up(scripted):
    with load_judge(scripted, cache=None) as judge:
        handed = []
        with pytest.raises(
            BackendError, match=r"none of its first 100 replies has verdicts; the latest: unpars"
        ):
            handed.extend(judge.assess(statements(*(f"unreadable {number}" for number in range(1000)))))
    assert len(handed) == 100


def test_a_judge_that_has_given_verdicts_may_fail_for_long(scripted):
    texts = ["fine", *(f"cut short {number}" for number in range(300)), *(f"lost {n}" for n in range(300))]
    with load_judge(scripted, cache=None) as judge:
        assert len(judge.assess_all(statements(*texts), progress=False)) == 601
    assert (judge.accounts.judged, judge.accounts.unjudged["truncated"]) == (1, 300)


def test_what_a_good_judge_could_not_judge_may_be_asked_again_by_itself(scripted, tmp_path):
    hopeless = [f"cut short {number}" for number in range(150)]
    with load_judge(scripted, cache=tmp_path / "c.sqlite") as judge:
        judge.assess_all(statements("fine", *hopeless), progress=False)
    with load_judge(scripted, cache=tmp_path / "c.sqlite") as judge:
        assert len(judge.assess_all(statements(*hopeless), progress=False)) == 150
        assert (judge.accounts.asked, judge.accounts.judged) == (150, 0)


def test_prices_of_cached_tokens():
    prices = Prices(prompt=2, completion=10, cached_prompt=1)
    assert prices.of(Usage(1_000_000, 100_000, 400_000)) == pytest.approx(0.6 * 2 + 0.4 * 1 + 1)
    assert Prices(2, 10).of(Usage(1_000_000, 0, 400_000)) == 2


def test_info_goes_through_json(scripted):
    with load_judge(scripted, cache=None) as judge:
        info = judge.info
    assert JudgeInfo.from_json(info.to_json()) == info
    assert (info.units, info.max_score, info.slug) == (5, 25, "scripted-replies.yaml-explanation-quality")


# --- Sudden ends ------------------------------------------------------------------------------------------

SCORER = """
import sys
from judges import Statement, load_judge
url, cache, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
spec = {"backend": "openai", "model": "m", "base_url": url, "concurrency": 8, "timeout": 60}
from pathlib import Path
with load_judge(spec, cache=Path(cache)) as judge:
    for index, assessment in judge.assess(Statement("q", f"number {k}") for k in range(n)):
        pass
    print(judge.accounts.asked, judge.accounts.cached, judge.accounts.judged)
"""


def scorer(endpoint, cache, n):
    root = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", SCORER, endpoint.url, str(cache), str(n)],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stored(cache):
    with ReplyCache(cache) as replies:
        return replies.stats().replies


def test_a_killed_run_asks_only_for_the_rest(tmp_path):
    """kill -9 at half a dozen moments: what had been stored is never asked for again."""
    cache, n = tmp_path / "cache.sqlite", 400
    victim, kill_at = None, None
    lock = threading.Lock()

    def behave(k, body, handler):
        with lock:
            if kill_at is not None and k == kill_at:
                victim.kill()
        handler.reply(GOOD_FORM)

    with Endpoint(behave) as endpoint:
        for kill in range(6):
            before, asked_before = (stored(cache) if cache.exists() else 0), len(endpoint.bodies)
            kill_at = asked_before + 3 + (kill * 14) % 29
            victim = scorer(endpoint, cache, n)
            assert victim.wait() == -signal.SIGKILL
            # 8 may be under way; the rest is stored.
            assert len(endpoint.bodies) - asked_before <= stored(cache) - before + 8
        kill_at = None
        before = stored(cache)
        last = scorer(endpoint, cache, n)
        output, errors = last.communicate()
        assert output.split() == [str(n - before), str(before), str(n)], errors
        assert stored(cache) == n
        again, _ = scorer(endpoint, cache, n).communicate()
    assert again.split() == ["0", str(n), str(n)]


def test_ctrl_c_ends_a_run_soon_though_the_endpoint_hangs(tmp_path):
    with Endpoint(lambda k, b, h: h.reply(GOOD_FORM) if k < 5 else h.hang()) as endpoint:
        process = scorer(endpoint, tmp_path / "cache.sqlite", 100)
        while len(endpoint.bodies) < 13:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode != 0
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert stored(tmp_path / "cache.sqlite") == 5


def test_two_scorers_share_one_cache(tmp_path):
    cache, n = tmp_path / "cache.sqlite", 150
    with Endpoint() as endpoint:
        both = [scorer(endpoint, cache, n) for _ in range(2)]
        for process in both:
            output, errors = process.communicate()
            assert output.split()[2] == str(n), errors
    assert stored(cache) == n


def test_what_arrives_is_stored_while_the_caller_does_something_else(tmp_path):
    with Endpoint() as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "concurrency": 8}
        with load_judge(spec, cache=tmp_path / "c") as judge:
            stream = judge.assess(Statement("q", f"number {k}") for k in range(100))
            next(stream)
            # Twice the concurrency is pulled; all of it is answered though nobody takes the answers.
            while stored(tmp_path / "c") < 16:
                time.sleep(0.01)
            assert (judge.accounts.answered, judge.accounts.judged) == (16, 1)
            stream.close()
        assert len(endpoint.bodies) == 16
        with load_judge(spec, cache=tmp_path / "c") as judge:
            judge.assess_all([Statement("q", f"number {k}") for k in range(100)], progress=False)
            assert (judge.accounts.cached, judge.accounts.asked) == (16, 84)


def test_a_reply_that_cannot_be_stored_ends_the_run(tmp_path):
    with Endpoint() as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url}
        with load_judge(spec, cache=tmp_path / "c") as judge:
            with closing(sqlite3.connect(tmp_path / "c")) as other:
                other.execute("DROP TABLE replies")
            with pytest.raises(DataError, match="no such table"):
                judge.assess_all(statements("a", "b"), progress=False)


class Stray:
    """A backend of another package that answers what nobody asked, or the same thing twice."""

    identity = BackendIdentity("stray", "m")
    constrains = False

    def __init__(self, *numbers):
        self.numbers = numbers

    def replies(self, conversations, sampling):
        list(conversations)
        for number in self.numbers:
            yield number, Reply((Completion(GOOD_FORM),))

    def close(self):
        pass


def test_an_answer_that_nobody_asked_for_is_an_error():
    with (
        Judge(load_rubric(), Stray(0, 2, 1)) as judge,
        pytest.raises(BackendError, match="request 2 unasked"),
    ):
        judge.assess_all(statements("a", "b"), progress=False)
    with Judge(load_rubric(), Stray(0, 0)) as judge, pytest.raises(BackendError, match="request 0 unasked"):
        judge.assess_all(statements("a", "b"), progress=False)
    with Judge(load_rubric(), Stray(1)) as judge:
        first, second = judge.assess_all(statements("a", "b"), progress=False)
        assert adds_up(judge.accounts)
    assert "gave no answer" in first.outcome.detail
    assert isinstance(second.outcome, Judgement)
