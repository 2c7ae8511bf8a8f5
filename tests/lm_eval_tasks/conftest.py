"""Fixtures of the evaluation's tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "questions"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Judges' replies go to a cache of this session, also from processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHOR_CACHE", str(tmp_path_factory.mktemp("cache") / "replies.sqlite"))
        yield


@pytest.fixture(scope="session")
def original_questions() -> Path:
    """Folder with a few questions of each data set, in the layout of the original files."""
    return FIXTURES / "original"


@pytest.fixture(scope="session")
def hub_questions() -> Path:
    """The same questions in the hub's layouts."""
    return FIXTURES / "hub"


@pytest.fixture(scope="session")
def mirror_questions() -> Path:
    """The LogiQA questions in the layout of a third copy."""
    return FIXTURES / "mirror"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, if it is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium: apt-get install chromium, or set CHROMIUM to its path")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()
