"""The whole loop: a page is drawn, filled in by a browser, exported, read in, and compared with the judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from judges import load_judge
from judges.records import Statement
from lm_eval_tasks.cli import main
from lm_eval_tasks.pocket.grading import find_story, grade
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.leaderboard.conftest import SCREENS
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def done(*arguments: object) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs that the ground truth has judged."""
    folder = tmp_path_factory.mktemp("runs")
    paths = []
    with load_judge("pocket-oracle:truth", cache=None) as judge:
        for explainer in (Explainer("m1", slips=0.15, bare=0), Explainer("base", slips=0.45, bare=1)):
            path = write_pocket_run(folder, explainer, questions=16, samples=2)
            score_task(load_run(path).task(TASK), load_task(TASK), judge, progress=False)
            paths.append(path)
    return paths[0], paths[1]


@pytest.fixture(scope="module")
def rating(runs: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a page on both runs."""
    folder = tmp_path_factory.mktemp("out") / "rating"
    said = done("annotate", *runs, "-n", 24, "-o", folder)
    assert "24 explanations to 12 questions" in said
    return folder


@pytest.fixture
def page(browser: Browser, rating: Path) -> Iterator[Page]:
    """The page, opened from its file; nothing may be wrong on it, and it loads nothing."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, accept_downloads=True, offline=True
    )
    opened = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(f"file://{rating}/index.html")
    yield opened
    context.close()
    assert complaints == []
    assert {url for url in requests if not url.startswith("blob:")} == {f"file://{rating}/index.html"}


def begin(page: Page, name: str) -> None:
    page.fill("#name", name)
    page.keyboard.press("Enter")
    page.wait_for_selector("#rate:not([hidden])")


def rate(page: Page, *, off: int = 0) -> None:
    """Rates what is shown by the keyboard, as the ground truth does, or worse by so many verdicts."""
    question, text = page.inner_text("#question"), page.inner_text("#explanation")
    story = find_story(question)
    assert story is not None
    for level in grade(story, text).levels().values():
        page.keyboard.press(str(min(4, level + off) + 1))
    page.keyboard.press("Enter")


def export(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#export")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_from_a_page_to_a_judge_like_any_other(page: Page, runs: tuple[Path, Path], rating: Path) -> None:
    begin(page, "Ann B.")
    for number in range(26):  # two come twice
        if number == 5:  # closed in between, and opened again
            page.reload()
            begin(page, "Ann B.")
            assert "6 of 26; 5 rated" in page.inner_text("#state")
        rate(page)
    page.wait_for_selector("#done:not([hidden])")
    ann = export(page, rating)
    assert ann.name == "ratings-ann-b.jsonl"
    rows = rows_of(ann)
    assert [len(rows), sum(row["repeat"] for row in rows)] == [26, 2]
    assert not any(secret in ann.read_text() for secret in ("m1", "base", "correct", "oracle"))

    page.reload()
    begin(page, "Ben")
    assert "1 of 26; 0 rated" in page.inner_text("#state")
    page.keyboard.press("s")
    for _ in range(25):
        rate(page, off=1)
    ben = export(page, rating)
    order = [row["statement"] for row in rows_of(ben)]
    assert order != [row["statement"] for row in rows]  # each has an order of their own

    said = done("score", runs[0], "--ratings", ann, "--ratings", ben)
    assert "24 ratings by Ann B., Ben on statements of this run" in said
    assert "left out: 24 ratings of another run's log" in said
    assert "skipped by the raters: 1" in said or "skipped" in done("score", runs[1], "--ratings", ben)
    done("score", runs[1], "--ratings", ann, "--ratings", ben)

    # The ground truth goes on standing for the runs, unless people are asked for by name.
    table = next(part for part in said.split("\n\n") if "ground-truth" in part or "pocket-oracle" in part)
    assert "human" in table
    run = load_run(runs[0]).task(TASK)
    assert run.judge is not None
    assert run.judge.backend == "pocket-oracle"
    assert set(run.judgements) >= {"human", "human-ann-b", "human-ben"}
    compared = done("compare", *runs, "--judge", "human-ann-b")
    assert "judge: human:Ann B." in compared
    by_truth = {
        (scored.question.id, number): sample.score
        for scored in run.read()
        for number, sample in enumerate(scored.responses)
    }
    mine = [
        (sample.score, by_truth[scored.question.id, number])
        for scored in load_run(runs[0], judge="human-ann-b").task(TASK).read()
        for number, sample in enumerate(scored.responses)
        if sample.score is not None
    ]
    assert len(mine) >= 12
    assert all(score == truth for score, truth in mine)
    # Of two people the worse verdict counts: Ben's.
    ours = load_run(runs[0], judge="human").task(TASK)
    assert ours.summary is not None
    assert ours.summary.notes == ("the median of 2 people: Ann B., Ben",)


def test_it_can_be_used_on_a_phone_and_by_touch(browser: Browser, rating: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"file://{rating}/index.html")
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "rating-start-phone.png", full_page=True)
    page.fill("#name", "Cleo")
    page.tap("button[type=submit]")
    for group in page.query_selector_all(".criterion"):
        group.query_selector_all("button")[1].tap()
    page.screenshot(path=SCREENS / "rating-phone.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.tap("#next")
    assert "2 of 26; 1 rated" in page.inner_text("#state")
    page.tap("#back")
    assert page.get_attribute(".criterion button:nth-child(2)", "aria-checked") == "true"
    page.set_viewport_size({"width": 1280, "height": 900})
    page.screenshot(path=SCREENS / "rating.png")
    context.close()


HOSTILE = '</script><script>document.title = 1</script><img src=x onerror="document.title=2"> {{ 1 }}'


def test_a_hostile_text_stays_text(browser: Browser, tmp_path: Path) -> None:
    from judges import load_rubric
    from lm_eval_tasks.people.page import write_page
    from lm_eval_tasks.people.statements import Shown, statement_id

    text = Statement(HOSTILE, HOSTILE + "\ud800\u2028")
    shown = Shown(
        statement_id(text.question, text.explanation), "t", "q", "s", text.question, text.explanation
    )
    path = write_page(tmp_path / "rating", [shown], load_rubric())
    page = browser.new_page()
    page.goto(f"file://{path}")
    begin(page, "Dan")
    assert page.inner_text("#question") == HOSTILE
    assert page.title() == "Rate explanations"
    page.close()
