"""The page of the judges: an audit in words, linked from everywhere; no page without an audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from judges import Judge
from lm_eval_tasks.audit.audit import audit, audit_path, write_audit
from lm_eval_tasks.audit.plan import plan_of
from lm_eval_tasks.comparison.boards import collect
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.leaderboard.pages.site import write_site
from lm_eval_tasks.runs.discovery import find_runs, load_run
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.audit.known_judges import RUBRIC, always_good
from tests.lm_eval_tasks.leaderboard.conftest import SCREENS
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_an_audit_stands_on_the_page_of_the_judges(browser: Browser, tmp_path: Path) -> None:
    path = write_pocket_run(tmp_path / "runs", Explainer("m1"), questions=40)
    settings, runs = Settings(draws=100), tmp_path / "runs"
    write_site(collect(find_runs(runs), settings=settings), tmp_path / "plain", settings=settings)
    assert not (tmp_path / "plain" / "judges.html").exists()
    assert "judges.html" not in (tmp_path / "plain" / "index.html").read_text(encoding="utf-8")

    run = load_run(path)
    plan = plan_of([run], {TASK: load_task(TASK)}, RUBRIC, 32)
    with Judge(RUBRIC, always_good()) as judge:
        report = audit(
            run, plan, ("consistency", "order", "discrimination"), judge, models={}, progress=False
        )
        write_audit(audit_path(run, judge), report)
    write_site(collect(find_runs(runs), settings=settings), tmp_path / "site", settings=settings)

    page = browser.new_page(viewport={"width": 1280, "height": 900})
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"file://{tmp_path / 'site' / 'index.html'}")
    page.click("nav >> text=Judges")
    assert page.inner_text("h1") == "Can these judges be trusted?"
    first = page.inner_text(".findings li")
    assert first.startswith("Bad")
    assert "planted error" in first or "right from wrong" in first
    assert "criteria reversed" in page.inner_text("section table >> nth=1")
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / "judges.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=SCREENS / "judges-phone.png")
    page.close()
    assert complaints == []
