"""The same files in another place, without their bytes twice on disk where that can be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def linked(source: Path, target: Path) -> None:
    """Puts a file, or all files of a folder, in another place.

    Args:
        source: File or folder.
        target: What it is called there; folders above it are made.
    """
    for path in [source] if source.is_file() else source.rglob("*"):
        if not path.is_file():
            continue
        place = target / path.relative_to(source) if path != source else target
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            os.link(path, place)
        except OSError:
            shutil.copyfile(path, place)
