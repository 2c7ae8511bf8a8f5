"""What results can depend on: settings of the recipe by their names, and hashes of what lies outside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.section_settings import RoleBackend
from anchor_train.recipes.training_settings import DISPLAY, LoopSettings
from anchor_train.run.manifest import flat
from anchor_train.run.roles import is_own_model, role_settings, rubric_fingerprint
from judges.backends.local_model import fingerprint
from judges.settings import Settings
from judges.storage.files import content_hash
from lm_eval_tasks.prompts.examples import fingerprint as fingerprint_of
from lm_eval_tasks.prompts.reply_form import ReplyForm, read_reply_form
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Basis:
    """What a stage's result depends on, beside the stages that it reads.

    Attributes:
        settings: Dotted name -> value.
        externals: Name -> hash.
    """

    settings: Mapping[str, Any]
    externals: Mapping[str, str]


class Dependencies:
    """Of one recipe.

    Raises:
        ConfigError: If the task, a judge file or a rubric can't be read.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._spec: TaskSpec = load_task(recipe.task)
        form = read_reply_form(recipe.reply_form, "reply_form")
        # Which prompts those are that are shown, is said by stage form where a pilot chooses it.
        self._asked = self._spec.in_form(form) if isinstance(form, ReplyForm) else self._spec

    @cached_property
    def model(self) -> dict[str, str]:
        """The base model's content; a hub name stands for itself."""
        model = self.recipe.model
        local = fingerprint(Path(model.name).expanduser())
        return {"base model": local or f"{model.name}@{model.revision or 'main'}"}

    @property
    def prompts(self) -> dict[str, str]:
        """What the model is asked."""
        return {"prompts": self._asked.fingerprint}

    @property
    def examples(self) -> dict[str, str]:
        """What it may be shown before a question."""
        return {"examples": fingerprint_of(self._spec.examples)}

    @property
    def refine_prompts(self) -> dict[str, str]:
        """How it is asked for principles and refined replies."""
        return {"refine prompts": self._spec.refine_prompts.fingerprint}

    @cached_property
    def data(self) -> dict[str, str]:
        """Local question files, if there are any."""
        folder = self.recipe.data_dir
        return {} if folder is None or not folder.exists() else {"data files": content_hash(folder)}

    def rubric(self, judge: str | dict[str, Any]) -> dict[str, str]:
        """What a judge of the recipe goes by."""
        return {"rubric": rubric_fingerprint(judge)}

    def role(self, name: str, given: RoleBackend) -> dict[str, Any]:
        """Settings of a role; those of the engine too where it runs this run's own model."""
        engine = self.settings("engine", "model") if is_own_model(given) else {}
        return {**flat({name: role_settings(given)}), **engine}

    def settings(self, *parts: str, of: str | None = None) -> dict[str, Any]:
        """Parts of the recipe, flat, without what only changes the display.

        Args:
            parts: Dotted names of settings or sections.
            of: The strategy or variant that sees the recipe so; None for all.
        """
        found: dict[str, Any] = {}
        for path in parts:
            value: Any = self.recipe.as_of(of)
            for part in path.split("."):
                value = getattr(value, part)
            if isinstance(value, Settings):
                hidden = DISPLAY if isinstance(value, LoopSettings) else getattr(value, "unfelt", ())
                value = value.model_dump(mode="json", exclude=set(hidden))
            elif isinstance(value, Path):
                value = str(value)
            elif isinstance(value, tuple):  # as the manifest reads it back
                value = list(value)
            found |= flat({path: value})
        return found

    def shares(self, name: str) -> dict[str, Any]:
        """What decides which questions a round of a strategy takes up."""
        given = self.settings("staple.discover.questions", of=name)
        return given if any(given.values()) else {**given, **self.settings("rounds")}
