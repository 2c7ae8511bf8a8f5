"""Fixtures of the evaluation's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.talking_model import make_talking_model

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "questions"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Judges' replies go to a cache of this session, also from processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANCHOR_CACHE", str(tmp_path_factory.mktemp("cache") / "replies.sqlite"))
        yield


@pytest.fixture(scope="session")
def talking_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny model that mostly answers in the form the tasks ask for. Read only."""
    return make_talking_model(tmp_path_factory.mktemp("models") / "talking")


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
