"""The site of runs that grow, over HTTP and in a browser."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from judges.records import BackendIdentity, Completion, Message, Reply, Sampling
from judges.storage.cache import ReplyCache
from lm_eval_tasks.comparison.boards import collect
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.leaderboard.pages.site import write_site
from lm_eval_tasks.leaderboard.view.live_site import LiveSite
from lm_eval_tasks.leaderboard.view.server import HOST, STATUS, serve
from lm_eval_tasks.runs.discovery import find_runs
from lm_eval_tasks.runs.under_way import REPLIES, begun
from tests.lm_eval_tasks.leaderboard.synthetic import BASE, SFT, Evaluation, write_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TASK = Evaluation(questions=6, repeats=2)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    write_run(folder, BASE, TASK)
    return folder


@contextmanager
def served(runs: Path, place: Path) -> Iterator[tuple[LiveSite, int]]:
    def build(target: Path, version: str) -> None:
        write_site(collect(find_runs(runs), settings=Settings(draws=100)), target, live=version)

    site = LiveSite(runs, place, build)
    with serve(site, 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield site, server.server_port
        finally:
            server.shutdown()


def get(port: int, path: str, host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.request("GET", path, headers={"Host": host or f"{HOST}:{port}"})
    reply = connection.getresponse()
    return reply.status, reply.read().decode("utf-8")


def test_an_open_page_shows_a_new_run_by_itself_and_keeps_its_filters(
    browser: Browser, runs: Path, tmp_path: Path
) -> None:
    with served(runs, tmp_path / "sites") as (site, port):
        assert site.refresh()
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"http://localhost:{port}/index.html#columns=accuracy")
        names = page.locator("table.board tbody th a")
        assert names.all_inner_texts() == ["base"]
        write_run(runs, SFT, TASK)
        assert not site.refresh(), "a run that has just changed may be half written"
        assert site.refresh()
        page.get_by_role("link", name="sft").first.wait_for(timeout=10_000)
        assert sorted(names.all_inner_texts()) == ["base", "sft"]
        assert page.evaluate("location.hash") == "#columns=accuracy"
        assert complaints == []
        page.close()
    assert not site.refresh(), "nothing changed, nothing is built"


def test_before_there_is_a_run_a_page_waits_and_says_how_far_its_replies_are(
    browser: Browser, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    store_replies(runs / "mine" / REPLIES, 3)
    with served(runs, tmp_path / "sites") as (site, port):
        assert not site.refresh()
        page = browser.new_page()
        page.goto(f"http://{HOST}:{port}/")
        assert "no run below it" in page.inner_text("body")
        assert "mine: 3 replies so far" in page.inner_text("body")
        write_run(runs, BASE, TASK)
        site.refresh()
        assert site.refresh()
        page.locator("table.board").wait_for(timeout=10_000)
        page.get_by_text("mine: 3 replies so far").wait_for(timeout=10_000)
        page.close()
    write_run(runs / "mine", BASE, TASK)
    assert begun(runs) == [], "once its log is there, a run is on the pages"


def store_replies(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True)
    identity = BackendIdentity("hf", "m", "")
    with ReplyCache(path) as cache:
        asking = cache.asking(identity, Sampling(), "")
        for sample in range(number):
            key = asking.key((Message("user", "Why?"),), sample)
            cache.put(asking, key, Reply((Completion("Because.", "stop"),), None, 1, 0.1), has_verdict=False)


def test_a_log_that_is_half_written_changes_nothing_and_is_told(runs: Path, tmp_path: Path) -> None:
    with served(runs, tmp_path / "sites") as (site, port):
        assert site.refresh()
        before = get(port, "/index.html")
        log = next(runs.rglob("samples_*.jsonl"))
        whole = log.read_text(encoding="utf-8")
        for summary in runs.rglob("judgements_*"):
            summary.unlink()
        log.write_text(whole[: len(whole) // 2], encoding="utf-8")
        site.refresh()
        assert not site.refresh()
        assert get(port, "/index.html") == before
        assert log.name in json.loads(get(port, STATUS)[1])["note"]
        log.write_text(whole, encoding="utf-8")
        site.refresh()
        assert site.refresh()
        assert json.loads(get(port, STATUS)[1])["note"] == ""


def test_only_this_machine_is_served_and_nothing_but_the_site(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("mine")
    with served(runs, tmp_path / "sites") as (site, port):
        site.refresh()
        assert get(port, "/")[0] == 200
        assert get(port, "/", host=f"evil.example:{port}")[0] == 421
        assert get(port, "/../../secret.txt")[0] == 404
        assert get(port, "/%2e%2e/%2e%2e/secret.txt")[0] == 404
        assert get(port, "/data/")[0] == 404


def test_a_run_that_changes_all_the_time_is_shown_all_the_same(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []
    site = LiveSite(runs, tmp_path / "sites", lambda target, version: built.append(version))
    site.refresh()
    monkeypatch.setattr("lm_eval_tasks.leaderboard.view.live_site.PATIENCE", 0.0)
    write_run(runs, replace(BASE, name="growing"), TASK)
    assert site.refresh()
    assert len(set(built)) == 2
