from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

from hypothesis import given
from hypothesis import strategies as st

from judges import Statement, load_judge
from judges.ordering import by_question
from tests.judges.endpoint import Endpoint

QUESTIONS = st.lists(st.sampled_from("abcd"))


def asked(questions: str) -> list[Statement]:
    return [Statement(question, str(k)) for k, question in enumerate(questions)]


def order(questions: str, window: int) -> str:
    return "".join(statement.question for _, statement in by_question(asked(questions), window))


def test_statements_of_a_question_come_together() -> None:
    assert order("abcabcabc", 9) == "aaabbbccc"
    assert order("abcabcabc", 100) == "aaabbbccc"
    assert order("aabbcc", 3) == "aabbcc"
    assert order("abab", 1) == "abab"


@given(QUESTIONS, st.integers(1, 8))
def test_each_comes_once_with_its_place(questions: list[str], window: int) -> None:
    statements = asked("".join(questions))
    found = list(by_question(statements, window))
    assert sorted(place for place, _ in found) == list(range(len(statements)))
    assert all(statements[place] == statement for place, statement in found)


@given(QUESTIONS, st.integers(1, 8))
def test_no_more_than_a_window_is_read_ahead(questions: list[str], window: int) -> None:
    read = 0

    def source() -> Iterator[Statement]:
        nonlocal read
        for statement in asked("".join(questions)):
            read += 1
            yield statement

    for handed_out, _ in enumerate(by_question(source(), window)):
        assert read - handed_out <= window


def test_the_source_may_be_endless() -> None:
    endless = (Statement(str(k % 7), str(k)) for k in count())
    assert len(list(islice(by_question(endless, 1000), 5000))) == 5000


def test_a_judge_asks_about_one_question_after_the_other() -> None:
    """Shuffled statements at a real endpoint, one request at a time; results keep their order."""
    seen = []

    def answer(number, body, handler):
        user = body["messages"][-1]["content"]
        seen.append(user.partition("<question>\n")[2][0])
        handler.reply("A B C D E")

    statements = asked("abcabcabc")
    with Endpoint(answer) as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url, "concurrency": 1}
        with load_judge({**spec, "verdict_form": "compact"}, cache=None) as judge:
            handed = [index for index, _ in judge.assess(statements)]
    assert "".join(seen) == "aaabbbccc"
    assert sorted(handed) == list(range(9))
