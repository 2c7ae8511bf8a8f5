"""The site in a real browser, opened from its files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lm_eval_tasks.comparison.boards import Collection
from lm_eval_tasks.records import ScoredResponse
from tests.lm_eval_tasks.leaderboard.conftest import HOSTILE, MALLORY, SCREENS

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
Visit = Callable[..., "Page"]
PHONE = {"viewport": {"width": 375, "height": 780}, "is_mobile": True, "device_scale_factor": 2}


def models(page: Page, task: str) -> list[str]:
    """Names in the first column of a task's table, as they stand and are seen."""
    rows = page.locator(f'section[data-task="{task}"] table.board tbody tr:visible th a')
    return rows.all_inner_texts()


def column(page: Page, task: str, head: str) -> Locator:
    return page.locator(f'section[data-task="{task}"] th', has_text=re.compile(f"^{head}"))


def test_a_click_on_a_head_sorts_and_says_so_and_a_second_click_turns_it(visit: Visit) -> None:
    page = visit("index.html#task=arc_explain")
    head = column(page, "arc_explain", "Accuracy")
    ranked = models(page, "arc_explain")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    best_first = models(page, "arc_explain")
    place = head.evaluate("head => head.cellIndex + 1")
    cells = page.locator(f'section[data-task="arc_explain"] table.board tbody tr > :nth-child({place})').all()
    values = [float(cell.get_attribute("data-value") or "nan") for cell in cells]
    assert values == sorted(values, reverse=True)
    assert sorted(best_first) == sorted(ranked)
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.locator('section[data-task="arc_explain"] [aria-sort]:not([aria-sort="none"])').count() == 1


def heads(page: Page) -> list[str]:
    shown = page.locator("section:visible table.board thead th:visible").all_inner_texts()
    return [" ".join(name.split()) for name in shown]


@pytest.mark.parametrize(
    ("screen", "least"),
    [
        (
            {"viewport": {"width": 1280, "height": 900}},
            ["Rank", "Model", "Win − loss vs base", "Accuracy", "Readable", "Score"],
        ),
        (PHONE, ["Model", "Win − loss vs base", "Accuracy", "Readable"]),
    ],
)
def test_the_board_fits_the_screen_with_the_columns_that_matter_most(
    visit: Visit, screen: dict[str, object], least: list[str]
) -> None:
    page = visit("index.html#task=arc_explain", **screen)
    frame = page.locator("section:visible .scroll:has(table.board)")
    assert frame.evaluate("frame => frame.scrollWidth - frame.clientWidth") == 0
    shown = heads(page)
    assert [name for name in shown if name in least] == least
    assert "more" not in (frame.get_attribute("class") or "")
    every = page.locator('section[data-task="arc_explain"] table.board thead th').count()
    assert page.locator("#columns-shown").inner_text() == f"({len(shown)} of {every})"
    assert len(shown) < every


def test_columns_are_chosen_and_the_choice_is_in_the_address(visit: Visit) -> None:
    page = visit("index.html#task=arc_explain", viewport={"width": 900, "height": 900})
    fitting = heads(page)
    assert "Words" not in fitting
    page.locator("#columns summary").click()
    page.get_by_role("checkbox", name="Words").check()
    page.get_by_role("checkbox", name="Accuracy", exact=True).uncheck()
    assert heads(page) == [*(name for name in fitting if name != "Accuracy"), "Words"]
    for name in ("Clarity", "Relevance", "Judge", "Date"):
        page.get_by_role("checkbox", name=name, exact=True).check()
    frame = page.locator("section:visible .scroll:has(table.board)")
    expect(frame, "nothing says that the table goes on").to_have_class(re.compile("more"))
    frame.evaluate("frame => { frame.scrollLeft = frame.scrollWidth; }")
    expect(frame).not_to_have_class(re.compile("more"))
    again = visit("index.html" + page.evaluate("location.hash"), viewport={"width": 900, "height": 900})
    assert heads(again) == heads(page)
    page.get_by_role("button", name="As many as fit").click()
    assert heads(page) == fitting
    sorted_by = visit("index.html#task=arc_explain&sort=words", **PHONE)
    assert "Words" in heads(sorted_by)


