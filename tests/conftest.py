"""Fixtures that every test folder shares: models made on the spot, and engines started once a session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.tiny_models import make_tiny_adapter, make_tiny_model

# Before any library reads them: no hub from tests, no thread pools that fight for two cores.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random 0.2M-parameter Llama with a chat template. Read only."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random LoRA adapter of ``tiny_model``. Read only."""
    return make_tiny_adapter(tmp_path_factory.mktemp("models") / "tiny-adapter", tiny_model)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real question sets; a test that needs it is skipped where it isn't."""
    folder = Path(os.environ.get("ANCHOR_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real question sets are not at {folder} (ANCHOR_SHARED_DATA names another folder)")
    return folder
