"""What a dry run looks at: the questions that a run would draw, the task's prompts, the model's tokenizer."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.questions import drawn, load_questions, without_repeats
from anchor_train.training.base_model import load_tokenizer
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.spec import TaskSpec


class Preview:
    """Of one run; each is loaded when it is first asked for."""

    def __init__(self, run: RunFolder, recipe: Recipe) -> None:
        self.run = run
        self.recipe = recipe

    @cached_property
    def spec(self) -> TaskSpec:
        """The task, as the run's models are asked."""
        return asked_in_form(self.run, self.recipe)

    @cached_property
    def tokenizer(self) -> Any:
        """The model's."""
        return load_tokenizer(self.recipe.model)

    @cached_property
    def questions(self) -> list[Question]:
        """The questions that are trained on."""
        available = without_repeats(load_questions(self.recipe, self.spec), self.spec)
        return drawn(available, self.recipe.questions.limit, self.recipe.seed)