def test_rows_without_a_value_stand_last_in_both_directions(visit: Visit) -> None:
    page = visit("index.html#task=arc_explain&sort=margin&order=descending")
    assert models(page, "arc_explain")[-1] == "base"
    column(page, "arc_explain", "Win").get_by_role("button").click()
    assert models(page, "arc_explain")[-1] == "base"


def test_the_filters_are_in_the_address_and_come_back_with_it(visit: Visit) -> None:
    page = visit("index.html")
    page.get_by_role("button", name="logiqa", exact=True).click()
    page.get_by_label("Model or judge").fill("anch")
    assert models(page, "logiqa_explain") == ["anchor", "anchor-seed2"]
    assert models(page, "arc_explain") == []
    assert page.get_by_role("status").inner_text() == "2 of 6 rows"
    again = visit("index.html" + page.evaluate("location.hash"))
    assert models(again, "logiqa_explain") == ["anchor", "anchor-seed2"]
    assert again.get_by_role("button", name="logiqa", exact=True).get_attribute("aria-pressed") == "true"


def test_a_run_that_does_not_fit_is_in_no_main_table_and_says_why(visit: Visit) -> None:
    page = visit("index.html#task=*")
    assert "visitor" not in models(page, "arc_explain") + models(page, "logiqa_explain")
    apart = page.locator("section", has=page.get_by_role("heading", name="arc, judged by another-judge"))
    assert "another-judge" in apart.locator(".warning").inner_text()
    apart = page.locator("section", has=page.get_by_role("heading", name="logiqa, 2 samples"))
    assert "samples a question 2 instead of 4" in apart.locator(".warning").inner_text()


def test_a_switch_compares_them_anyway_with_the_warning_and_back(visit: Visit) -> None:
    page = visit("index.html#task=logiqa_explain")
    assert page.get_by_role("button", name="logiqa, compared anyway").count() == 0
    page.get_by_role("button", name="Compare anyway").click()
    section = page.locator("section:visible", has=page.locator("table.board"))
    assert section.locator("h2").inner_text() == "logiqa, compared anyway"
    assert "different samples a question" in section.locator(".warning").inner_text()
    assert {"visitor", "anchor", "base"} <= set(models(page, "logiqa_explain (anyway)"))
    page.get_by_role("button", name="Compare anyway").click()
    assert page.locator("section:visible h2").first.inner_text() == "logiqa"
    other = visit("pairs/visitor--base.html")
    assert "otherwise than base: samples a question 2 instead of 4" in other.locator("header").inner_text()


def test_the_table_reads_without_scripts(visit: Visit) -> None:
    page = visit("index.html", java_script_enabled=False)
    assert len(models(page, "arc_explain")) == 7
    assert not page.locator("#filters").is_visible()


def test_two_models_stand_side_by_side_with_verdicts_and_the_judges_reply(visit: Visit) -> None:
    page = visit("samples.html#task=arc_explain&a=anchor&b=base&q=arc_explain-0007")
    left, right = page.locator(".side").all()
    assert (left.locator("h3").inner_text(), right.locator("h3").inner_text()) == ("anchor", "base")
    names = ["Factual Accuracy", "Logical Coherence", "Clarity", "Relevance", "Depth of Argumentation"]
    assert left.locator("dt").all_inner_texts() == names
    assert len(left.get_by_role("radio").all()) == 4
    left.get_by_text("The judge's reply").click()
    assert left.locator(".reply").inner_text().startswith("Factual Accuracy: ")
    right.get_by_role("radio").nth(2).click()
    assert "t=2" in page.evaluate("location.hash")


