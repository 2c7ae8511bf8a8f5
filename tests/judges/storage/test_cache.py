import sqlite3
import threading
from pathlib import Path

import pytest

from judges import BackendIdentity, Completion, DataError, Message, Reply, ReplyCache, Sampling, Usage
from judges.storage.cache import default_cache_path

IDENTITY = BackendIdentity("openai", "m", (("base_url", "http://localhost"),))
CONVERSATION = (Message("system", "rate"), Message("user", "this \u00e9 \U0001f600"))
REPLY = Reply((Completion("Clarity: GOOD"),), Usage(10, 3, 2), attempts=2, seconds=0.5)


def asking(cache, identity=IDENTITY, sampling=None, rubric="r1"):
    return cache.asking(identity, sampling or Sampling(), rubric)


def test_a_reply_comes_back_as_it_was_stored(tmp_path):
    path = tmp_path / "folder" / "cache.sqlite"
    with ReplyCache(path) as cache:
        judge = asking(cache)
        key = judge.key(CONVERSATION)
        assert cache.get(key) is None
        cache.put(judge, key, REPLY, has_verdict=True)
    with ReplyCache(path) as cache:
        assert asking(cache).key(CONVERSATION) == key
        assert cache.get(key) == REPLY
        stats = cache.stats()
        assert (stats.replies, stats.with_verdict) == (1, 1)
        assert stats.by_judge == (("openai:m@http://localhost", "r1", 1),)
        assert stats.bytes > 0
        assert cache.clear() == 1
        assert cache.get(key) is None
        assert cache.stats().replies == 0


def test_the_key_holds_the_whole_request(tmp_path):
    with ReplyCache(None) as cache:
        judges = [
            asking(cache),
            asking(cache, identity=BackendIdentity("openai", "n", IDENTITY.details)),
            asking(cache, identity=BackendIdentity("openai", "m", (("base_url", "http://other"),))),
            asking(cache, sampling=Sampling(temperature=0.1)),
            asking(cache, sampling=Sampling(stop=("x",))),
            asking(cache, rubric="r2"),
        ]
        conversations = [CONVERSATION, CONVERSATION[::-1], CONVERSATION[1:], (Message("user", "rate"),)]
        keys = [j.key(c, sample) for j in judges for c in conversations for sample in (0, 1)]
    assert len(set(keys)) == len(keys)


def test_a_reply_without_verdict_does_not_overwrite_one_with(tmp_path):
    with ReplyCache(None) as cache:
        judge = asking(cache)
        key = judge.key(CONVERSATION)
        worse = Reply((Completion("hm"),))
        cache.put(judge, key, worse, has_verdict=False)
        assert cache.get(key) == worse
        cache.put(judge, key, REPLY, has_verdict=True)
        cache.put(judge, key, worse, has_verdict=False)
        assert cache.get(key) == REPLY
        assert cache.stats().with_verdict == 1


def test_text_that_is_not_unicode_is_stored_all_the_same():
    with ReplyCache(None) as cache:
        judge = asking(cache)
        key = judge.key((Message("user", "half \ud800"),))
        cache.put(judge, key, Reply((Completion("half \ud800"),)), has_verdict=False)
        assert cache.get(key).text == "half ?"


def damaged(path: Path) -> None:
    with ReplyCache(path) as cache:
        judge = asking(cache)
        for k in range(200):
            cache.put(judge, judge.key(CONVERSATION, k), REPLY, has_verdict=True)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xde\xad" * ((len(content) - 4096) // 2)
    path.write_bytes(content)


def no_database(path: Path) -> None:
    path.write_text("these are my notes, not a database" * 100)


def of_another_program(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA application_id = 77; CREATE TABLE mine (x);")
    connection.close()


def of_the_future(path: Path) -> None:
    ReplyCache(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (damaged, "damaged"),
        (no_database, "no SQLite file"),
        (of_another_program, "another program"),
        (of_the_future, "newer version"),
        (a_folder, "can't be opened"),
    ],
)
def test_a_file_that_cannot_serve_is_said_in_one_line(tmp_path, make, complaint):
    path = tmp_path / "cache.sqlite"
    make(path)

    def use():
        with ReplyCache(path) as cache:
            judge = asking(cache)
            cache.put(judge, judge.key(CONVERSATION), REPLY, has_verdict=True)

    with pytest.raises(DataError, match=complaint) as caught:
        use()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_place_where_no_file_can_be_made_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cache .*file/cache\.sqlite"):
        ReplyCache(tmp_path / "file" / "cache.sqlite")
    with pytest.raises(DataError, match="cache /proc/"):
        ReplyCache(Path("/proc/cache.sqlite"))


