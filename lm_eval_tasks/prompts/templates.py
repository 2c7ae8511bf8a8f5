"""Prompt texts as Jinja templates: compiled once, sandboxed, with every missing name an error."""

from __future__ import annotations

import hashlib
import json
from functools import cache, cached_property

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import field_validator

from judges.settings import Settings

_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@cache
def compiled(text: str) -> Template:
    """The template of a text.

    Raises:
        TemplateError: If it isn't one.
    """
    return _ENVIRONMENT.from_string(text)


def render(text: str, **values: object) -> str:
    """A template filled in, without white space around it."""
    return compiled(text).render(**values).strip()


class Texts(Settings):
    """A set of prompt texts, each field a template that compiles."""

    @field_validator("*")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            compiled(text)
        except TemplateError as error:
            raise ValueError(f"not a valid template: {error}") from None
        return text.strip("\n")

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all texts: runs are comparable only if their models were asked the same way."""
        return hashlib.sha256(json.dumps(self.model_dump(), ensure_ascii=False).encode()).hexdigest()[:16]