def test_a_permanent_link_opens_the_same_question_samples_and_filters(visit: Visit) -> None:
    page = visit("samples.html#task=logiqa_explain&a=sft&b=base&show=losses")
    page.keyboard.press("j")
    page.locator(".side").first.get_by_role("radio").nth(1).click()
    expect(page.locator("[data-side=s] [aria-checked=true]")).to_have_accessible_name(re.compile("^Sample 2"))
    shown = page.locator("#detail").inner_text()
    link = page.get_by_role("link", name="Permanent link").get_attribute("href")
    again = visit(f"samples.html{link}")
    assert again.locator("#detail").inner_text() == shown
    assert again.locator("#show").input_value() == "losses"


@pytest.mark.parametrize("kind", ["losses", "wins", "ties", "wrong", "allwrong", "unreadable", "unjudged"])
def test_filters_keep_the_questions_that_the_logs_say(
    visit: Visit, collection: Collection, kind: str
) -> None:
    page = visit(f"samples.html#task=arc_explain&a=tiny&b=base&show={kind}")
    board = next(board for board in collection.main if board.task == "arc_explain")
    tiny, base = (board.entries[name].task_run.questions for name in ("tiny", "base"))
    expected = sum(_matches(kind, tiny[id], base[id]) for id in tiny)
    assert page.locator("#count").inner_text() == f"{expected} of 70 questions"


def _matches(kind: str, one: object, other: object) -> bool:
    from lm_eval_tasks.stats.win_rate import rates

    a, b = one.responses, other.responses  # type: ignore[attr-defined]
    scores = [[sample.score for sample in side if sample.score is not None] for side in (a, b)]
    margin = rates(*scores).margin if all(scores) else None

    def wrong(sample: ScoredResponse) -> bool:
        return sample.response.choice is not None and not sample.correct

    return {
        "losses": margin is not None and margin < 0,
        "wins": margin is not None and margin > 0,
        "ties": margin == 0,
        "wrong": any(wrong(sample) for sample in a),
        "allwrong": all(wrong(sample) for sample in a),
        "unreadable": any(not sample.response.readable for sample in (*a, *b)),
        "unjudged": any(s.response.explanation is not None and s.score is None for s in (*a, *b)),
    }[kind]


def badges(page: Page) -> list[int]:
    """Win - loss of the questions in the list that can be compared, in points."""
    shown = page.locator("#list .badge").all_inner_texts()
    return [int(text.replace("\u2212", "-")) for text in shown if text != "\u2013"]


@pytest.mark.parametrize(("order", "sign"), [("losses", 1), ("wins", -1)])
def test_the_clearest_differences_come_first_if_asked(visit: Visit, order: str, sign: int) -> None:
    page = visit(f"samples.html#task=arc_explain&a=anchor&b=base&order={order}")
    found = badges(page)
    assert len(set(found)) > 3
    assert found == sorted(found, key=lambda margin: sign * margin)
    assert page.locator("#order").input_value() == order
    assert "anchor's wins minus losses against base on it, in points" in page.locator("#legend").inner_text()


def test_a_verdict_on_a_criterion_filters_and_stays_in_links(visit: Visit, collection: Collection) -> None:
    page = visit("samples.html#task=arc_explain&a=anchor&b=base&criterion=clarity")
    page.get_by_label("Verdict on the first").select_option("EXCELLENT")
    board = next(board for board in collection.main if board.task == "arc_explain")
    scored = board.entries["anchor"].task_run.questions.values()
    expected = sum(any((s.verdicts or {}).get("clarity") == "EXCELLENT" for s in q.responses) for q in scored)
    assert 0 < expected < 70
    expect(page.locator("#count")).to_have_text(f"{expected} of 70 questions")
    chosen = page.locator(".side").first.locator(".verdicts dt.chosen + dd")
    assert chosen.inner_text() == "excellent", "the sample that has it is the one that is shown"
    link = page.get_by_role("link", name="Permanent link").get_attribute("href") or ""
    assert "verdict=EXCELLENT" in link
    again = visit(f"samples.html{link}")
    assert again.locator("#count").inner_text() == f"{expected} of 70 questions"


