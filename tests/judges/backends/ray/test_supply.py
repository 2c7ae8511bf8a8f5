from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from judges.backends.ray.supply import RUN, Supply
from judges.records import Conversation
from tests.judges.backends.asking import ask


def questions(count: int) -> list[Conversation]:
    return [ask(str(number)) for number in range(count)]


def test_neighbours_go_to_one_worker() -> None:
    supply = Supply(questions(4 * RUN))
    first = [supply.take(0, 3), supply.take(1, 3), supply.take(0, RUN - 3)]
    assert [number for number, _ in first[0] + first[2]] == list(range(RUN))
    assert [number for number, _ in first[1]] == [RUN, RUN + 1, RUN + 2]


def test_nothing_is_pulled_before_it_is_wanted() -> None:
    pulled = 0

    def source() -> Iterator[Conversation]:
        nonlocal pulled
        while True:
            pulled += 1
            yield ask(str(pulled))

    supply = Supply(source())
    supply.take(0, 1)
    assert pulled == RUN
    supply.take(0, RUN - 1)
    assert pulled == RUN
    supply.take(1, 1)
    assert pulled == 2 * RUN


def test_a_worker_without_work_takes_what_another_has_not_begun() -> None:
    supply = Supply(questions(RUN))
    assert [number for number, _ in supply.take(0, 2)] == [0, 1]
    assert [number for number, _ in supply.take(1, 3)] == [2, 3, 4]


def test_what_was_lost_comes_first() -> None:
    supply = Supply(questions(3))
    lost = supply.take(0, 2)
    assert supply.lost(lost) == {}
    assert [number for number, _ in supply.take(1, 9)] == [0, 1, 2]
    assert supply.exhausted
    assert supply.answered(0) == 1
    assert supply.answered(2) == 0


def test_what_was_lost_often_is_asked_apart_and_given_up_when_it_was_alone() -> None:
    supply = Supply(questions(20))
    lost = supply.take(0, 20)
    supply.lost(lost)
    supply.lost(supply.take(0, 20))
    assert supply.exhausted
    assert not supply.empty
    groups = [supply.take_apart() for _ in range(3)]
    assert [len(group) for group in groups] == [8, 8, 4]
    assert supply.empty
    assert supply.lost(groups[0]) == {}  # the culprit is one of these
    alone = [supply.take_apart() for _ in range(8)]
    assert [len(group) for group in alone] == [1] * 8
    assert supply.lost(alone[5]) == {5: 4}
    assert supply.empty


@given(
    count=st.integers(0, 100),
    wishes=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.booleans()), max_size=60),
)
def test_each_conversation_is_answered_or_given_up_once(
    count: int, wishes: list[tuple[int, int, bool]]
) -> None:
    supply = Supply(questions(count))
    kept: list[int] = []
    for worker, most, lose in wishes:
        taken = supply.take(worker, most)
        assert len(taken) <= most
        assert taken or supply.exhausted
        if lose:
            kept += supply.lost(taken)
        else:
            kept += [number for number, _ in taken]
        if lose and (suspects := supply.take_apart()):
            kept += supply.lost(suspects)
    while rest := supply.take(0, 10) or supply.take_apart():
        kept += [number for number, _ in rest]
    assert supply.empty
    assert sorted(kept) == list(range(count))
