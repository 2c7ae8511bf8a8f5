from judges import Accounts, Usage


def test_reuse_of_prefixes_is_told_where_the_engine_tells_of_it() -> None:
    accounts = Accounts(usage=Usage(prompt_tokens=200, completion_tokens=12, cached_prompt_tokens=150))
    assert accounts.prefix_reuse == 0.75
    assert accounts.to_json()["prefix_reuse"] == 0.75
    assert "200 + 12 tokens (75% of the prompts reused)" in str(accounts)


def test_an_engine_that_tells_nothing_is_not_taken_for_one_that_reuses_nothing() -> None:
    accounts = Accounts(usage=Usage(prompt_tokens=200, completion_tokens=12))
    assert accounts.prefix_reuse is None
    assert "reused" not in str(accounts)