def test_what_a_model_was_asked_is_shown_as_it_was_sent(visit: Visit, collection: Collection) -> None:
    page = visit("samples.html#task=arc_explain&a=anchor&b=base&q=arc_explain-0030")
    side = page.locator(".side").first
    side.get_by_text("What the model was asked").click()
    board = next(board for board in collection.main if board.task == "arc_explain")
    question = next(one for one in board.questions if one.id == "arc_explain-0030")
    shown = side.locator("details", has_text="What the model was asked").locator(".reply")
    expect(shown).to_have_text(["Explain, then choose.", f"Question:\n{question.question}"])


def test_keys_are_told_where_there_is_a_keyboard(visit: Visit) -> None:
    assert visit(PAGES["samples"]).locator(".keys").is_visible()
    assert not visit(PAGES["samples"], has_touch=True, **PHONE).locator(".keys").is_visible()


def test_a_criterion_changes_who_wins_a_question(visit: Visit) -> None:
    page = visit("samples.html#task=arc_explain&a=anchor&b=base&show=losses")
    whole = page.locator("#count").inner_text()
    page.get_by_label("Compared by").select_option("clarity")
    expect(page.locator("#count")).not_to_have_text(whole)
    assert page.locator("dt.chosen").first.inner_text() == "Clarity"


def test_search_finds_text_of_questions_at_once_and_of_explanations_if_asked(visit: Visit) -> None:
    page = visit("samples.html#task=arc_explain&a=anchor&b=base")
    page.get_by_label("Search").fill("a quick check")
    expect(page.locator("#count")).to_have_text("0 of 70 questions")
    page.get_by_label("in explanations, too").check()
    expect(page.locator("#count")).to_have_text(re.compile(r"^[1-9]\d* of 70 questions$"))
    page.get_by_label("Search").fill("no text of these runs says this")
    expect(page.locator("#detail")).to_have_text("No question matches these filters.")


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_hostile_explanations_are_shown_as_text_and_do_nothing(visit: Visit, place: int) -> None:
    page = visit(f"samples.html#task=arc_explain&a=mallory-b-co&b=base&q=arc_explain-{place:04d}")
    text = page.locator(".side .explanation").first.text_content() or ""
    assert text.startswith(HOSTILE[place][:60])
    if len(HOSTILE[place]) > 100_000:
        assert len(text) < 10_000
        page.get_by_role("button", name="Show all 1,050,000 characters").click()
        assert len(page.locator(".side .explanation").first.text_content() or "") == len(HOSTILE[place])
    assert page.title().startswith("Explanations")
    assert page.locator(".side img, .side script").count() == 0


def test_a_hostile_name_is_text_on_every_page(visit: Visit) -> None:
    page = visit("index.html#task=arc_explain")
    assert MALLORY in models(page, "arc_explain")
    page.get_by_role("link", name=MALLORY).first.click()
    assert page.locator("h1").inner_text() == MALLORY
    assert page.locator("main b").count() == 0


def test_the_address_may_hold_anything(visit: Visit) -> None:
    page = visit(
        "samples.html#task=<script>&a=__proto__&b=constructor&show=toString&criterion=x&q=nothing&s=-3&t=99"
    )
    assert page.locator(".side").count() == 2


PAGES = {
    "leaderboard": "index.html",
    "task": "index.html#task=arc_explain",
    "model": "models/anchor.html",
    "pair": "pairs/anchor--base.html",
    "samples": "samples.html#task=logiqa_explain&a=anchor&b=base&show=losses",
}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("look", ["desktop", "phone", "dark", "print"])
def test_each_page_fits_and_leaves_a_picture(visit: Visit, name: str, look: str) -> None:
    options = {"phone": PHONE, "dark": {"color_scheme": "dark"}}.get(look, {})
    page = visit(PAGES[name], **options)
    if look == "print":
        page.emulate_media(media="print")
    else:
        width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert width == 0, "the page scrolls sideways"
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENS / f"{name}-{look}.png", full_page=True)


