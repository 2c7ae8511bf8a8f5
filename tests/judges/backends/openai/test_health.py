from judges.backends.openai.health import EndpointHealth


def test_a_few_failures_are_no_reason_to_give_up():
    health = EndpointHealth(patience=60, backoff=0.5)
    assert not any(health.failure(now) for now in (0, 1, 2, 3))
    health.success()
    assert not any(health.failure(now) for now in (100, 101, 102, 103, 104, 160))


def test_an_endpoint_that_answered_gets_its_patience():
    health = EndpointHealth(patience=60, backoff=0.5)
    health.success()
    assert [health.failure(now) for now in (1000, 1010, 1020, 1030, 1060, 1061)] == [False] * 5 + [True]


def test_an_endpoint_that_never_answered_is_given_up_sooner():
    health = EndpointHealth(patience=60, backoff=0.5)
    assert [health.failure(now) for now in (0, 1, 2, 3, 4, 5.5)] == [False] * 5 + [True]


def test_waits_that_it_asks_for_do_not_count_against_it():
    health = EndpointHealth(patience=10, backoff=0.5)
    health.success()
    health.failure(0)
    health.hold(0, 100)
    assert health.pause_before(40) >= 60
    assert health.pause_before(100) == 0
    assert not any(health.failure(now) for now in (101, 102, 103, 104, 105, 110))
    assert health.failure(111)


def test_many_lost_conversations_in_a_row_are_enough():
    health = EndpointHealth(patience=1e9, backoff=0.5)
    assert [health.lost() for _ in range(20)] == [False] * 19 + [True]
    health.success()
    assert not health.lost()


def test_the_backoff_doubles_up_to_a_limit():
    health = EndpointHealth(patience=1, backoff=0.5)
    for attempts, longest in ((1, 0.5), (2, 1), (5, 8), (20, 30), (1000, 30)):
        assert longest / 2 <= health.backoff_after(attempts) <= longest
