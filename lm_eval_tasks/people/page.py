"""One page on which a person rates explanations: a single file that loads nothing, and tells nothing."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from judges.errors import ConfigError
from judges.rubrics.rubric import EXTRAS, Rubric
from judges.storage.files import replacing, text_hash
from lm_eval_tasks.people.statements import Shown

PAGE = "index.html"
REPEATS = 0.05
"""Share of the statements that come twice, to see how much a rater varies."""
_ASSETS = Path(__file__).parent / "assets"
_PACKAGE = "anchored-explanations"


def write_page(
    folder: Path, statements: Sequence[Shown], rubric: Rubric, *, repeats: float = REPEATS
) -> Path:
    """Writes the page.

    Args:
        folder: Made if absent.
        statements: What is rated; each rater sees them in an order of their own.
        rubric: By what.
        repeats: Share of them that come twice.

    Returns:
        The page.

    Raises:
        ConfigError: If the folder holds another page, which somebody may be rating on, or people would see
            more than question and explanation.
    """
    if rubric.shows:
        raise ConfigError(
            f"rubric {rubric.name} shows {' and '.join(EXTRAS[name] for name in rubric.shows)}, and people "
            "rate blind; name a rubric that shows nothing more, such as explanation_quality"
        )
    text = page_of(statements, rubric, repeats=repeats)
    path = folder / PAGE
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise ConfigError(f"{path}: holds another page for raters; name a new folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text)
    return path


def page_of(statements: Sequence[Shown], rubric: Rubric, *, repeats: float = REPEATS) -> str:
    """The page as text."""
    style, script = ((_ASSETS / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    data = {
        "set": text_hash(rubric.fingerprint, *(shown.id for shown in statements))[:16],
        "rubric": rubric.fingerprint,
        "scale": list(rubric.scale),
        "criteria": [{"key": criterion.key, "name": criterion.name} for criterion in rubric.criteria],
        "repeats": math.ceil(repeats * len(statements)),
        "items": [
            {
                "id": shown.id,
                "task": shown.task,
                "question_id": shown.question_id,
                "source": shown.source,
                "question": shown.question,
                "explanation": shown.explanation,
            }
            for shown in statements
        ],
    }
    environment = Environment(
        loader=FileSystemLoader(_ASSETS), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("page.html").render(
        criteria=rubric.criteria,
        scale=list(rubric.scale),
        data=htmlsafe_json_dumps(data),
        style=Markup(style),
        script=Markup(script),
        style_hash=_source_hash(style),
        script_hash=_source_hash(script),
        version=_version(),
    )


def _source_hash(text: str) -> str:
    """How a content security policy names this very script or style."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"


def _version() -> str:
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return "(not installed)"
