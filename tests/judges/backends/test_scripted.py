from pathlib import Path

import pytest

from judges import ConfigError, EndpointDownError, Failure, Message, Reply, Sampling, answer_all, load_backend


def turn(text):
    return (Message("user", text),)


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return f"scripted:{path}"


def test_first_matching_entry_answers(tmp_path):
    spec = write(
        tmp_path / "replies.yaml",
        """
        replies:
          - match: France
            reply: Paris
          - match: lost
            failure: the network is away
          - match: '^say \\d$'
            reply: [one, two]
          - match: cut
            reply: half of
            finish_reason: length
        """,
    )
    with load_backend(spec) as backend:
        texts = ["capital of France?", "say 1", "say 2", "say 3", "lost", "cut", "unheard of"]
        outcomes = answer_all(backend, map(turn, texts), Sampling())
    assert [outcome.text for outcome in outcomes[:4]] == ["Paris", "one", "two", "one"]
    assert outcomes[4] == Failure("the network is away")
    assert outcomes[5].completions[0].finish_reason == "length"
    assert outcomes[6] == Failure("no entry of replies.yaml matches")


def test_n_completions_take_the_next_n(tmp_path):
    spec = write(tmp_path / "replies.jsonl", '{"reply": ["a", "b", "c"]}\n')
    with load_backend(spec) as backend:
        (reply,) = answer_all(backend, [turn("x")], Sampling(n=4, temperature=1))
    assert isinstance(reply, Reply)
    assert [completion.text for completion in reply.completions] == ["a", "b", "c", "a"]


def test_a_line_of_replies_ends_at_no_line_break_of_unicode(tmp_path):
    spec = write(tmp_path / "replies.jsonl", '{"reply": "one\u2028and\x85two"}\r\n\n')
    with load_backend(spec) as backend:
        (reply,) = answer_all(backend, [turn("x")], Sampling())
    assert isinstance(reply, Reply)
    assert reply.completions[0].text == "one\u2028and\x85two"


def test_seeded_order_depends_on_seed_and_conversation_alone(tmp_path):
    spec = write(tmp_path / "replies.yaml", "replies: [{reply: [a, b, c, d, e, f, g], order: seeded}]")
    turns = [turn(f"question {k}") for k in range(30)]
    with load_backend(spec) as backend:
        once = answer_all(backend, turns, Sampling(seed=1))
        backwards = answer_all(backend, turns[::-1], Sampling(seed=1))
        other_seed = answer_all(backend, turns, Sampling(seed=2))
    assert [reply.text for reply in once] == [reply.text for reply in backwards[::-1]]
    assert [reply.text for reply in once] != [reply.text for reply in other_seed]


def test_a_dead_endpoint_stops_the_batch(tmp_path):
    spec = write(tmp_path / "replies.yaml", "replies: [{match: end, down: it stopped}, {reply: a}]")
    with load_backend(spec) as backend:
        outcomes = backend.replies(map(turn, ["1", "the end", "3"]), Sampling())
        assert next(outcomes)[0] == 0
        with pytest.raises(EndpointDownError, match="it stopped"):
            next(outcomes)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("r.yaml", "replies: []", "at least 1"),
        ("r.yaml", "replies: [{match: a}]", "exactly one of reply, failure, down"),
        ("r.yaml", "replies: [{match: '(', reply: a}]", "not a regular expression"),
        ("r.yaml", "replies: [{mach: a, reply: b}]", "did you mean 'match'"),
        ("r.jsonl", '{"reply": "a"}\n{"reply"\n', "line 2 is not JSON"),
    ],
)
def test_a_wrong_file_is_named_with_its_mistake(tmp_path, name, content, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_backend(write(tmp_path / name, content))
    assert str(tmp_path / name) in str(caught.value)
