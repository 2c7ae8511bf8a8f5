"""Cards: the README with YAML in front by which the hub knows what a repository holds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from judges.errors import ConfigError
from lm_eval_tasks.publishing.hub import RepositoryType

TAG = "anchored-explanations"
_PACKAGE = "anchored-explanations"
_MARKS = re.compile(r"([\\`*_{}\[\]<>|#])")


class _SpeltOut(yaml.SafeDumper):
    """YAML without anchors: what stands twice is written twice, for readers that know none."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def card(head: Mapping[str, Any], parts: Sequence[str]) -> str:
    """A card of its front matter and its paragraphs; keys without a value are left out."""
    known = {key: value for key, value in head.items() if value not in (None, [], {}, "")}
    front = yaml.dump(known, Dumper=_SpeltOut, sort_keys=False, allow_unicode=True, width=1000).strip()
    body = "\n\n".join(part for part in parts if part)
    return f"---\n{front}\n---\n\n{body}\n"


def check_card(text: str, kind: RepositoryType) -> None:
    """Reads a card as the hub's own client reads it.

    Raises:
        ConfigError: If it can't.
    """
    from huggingface_hub import DatasetCard, ModelCard, SpaceCard

    reader = {"model": ModelCard, "dataset": DatasetCard, "space": SpaceCard}[kind]
    try:
        reader(text)
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"the card can't be read by huggingface_hub: {' '.join(str(error).split())}"
        ) from None


def plain(text: object) -> str:
    """A foreign text in one line of Markdown that shows it as it is, also in a table's cell."""
    return _MARKS.sub(r"\\\1", " ".join(str(text).split()))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; cells are Markdown already."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fenced(text: str, language: str = "") -> str:
    """A text as a block of code, whatever fences it has in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def made_with() -> str:
    """Name and version of this package, for a card's last line."""
    try:
        number = version(_PACKAGE)
    except PackageNotFoundError:
        number = "(not installed)"
    return f"{_PACKAGE} {number}"
