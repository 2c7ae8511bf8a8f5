"""How long the sample browser takes until it shows a question, with many replies, in Chromium.

    python -m benchmarks.sample_browser [--replies 100000] [--folder build/browser]

Two made-up runs on one task; the site is opened from its files, and as ``anchor-eval view`` serves it. Every
time is from the beginning of the navigation to the first question on the screen, without a cache.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import time
from pathlib import Path
from threading import Thread

from playwright.sync_api import Browser, sync_playwright

from lm_eval_tasks.comparison.boards import collect
from lm_eval_tasks.leaderboard.pages.site import write_site
from lm_eval_tasks.leaderboard.view.live_site import LiveSite
from lm_eval_tasks.leaderboard.view.server import HOST, serve
from lm_eval_tasks.runs.discovery import find_runs
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, BASE, Evaluation, write_runs

SAMPLES = 16
ADDRESS = "samples.html#task=pocket_explain&a=anchor&b=base"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--replies", type=int, default=100_000, help="of each of the two runs")
    parser.add_argument("--folder", type=Path, default=Path("build/browser"))
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    site = given.folder / "site"
    if not site.is_dir():
        runs = given.folder / "runs"
        write_runs(runs, (ANCHOR, BASE), Evaluation(questions=given.replies // SAMPLES, repeats=SAMPLES))
        started = time.perf_counter()
        collection = collect(find_runs(runs), baseline="base")
        compared = time.perf_counter()
        print(write_site(collection, site).text())
        print(f"comparing {compared - started:.1f} s, writing {time.perf_counter() - compared:.1f} s")
    sizes = {path.name: path.stat().st_size for path in (site / "data").rglob("*.js")}
    largest = max(sizes, key=sizes.__getitem__)
    print(f"{len(sizes)} data files, the largest {largest} of {sizes[largest] / 1e6:.1f} MB")
    live = LiveSite(given.folder, given.folder / "served", lambda target, version: None)
    live._folder = site
    with sync_playwright() as driver, serve(live, 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        bases = {"file": f"file://{site.absolute()}", "served": f"http://{HOST}:{server.server_port}"}
        for kind, base in bases.items():
            times = [first_view(browser, f"{base}/{ADDRESS}") for _ in range(given.repeats)]
            print(f"{kind}: first view {statistics.median(times):.2f} s (median of {len(times)}: {times})")
        print(steps(browser, f"{bases['file']}/{ADDRESS}"))
        server.shutdown()


def first_view(browser: Browser, address: str) -> float:
    """Seconds until the first question stands there."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        started = time.perf_counter()
        page.goto(address, wait_until="commit")
        page.wait_for_selector("#detail .side .explanation")
        return round(time.perf_counter() - started, 3)


def steps(browser: Browser, address: str) -> str:
    """What a click costs then: the next question, another order, a filter."""
    said = []
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("body[data-ready]")
        for name, act in (
            ("next question", lambda: page.keyboard.press("j")),
            ("clearest losses first", lambda: page.select_option("#order", "losses")),
            ("by clarity", lambda: page.select_option("#criterion", "clarity")),
            ("search", lambda: page.fill("#find", "greenhouse")),
        ):
            before = page.get_attribute("body", "data-ready")
            started = time.perf_counter()
            act()
            page.wait_for_function("before => document.body.dataset.ready !== before", arg=before)
            said.append(f"{name} {time.perf_counter() - started:.2f} s")
    return "; ".join(said)


if __name__ == "__main__":
    main()
