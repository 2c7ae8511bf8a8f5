"""From a folder with its card to a repository: looked through first, then shown, then sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judges.errors import ConfigError
from lm_eval_tasks.publishing.cards import check_card
from lm_eval_tasks.publishing.hub import Repository, connect, look, upload
from lm_eval_tasks.publishing.scan import check_folder, files_of
from lm_eval_tasks.tables import number_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Published:
    """What went up, or would.

    Attributes:
        repository: Where.
        files: Path within the folder and size in bytes of each file.
        card: The card.
        url: Its address; None if nothing was sent.
    """

    repository: Repository
    files: tuple[tuple[str, int], ...]
    card: str
    url: str | None

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "repository": self.repository.name,
            "type": self.repository.kind,
            "public": self.repository.public,
            "sent": self.url is not None,
            "url": self.url,
            "files": [{"path": path, "bytes": size} for path, size in self.files],
            "card": self.card,
        }

    def text(self) -> str:
        """For people: where it is, or what would go up, with the card."""
        total = sum(size for _, size in self.files)
        seen = "public" if self.repository.public else "private"
        count = number_of(len(self.files), "file")
        if self.url is not None:
            return f"{self.url} ({seen}): {count}, {_size(total)}"
        width = max(len(path) for path, _ in self.files)
        lines = [f"{path:<{width}}  {_size(size):>10}" for path, size in self.files]
        head = f"would go to {self.repository.name} ({self.repository.kind}, {seen}): {count}, {_size(total)}"
        return "\n".join([head, *lines, "", f"{CARD}:", "", self.card.rstrip()])


def ready(repository: Repository, *, dry_run: bool) -> HfApi | None:
    """Whether the repository can be written to, before anything is made for it; None for a dry run."""
    if dry_run:
        return None
    api = connect()
    look(api, repository)
    return api


def publish(
    folder: Path,
    repository: Repository,
    api: HfApi | None,
    *,
    message: str,
    allowed: Sequence[str] = (),
    own: Sequence[Path] = (),
) -> Published:
    """Looks through a folder with a card and sends it.

    Args:
        folder: What goes up, all of it.
        repository: Where to.
        api: The hub's client; None only looks.
        message: Of the commit.
        allowed: Addresses that may go up.
        own: Folders of this machine whose paths must not.

    Raises:
        ConfigError: If a key or an internal address would go up, or the card isn't one.
        PublishingError: If the hub refuses or fails.
    """
    card = (folder / CARD).read_text(encoding="utf-8")
    check_card(card, repository.kind)
    check_folder(folder, allowed=allowed, own=own)
    files = tuple((path.relative_to(folder).as_posix(), path.stat().st_size) for path in files_of(folder))
    if not files:
        raise ConfigError(f"{folder}: nothing to publish")
    url = None if api is None else upload(api, repository, folder, card, message)
    return Published(repository, files, card, url)


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"
