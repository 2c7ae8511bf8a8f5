"""How the pages become a site (`make docs`): the same files as on GitHub, and the API from docstrings."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sphinx.util.logging import getLogger

ROOT = Path(__file__).resolve().parents[1]

project = "anchored-explanations"
copyright = "the authors of anchored-explanations, Apache-2.0"
release = version = version_of("anchored-explanations")

# The source folder is the repository, so that a link leads to the same place here and there.
root_doc = "README"
exclude_patterns = [".*", "**/_*", "build", "dist", "runs", "site", "tests", "*/*/**"]  # not walked through
include_patterns = ["*.md", "docs/*.md", "benchmarks/*.md"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 6
autodoc_member_order = "bysource"
napoleon_use_ivar = True  # attributes in a list, not a paragraph each
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
highlight_language = "text"  # of blocks that name none
html_theme = "furo"
html_title = f"{project} {release}"
html_show_sphinx = False

_CONTENTS = """

```{{toctree}}
:hidden:
:caption: Pages

{pages}
```
"""


def _with_contents(app: Any, name: str, source: list[str]) -> None:
    """Gives the README, which lists its pages in a line, the contents that a site has."""
    if name != root_doc:
        return
    listed = re.findall(r"\]\(([\w/]+)\.md\)", source[0].partition("## Documentation")[2])
    source[0] += _CONTENTS.format(pages="\n".join(dict.fromkeys([*listed, *sorted(_others(app, listed))])))


def _others(app: Any, listed: list[str]) -> set[str]:
    return set(app.env.found_docs) - {root_doc, *listed}


def _open_at_root(app: Any, error: Exception | None) -> None:
    """A site is opened at index.html."""
    if error is None:
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={root_doc}.html">\n'
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


def _all_public_names(app: Any, env: Any) -> None:
    """Says which public name the API page lacks."""
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    written = env.get_domain("py").objects
    for module in re.findall(r"^\.\. automodule:: (\S+)$", page, re.MULTILINE):
        for name in getattr(import_module(module), "__all__", ()):
            if f"{module}.{name}" not in written:
                getLogger(__name__).warning(
                    "%s.%s is public, and not on the page", module, name, location="docs/api"
                )


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("env-check-consistency", _all_public_names)
    app.connect("source-read", _with_contents)
    app.connect("build-finished", _open_at_root)
