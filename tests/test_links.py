"""Links between the pages lead somewhere: to a file that is there, and to a heading that it has."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("docs/*.ipynb"), *ROOT.glob("*/README.md")]
)
_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")


def anchors(text: str) -> set[str]:
    """The headings of a page, as GitHub names them in addresses."""
    seen: Counter[str] = Counter()
    found = set()
    fenced = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", fenced, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def dead(page: Path) -> list[str]:
    """Links of a page that lead nowhere; addresses on the net aren't looked at."""
    found = []
    for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text(encoding="utf-8"))
        ):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert dead(page) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text(
        "# What `it` is: two\n\n# Again\n\n# Again\n\n```\n# no heading\n```\n"
    )
    page = tmp_path / "page.md"
    alive = "[a](other.md) [b](other.md#what-it-is-two) [c](#here) [d](other.md#again-1) [e](https://example.org/#x)"
    wrong = (
        "[f](gone.md) [g](other.md#gone) [h](#there) ![i](gone.png) [j](other.md#no-heading) `[k](gone.md)`"
    )
    page.write_text(f"# Here\n\n{alive}\n{wrong}\n")
    assert dead(page) == ["gone.md", "other.md#gone", "#there", "gone.png", "other.md#no-heading"]


def test_all_pages_are_looked_at() -> None:
    assert {"README.md", "CONTRIBUTING.md", "python.md", "explanations.ipynb"} <= {
        page.name for page in PAGES
    }
