"""Budgets against a real endpoint: the limit holds, and a second run goes on where the first stopped."""

import pytest

from judges import Budget, BudgetSpentError, ConfigError, Statement, Usage, load_judge
from tests.judges.endpoint import GOOD_FORM, Endpoint
from tests.judges.test_judge import adds_up

TOKENS = (700, 45)


def statements(n):
    return [Statement("Which one?", f"because of {k}") for k in range(n)]


@pytest.fixture
def endpoint():
    with Endpoint(lambda k, b, h: h.reply(GOOD_FORM, tokens=TOKENS)) as running:
        yield running


def spec(endpoint, **more):
    prices = {"prompt": 1.0, "completion": 2.0}
    return {"backend": "openai", "model": "m", "base_url": endpoint.url, "prices": prices} | more


def assessed_within(budget, endpoint, cache, n=60):
    with load_judge(spec(endpoint), cache=cache, budget=budget) as judge:
        with pytest.raises(BudgetSpentError, match="only the rest is asked for"):
            judge.assess_all(statements(n), progress=False)
        assert adds_up(judge.accounts)
        return judge.accounts


def test_calls_are_counted_to_the_last_and_a_second_run_goes_on(endpoint, tmp_path):
    first = assessed_within(Budget(calls=25), endpoint, tmp_path / "c")
    assert (first.asked, first.judged, len(endpoint.bodies)) == (25, 25, 25)
    second = assessed_within(Budget(calls=25), endpoint, tmp_path / "c")
    assert (second.asked, second.cached, len(endpoint.bodies)) == (25, 25, 50)
    with load_judge(spec(endpoint), cache=tmp_path / "c", budget=Budget(calls=10)) as judge:
        assert len(judge.assess_all(statements(60), progress=False)) == 60
    assert set(endpoint.asked.values()) == {1}


@pytest.mark.parametrize(
    ("budget", "spent"),
    [
        (Budget(tokens=20_000), lambda usage: usage.prompt_tokens + usage.completion_tokens),
        (Budget(cost=0.02), lambda usage: usage.prompt_tokens + 2 * usage.completion_tokens),
    ],
)
def test_tokens_and_money_are_used_but_never_overspent(endpoint, tmp_path, budget, spent):
    accounts = assessed_within(budget, endpoint, tmp_path / "c")
    # What is left at the end is less than one request could come to: a token a byte, and 256 to write.
    assert 20_000 - 5_000 < spent(accounts.usage) <= 20_000
    assert accounts.usage == Usage(TOKENS[0] * accounts.asked, TOKENS[1] * accounts.asked)


def test_known_statements_cost_nothing(endpoint, tmp_path):
    with load_judge(spec(endpoint), cache=tmp_path / "c") as judge:
        judge.assess_all(statements(20), progress=False)
    with load_judge(spec(endpoint), cache=tmp_path / "c", budget=Budget(0, 0, 0.0)) as judge:
        assert len(judge.assess_all(statements(20) * 2, progress=False)) == 40


def test_a_reply_without_usage_counts_as_the_most_it_may_have_taken(tmp_path):
    body = {"choices": [{"message": {"content": GOOD_FORM}, "finish_reason": "stop"}]}
    with Endpoint(lambda k, b, h: h.json(body)) as endpoint:
        assessed_within(Budget(tokens=20_000), endpoint, tmp_path / "c")
        assert 1 < len(endpoint.bodies) < 20


def test_the_judge_file_may_set_limits_and_the_caller_others(endpoint):
    judge = load_judge(spec(endpoint, budget={"calls": 3, "cost": 1}), cache=None, budget=Budget(calls=5))
    with judge, pytest.raises(BudgetSpentError, match="budget of 5 calls"):
        judge.assess_all(statements(9), progress=False)
    assert judge.accounts.asked == 5


def test_money_without_prices_is_refused(endpoint):
    with pytest.raises(ConfigError, match="needs prices"):
        load_judge(spec(endpoint, prices=None), cache=None, budget=Budget(cost=1))


def test_an_estimate_asks_nothing_and_learns_from_the_cache(endpoint, tmp_path):
    given = [*statements(30), *statements(30), Statement("q", "x" * 200_000)]
    with load_judge(spec(endpoint), cache=tmp_path / "c") as judge:
        found = judge.estimate(given)
        assert (found.statements, found.calls, found.copies, found.too_long) == (61, 30, 30, 1)
        assert not found.measured
        assert "at 4 characters a token" in str(found)
        assert endpoint.bodies == []
        judge.assess_all(statements(20), progress=False)
    with load_judge(spec(endpoint), cache=tmp_path / "c") as judge:
        found = judge.estimate(given)
        assert (found.calls, found.cached, found.copies) == (10, 40, 10)
        assert found.measured
        assert found.prompt_tokens == pytest.approx(10 * TOKENS[0], rel=0.01)
        assert (found.completion_tokens, found.most_completion_tokens) == (450, 2560)
        assert found.price == pytest.approx((7000 + 2 * 450) / 1e6, rel=0.01)
        assert judge.accounts.asked == 0
