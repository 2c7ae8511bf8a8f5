"""Which endpoint is asked next."""

from judges.backends.openai.choice import DROPPED_AFTER, Standing, choose


def dropped(now: float = 0.0) -> Standing:
    standing = Standing()
    dropped_with = [standing.failure(now) for _ in range(DROPPED_AFTER + 3)]
    assert dropped_with.index(True) == DROPPED_AFTER - 1
    assert dropped_with.count(True) == 1
    return standing


def test_the_one_with_the_fewest_under_way_is_next() -> None:
    assert choose([Standing(3), Standing(1), Standing(2)], now=0) == 1


def test_where_it_just_failed_is_the_last_choice() -> None:
    assert choose([Standing(3), Standing(0)], now=0, avoid=1) == 0
    assert choose([Standing(3)], now=0, avoid=0) == 0


def test_one_that_asked_to_wait_is_left_alone() -> None:
    waiting = Standing(free_at=10)
    assert choose([waiting, Standing(9)], now=9) == 1
    assert choose([waiting, Standing(9)], now=10) == 0


def test_a_dropped_one_comes_back_with_one_request_at_a_time() -> None:
    dead, alive = dropped(now=0), Standing(50)
    assert choose([dead, alive], now=4) == 1
    assert choose([dead, alive], now=5) == 0
    dead.under_way = 1
    assert choose([dead, alive], now=5) == 1
    assert dead.success()
    assert choose([dead, alive], now=5) == 0
    assert not dead.success()


def test_each_rest_is_longer_up_to_a_minute() -> None:
    standing, now, rests = dropped(), 0.0, []
    for _ in range(6):
        rests.append(standing.rests_until - now)
        now = standing.rests_until
        standing.failure(now)
    assert rests == [5, 10, 20, 40, 60, 60]


def test_if_all_are_dead_the_one_that_rests_the_shortest_is_tried() -> None:
    assert choose([dropped(now=3), dropped(now=1)], now=4) == 1