@pytest.mark.parametrize("name", PAGES)
def test_everything_can_be_reached_by_name_and_keyboard(visit: Visit, name: str) -> None:
    page = visit(PAGES[name])
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, select")].filter(
             node => node.checkVisibility() &&
             !(node.textContent.trim() || node.ariaLabel || node.labels?.length)).length"""
    )
    assert unnamed == 0
    assert page.locator("table:not(:has(caption)):visible").count() == 0
    assert page.locator("h1").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        for target in re.findall(r'(?:href|src)="([^"#]+)', page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_a_table_that_goes_on_behind_its_edge_says_so_on_every_page(visit: Visit) -> None:
    for name in ("model", "pair"):
        page = visit(PAGES[name], **PHONE)
        frames = page.locator(".scroll:visible").all()
        cut = [frame for frame in frames if frame.evaluate("one => one.scrollWidth > one.clientWidth + 1")]
        assert cut
        for frame in frames:
            if any(frame.evaluate("(one, other) => one === other", other.element_handle()) for other in cut):
                expect(frame).to_have_class(re.compile("more"))
            else:
                expect(frame).not_to_have_class(re.compile("more"))


def test_a_first_view_reads_five_files_however_many_there_are(visit: Visit, site: Path) -> None:
    task = "arc_explain-anyway"
    page = visit(f"samples.html#task={task}&a=anchor&b=base")
    page.add_init_script(
        """window.asked = [];
           new MutationObserver(seen => {
             for (const node of seen.flatMap(one => [...one.addedNodes]))
               if (node.localName === "script") asked.push(node.getAttribute("src") || "");
           }).observe(document, { childList: true, subtree: true })"""
    )
    page.reload()
    page.wait_for_selector("body[data-ready]")
    files = [src.removeprefix("data/") for src in page.evaluate("asked") if src.startswith("data/")]
    assert sorted(files) == sorted(
        [f"{task}/questions.js"]
        + [f"{task}/{run}/{name}.js" for run in ("anchor", "base") for name in ("index", "0")]
    )
    assert len(list((site / "data" / task / "anchor").glob("[0-9]*.js"))) > 1


CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")
"""Gives every text that is seen with its contrast and the least that WCAG 2.2 asks of its size (AA)."""


@pytest.mark.parametrize("name", ["task", "model", "pair", "samples"])
@pytest.mark.parametrize("look", ["light", "dark"])
def test_every_text_has_the_contrast_that_wcag_asks_for(visit: Visit, name: str, look: str) -> None:
    page = visit(PAGES[name], color_scheme=look, viewport={"width": 1280, "height": 12_000})
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = page.evaluate(CONTRAST)
    assert len(found) > 60
    faint = [one for one in found if one["contrast"] < one["least"]]
    assert faint == []


def test_a_text_that_is_too_faint_would_be_found(visit: Visit) -> None:
    page = visit(PAGES["model"], viewport={"width": 1280, "height": 12_000})
    assert [one for one in page.evaluate(CONTRAST) if one["contrast"] < one["least"]] == []
    page.evaluate("document.querySelector('h1').style.opacity = .4")
    page.evaluate("document.querySelector('.chart.wide text.tick').style.fill = '#bbb'")
    faint = [one["text"] for one in page.evaluate(CONTRAST) if one["contrast"] < one["least"]]
    assert len(faint) == 2
    assert "anchor" in faint


@pytest.mark.parametrize("name", ["task", "model", "pair"])
def test_letters_of_charts_are_never_smaller_than_11_pixels(visit: Visit, name: str) -> None:
    page = visit(PAGES[name])
    for width in (320, 390, 639, 641, 900, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        sizes = page.evaluate(
            """() => [...document.querySelectorAll("svg.chart text")].filter(
                 text => text.getBoundingClientRect().width).map(
                 text => parseFloat(getComputedStyle(text).fontSize) *
                         Math.hypot(text.getScreenCTM().a, text.getScreenCTM().b))"""
        )
        assert len(sizes) > 10
        assert min(sizes) >= 11 - 1e-6, width
