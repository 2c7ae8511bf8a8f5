"""One site of eight made-up runs for all tests here, and a real browser to read it with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lm_eval_tasks.comparison.boards import Collection, collect
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.leaderboard.pages.site import write_site
from lm_eval_tasks.runs.discovery import find_runs
from tests.lm_eval_tasks.leaderboard.synthetic import BASE, SIX, Evaluation, FakeModel, write_run, write_runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SCREENS = Path(__file__).parents[3] / "build" / "screens"
"""Where the tests leave a picture of each page."""

HOSTILE = (
    "<script>document.title = 'hurt'</script>",
    "</textarea></script><img src=x onerror=\"document.title = 'hurt'\">",
    "{{ 7*7 }} {% raw %} ${7*7} <!-- \u2028 \u2029 ]]>",
    "long " * 210_000,
)
"""What a model might write, the last of them a megabyte."""

ARC = Evaluation(task="arc_explain", questions=70, repeats=4, seed=1)
LOGIQA = Evaluation(task="logiqa_explain", questions=40, repeats=4, context=True, seed=2)
VISITOR = FakeModel("visitor", 0.6, 0.6)
MALLORY = "mallory & <b>co"


def _hostile(text: str, question: str, sample: int) -> str:
    place = int(question.rsplit("-", 1)[1])
    return HOSTILE[place] if sample == 0 and place < len(HOSTILE) else text


@pytest.fixture(scope="session")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six models on two tasks, one with a hostile name and hostile texts on one, and one that doesn't fit."""
    folder = tmp_path_factory.mktemp("runs")
    write_runs(folder, SIX, ARC, LOGIQA)
    write_run(folder, VISITOR, replace(ARC, judge="openai:another-judge"), replace(LOGIQA, repeats=2))
    mallory = replace(BASE, name=MALLORY, unreadable=0.0, unjudged=0.0)
    write_run(folder, mallory, replace(ARC, retext=_hostile))
    return folder


@pytest.fixture(scope="session")
def collection(runs_folder: Path) -> Collection:
    """The runs, compared with few draws."""
    return collect(find_runs(runs_folder), baseline="base", settings=Settings(draws=200))


@pytest.fixture(scope="session")
def site(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site."""
    folder = tmp_path_factory.mktemp("out") / "site"
    write_site(collection, folder, settings=Settings(draws=200))
    return folder


@pytest.fixture
def visit(browser: Browser, site: Path) -> Iterator[Callable[..., Page]]:
    """Opens a page of the site from its file; at the end nothing may have been wrong on any of them."""
    contexts: list[Any] = []
    complaints: list[str] = []
    requests: list[str] = []

    def open_page(path: str, **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"file://{site}/{path}")
        if path.startswith("samples"):
            page.wait_for_selector("body[data-ready]")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(f"file://{site}/")] == []