def test_a_lock_that_is_never_released_is_said_in_one_line(tmp_path):
    path = tmp_path / "cache.sqlite"
    with ReplyCache(path, patience=0.1) as cache:
        judge = asking(cache)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataError, match="another process holds it locked"):
            cache.put(judge, judge.key(CONVERSATION), REPLY, has_verdict=True)
        other.execute("ROLLBACK")
        other.close()
        cache.put(judge, judge.key(CONVERSATION), REPLY, has_verdict=True)


def test_a_full_disk_stops_the_run_and_keeps_what_is_there(tmp_path):
    path = tmp_path / "cache.sqlite"
    with ReplyCache(path) as cache:
        judge = asking(cache)
        cache.put(judge, judge.key(CONVERSATION), REPLY, has_verdict=True)
        # SQLite's own limit on the file's size gives the very error that a full disk gives.
        pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
        cache._connection.execute(f"PRAGMA max_page_count = {pages + 2}")

        def fill():
            for k in range(1, 10_000):
                cache.put(judge, judge.key(CONVERSATION, k), REPLY, has_verdict=True)

        with pytest.raises(DataError, match="the disk is full"):
            fill()
    with ReplyCache(path) as cache:
        assert cache.get(judge.key(CONVERSATION)) == REPLY


def test_many_writers_lose_nothing(tmp_path):
    path = tmp_path / "cache.sqlite"

    def write(writer):
        with ReplyCache(path) as cache:
            judge = asking(cache)
            for k in range(50):
                cache.put(judge, judge.key(CONVERSATION, 1000 * writer + k), REPLY, has_verdict=True)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ReplyCache(path) as cache:
        assert cache.stats().replies == 300


def test_a_new_file_may_be_opened_by_several_at_once(tmp_path):
    problems = []

    def open_at_once(path, gate):
        gate.wait()
        try:
            ReplyCache(path).close()
        except DataError as error:
            problems.append(error)

    for attempt in range(40):
        gate = threading.Barrier(8)
        arguments = (tmp_path / f"{attempt}.sqlite", gate)
        threads = [threading.Thread(target=open_at_once, args=arguments) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not problems


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "mine.sqlite"))
    assert default_cache_path() == tmp_path / "mine.sqlite"
    monkeypatch.delenv("ANCHOR_CACHE")
    assert default_cache_path().parts[-2:] == ("anchored-explanations", "replies.sqlite")


def test_keys_stay_as_they_were_before_there_were_tokens_for_thoughts() -> None:
    with ReplyCache(None) as cache:
        known = cache.asking(BackendIdentity("vllm", "m"), Sampling(seed=3), "r")
        assert known.digest.hex() == "00b91f69747bd8cde53af20e917a47a7"
        thinking = cache.asking(BackendIdentity("vllm", "m"), Sampling(seed=3, thinking_tokens=9), "r")
        assert thinking.digest != known.digest


def test_replies_of_a_batch_are_stored_all_or_none(tmp_path):
    path = tmp_path / "cache.sqlite"
    with ReplyCache(path) as cache:
        judge = asking(cache)
        keys = [judge.key(CONVERSATION, sample) for sample in range(4)]
        cache.put_all((judge, key, REPLY) for key in keys[:2])
        pages = sqlite3.connect(path).execute("PRAGMA page_count").fetchone()[0]
        cache._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        long = Reply((Completion("x" * 100_000),))
        with pytest.raises(DataError, match="the disk is full"):
            cache.put_all([(judge, keys[2], REPLY), (judge, keys[3], long)])
        assert [cache.get(key) for key in keys] == [REPLY, REPLY, None, None]
        cache.put_all([(judge, keys[2], REPLY)])
    with ReplyCache(path) as cache:
        assert [cache.get(key) for key in keys] == [REPLY, REPLY, REPLY, None]
