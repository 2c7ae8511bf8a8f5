"""What a dry run looks at: the questions that a run would draw, the task's prompts, the model's tokenizer."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.section_settings import RoleBackend
from anchor_train.run.roles import is_own_model
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.form import asked_in_form, form_of
from anchor_train.stages.parts.kind import Work
from anchor_train.stages.questions import drawn, load_questions, without_repeats
from anchor_train.training.base_model import load_tokenizer
from anchor_train.training.rendering import prompt_ids
from lm_eval_tasks.prompts.reply_form import SHOWN
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.spec import TaskSpec

# Of a judge's prompt beside the question and the reply, and of its verdicts in the default form.
RUBRIC_TOKENS = 450
VERDICT_TOKENS = 45


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
    def prompt_tokens(self) -> int:
        """Of all questions' prompts together; where the pilot hasn't chosen yet, as long as they may become.

        Worked examples before every question are most of a prompt: without them a run would look cheaper than
        it becomes.
        """
        spec = self.spec if form_of(self.run, self.recipe) is not None else self.spec.in_form(SHOWN)
        asked = (spec.explain_conversation(question) for question in self.questions)
        return sum(len(prompt_ids(self.tokenizer, prompt)) for prompt in asked)

    def asking(
        self, backend: RoleBackend, calls: int, max_tokens: int, n: int = 1, further: int = 0
    ) -> Work | None:
        """What asking a role takes of this run's own model; None where it is another that is asked.

        Args:
            backend: The role's.
            calls: Replies in all.
            max_tokens: Most of a reply.
            n: Replies to each prompt, which is read once for them.
            further: Tokens of a prompt beside those that a question has, a rubric's say.
        """
        if not is_own_model(backend) or not self.questions:
            return None
        prompt = self.prompt_tokens // len(self.questions) + further
        batch = self.recipe.engine.get("batch_size") or (
            64 if self.recipe.engine["backend"] == "vllm" else 16
        )
        return Work(
            read=calls // n * prompt,
            written=calls * max_tokens,
            at_once=min(calls, int(batch)),
            longest=prompt + max_tokens,
        )

    def judging(self, judge: RoleBackend, calls: int) -> Work | None:
        """What judging replies takes of this run's own model."""
        return self.asking(
            judge, calls, VERDICT_TOKENS, further=RUBRIC_TOKENS + self.recipe.sampler.max_tokens
        )

    @cached_property
    def questions(self) -> list[Question]:
        """The questions that are trained on."""
        available = without_repeats(load_questions(self.recipe, self.spec), self.spec)
        return drawn(available, self.recipe.questions.limit, self.recipe.seed)
