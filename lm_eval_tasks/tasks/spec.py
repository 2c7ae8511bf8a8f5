"""What a task is: its data, its prompts and how it samples, read from the task's YAML.

The YAML is a task file of lm-evaluation-harness with two keys of ours, ``fields`` and ``prompt``. This module
reads it without the harness, so that training and scoring ask and read exactly as the evaluation does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import Field, field_validator

from judges.errors import ConfigError, DataError
from judges.records import Conversation, Message, OutputForm, Sampling
from judges.settings import Settings, nearest
from lm_eval_tasks.prompts import Prompts
from lm_eval_tasks.prompts.choose import choice_part, choose_prompts
from lm_eval_tasks.prompts.examples import WorkedExample
from lm_eval_tasks.prompts.examples import fingerprint as examples_fingerprint
from lm_eval_tasks.prompts.refine import RefinePrompts
from lm_eval_tasks.prompts.reply_form import ASKED, LABEL_MARK, TEXT_MARK, ReplyForm, form_regex
from lm_eval_tasks.questions.layouts import Layout
from lm_eval_tasks.questions.load import Loaded, questions_of
from lm_eval_tasks.questions.rows import find_files, hub_rows, made_rows, read_rows
from lm_eval_tasks.records import Question

TASKS = Path(__file__).parent
SPLITS = ("train", "validation", "test")
REFINED = "_refined"
"""How the name of a task ends that is asked in one go with its refinement."""
Protocol: TypeAlias = Literal["explain", "refined"]
"""How a task is asked: explain, then choose; or that, a principle, and a refined reply, which counts."""
_EXPLANATION, _CHOICE, _PRINCIPLE = "explanation", "choice", "principle"
_Shown: TypeAlias = tuple[Conversation, str]
"""What a worked example asks, and the reply to it."""


class GenerationSettings(Settings):
    """How replies are drawn, in the harness's words; the defaults are the paper's for evaluation.

    Attributes:
        max_gen_toks: Room for the explanation and the choice. A reply that is cut off has no readable choice.
        until: Stop strings. None by default: a blank line ends no explanation.
    """

    do_sample: bool = True
    temperature: float = Field(default=0.6, ge=0)
    top_p: float = Field(default=0.9, gt=0, le=1)
    max_gen_toks: int = Field(default=1024, ge=1)
    until: tuple[str, ...] = ()


class TaskSettings(Settings):
    """The keys of a task's YAML."""

    task: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    fields: tuple[Layout, ...] = Field(min_length=1)
    prompt: dict[str, Any]
    refine: dict[str, Any] = Field(default_factory=dict)
    protocol: Protocol = "explain"
    examples: list[Any] | None = Field(default=None, min_length=1)
    num_fewshot: int | None = Field(default=None, ge=0)
    gen_prefix: str | None = None
    dataset_path: str | None = None
    dataset_name: str | None = None
    dataset_kwargs: Mapping[str, Any] = Field(default_factory=dict)
    custom_dataset: str | None = Field(default=None, pattern=r"^[\w.]+\.\w+$")
    data_dir: str | None = None
    original: str | None = None
    training_split: str | None = None
    validation_split: str | None = None
    test_split: str | None = None
    repeats: int = Field(default=16, ge=1)
    generation_kwargs: GenerationSettings = GenerationSettings()
    metadata: Mapping[str, Any] = Field(default_factory=dict)

    @field_validator("fields", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return [value] if isinstance(value, Mapping) else value

    @field_validator("gen_prefix")
    @classmethod
    def _no_begun_replies(cls, value: str | None) -> str | None:
        if value:
            raise ValueError(
                "replies of these tasks aren't begun for the model; reply_form shown or held gets them "
                "into the form"
            )
        return None

    @field_validator("custom_dataset", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        """The harness hands on the function itself."""
        return f"{value.__module__}.{value.__qualname__}" if callable(value) else value


@dataclass(frozen=True)
class TaskSpec:
    """A task.

    Attributes:
        name: As in the YAML.
        version: ``metadata.version`` of the YAML.
        protocol: How its questions are asked and its replies read.
        dataset_path: Data set on the hub; None if the questions are local files only.
        dataset_name: Its configuration.
        dataset_options: Further arguments of ``datasets.load_dataset``, or of ``custom_dataset``.
        custom_dataset: Full name of a function that makes all splits, in the place of a data set on the hub.
        splits: ``train``, ``validation``, ``test`` -> the data set's name for it; absent where it has none.
        layouts: The row layouts that its questions come in.
        prompts: All texts of explaining, choosing and arguing.
        refine_prompts: All texts of naming principles and refining by them.
        examples: Worked examples of the reply form.
        form: How the form is brought about; ``num_fewshot`` of the YAML is how many examples are shown.
        repeats: Samples a question.
        generation: How they are drawn, as the harness takes it.
        data_dir: Folder or file with the questions, if they don't come from the hub.
        original: Where the original files are, for those who can't reach the hub.
        path: The YAML; None if it isn't known.
    """

    name: str
    version: str
    layouts: tuple[Layout, ...]
    prompts: Prompts
    refine_prompts: RefinePrompts
    protocol: Protocol = "explain"
    examples: tuple[WorkedExample, ...] = ()
    form: ReplyForm = ASKED
    dataset_path: str | None = None
    dataset_name: str | None = None
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    custom_dataset: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    repeats: int = 16
    generation: GenerationSettings = field(default_factory=GenerationSettings)
    data_dir: Path | None = None
    original: str | None = None
    path: Path | None = None

    @property
    def fingerprint(self) -> str:
        """Hash of all prompt texts that its protocol depends on, and of the form unless that is ``asked``."""
        parts = [self.prompts.fingerprint]
        if self.protocol == "refined":
            parts = [_hash(f"{self.prompts.fingerprint} {self.refine_prompts.fingerprint}")]
        if self.form != ASKED:
            parts.append(str(self.form))
        if self.form.examples:
            parts.append(examples_fingerprint(self._shown))
        return parts[0] if len(parts) == 1 else _hash(" ".join(parts))

    def in_form(self, form: ReplyForm) -> TaskSpec:
        """The task, asked so that replies get into the form in this way.

        Raises:
            ConfigError: If it has not so many examples, or not what its protocol shows of them.
        """
        if form.examples > len(self.examples):
            raise ConfigError(
                f"task {self.name}: {form.examples} examples are to be shown, it has {len(self.examples)}; "
                "a task of your own may have more under examples"
            )
        incomplete = [e.question for e in self.examples[: form.examples] if not (e.draft and e.principle)]
        if self.protocol == "refined" and incomplete:
            raise ConfigError(f"task {self.name}: no draft or no principle in the example {incomplete[0]!r}")
        return replace(self, form=form)

    @property
    def _shown(self) -> tuple[WorkedExample, ...]:
        return self.examples[: self.form.examples]

    @property
    def plain_name(self) -> str:
        """Name of the task that asks the same questions in the plain way; its own unless it is refined."""
        return self.name.removesuffix(REFINED) if self.protocol == "refined" else self.name

    @property
    def sampling(self) -> Sampling:
        """How an evaluated model's replies are drawn, in our words."""
        generation = self.generation
        return Sampling(
            n=self.repeats,
            temperature=generation.temperature if generation.do_sample else 0.0,
            top_p=generation.top_p,
            max_tokens=generation.max_gen_toks,
            stop=generation.until,
        )

    @property
    def evaluation_split(self) -> str:
        """The split that is evaluated unless told otherwise: test, or else validation, or else train."""
        return next((split for split in reversed(SPLITS) if split in self.splits), "test")

    @property
    def asked_system_text(self) -> str:
        """The system turn of ``asked_conversation``; the same for all its questions."""
        if self.protocol == "refined":
            return self.refine_prompts.refined_explain_system_text(self.prompts)
        return self.prompts.explain_system_text

    def asked_conversation(self, question: Question) -> Conversation:
        """What an evaluated model is asked, by the task's protocol (system and user turn)."""
        if self.protocol == "refined":
            return self.refined_explain_conversation(question)
        return self.explain_conversation(question)

    def explain_conversation(self, question: Question) -> Conversation:
        """Explain first, then choose: system turn, worked examples if the form has any, the user's turn."""
        return self._with_examples(self.prompts.explain(question), question, self._explained)

    def held_regex(self, question: Question) -> str:
        """What a reply to ``asked_conversation`` matches as a whole if it is in the form asked for."""
        if self.protocol == "explain":
            return form_regex(self.format_response(TEXT_MARK, LABEL_MARK), question.labels)
        first = self.format_response(TEXT_MARK, LABEL_MARK)
        return form_regex(
            "".join(self.format_refined(first, TEXT_MARK, TEXT_MARK, LABEL_MARK)), question.labels
        )

    def answer_conversation(self, question: Question) -> Conversation:
        """Choose without explaining; what SFT trains on."""
        return self.prompts.answer(question)

    def answer_target(self, question: Question) -> str:
        """The right reply to ``answer_conversation``: label and full text of the gold choice."""
        return self.prompts.target(question)

    def choose_conversation(self, question: Question) -> Conversation:
        """Choose without explaining, within the tag that a reply has for it."""
        return choose_prompts().conversation(self.prompts, question)

    def choose_target(self, question: Question) -> str:
        """The right reply to ``choose_conversation``."""
        return choice_part(self.prompts, question.gold)

    def consultant_conversation(self, question: Question, guide: str | None = None) -> Conversation:
        """Argue for the gold choice, which is told.

        Args:
            question: The question.
            guide: Further advice for the consultant, put at the end of its system turn.
        """
        return self.prompts.consultant(question, guide)

    def format_response(self, explanation: str, label: str) -> str:
        """A whole reply in the form that ``explain_conversation`` asks for."""
        return self.prompts.reply(explanation, label)

    def principle_conversation(self, question: Question, first_reply: str, hint: str | None) -> Conversation:
        """Name one principle that would improve a reply.

        Where the form has worked examples, those with a draft and a principle show how.

        Args:
            question: The question.
            first_reply: The reply to improve on, as generated.
            hint: A reference reply, shown as a hint; None to show none.
        """

        def ask(asked: Question, first: str, hint: str | None) -> Conversation:
            return self.refine_prompts.principle(self.prompts, asked, first, hint)

        def shown(example: WorkedExample, like: Question) -> _Shown:
            draft, better = self._before_and_after(example, like)
            return ask(like, draft, None if hint is None else better), self.format_principle(
                example.principle
            )

        return self._with_examples(ask(question, first_reply, hint), question, shown, refined=True)

    def format_principle(self, principle: str) -> str:
        """A whole reply in the form that ``principle_conversation`` asks for."""
        return self.refine_prompts.naming(principle)

    def refine_conversation(self, question: Question, first_reply: str, principle: str) -> Conversation:
        """Reply again by a principle, in the usual form; shown as above, but without a reference."""

        def ask(asked: Question, first: str, by: str) -> Conversation:
            return self.refine_prompts.refine(self.prompts, asked, first, by)

        def shown(example: WorkedExample, like: Question) -> _Shown:
            draft, better = self._before_and_after(example, like)
            return ask(like, draft, example.principle), better

        return self._with_examples(ask(question, first_reply, principle), question, shown, refined=True)

    def refined_explain_conversation(self, question: Question) -> Conversation:
        """Reply as usual, name a principle and reply again by it, all in one completion."""
        conversation = self.refine_prompts.refined_explain(self.prompts, question)
        return self._with_examples(conversation, question, self._refined)

    def output_form(self, question: Question) -> OutputForm:
        """What a reply to ``explain_conversation`` is held to: its form, or JSON with the same two parts."""
        parts = {_EXPLANATION: {"type": "string"}, _CHOICE: {"type": "string", "enum": list(question.labels)}}
        form = form_regex(self.format_response(TEXT_MARK, LABEL_MARK), question.labels)
        return OutputForm(form, _json_schema(parts))

    @property
    def principle_form(self) -> OutputForm:
        """What a reply to ``principle_conversation`` is held to."""
        form = form_regex(self.format_principle(TEXT_MARK), ())
        return OutputForm(form, _json_schema({_PRINCIPLE: {"type": "string"}}))

    def from_output(self, text: str) -> str:
        """A reply in its usual form, where a backend could hold it only to the JSON of an ``OutputForm``."""
        if not (self.form.held and text.lstrip().startswith("{")):
            return text
        try:
            parts = json.loads(text)
        except ValueError:
            return text
        if not isinstance(parts, dict) or not all(isinstance(part, str) for part in parts.values()):
            return text
        if parts.keys() >= {_EXPLANATION, _CHOICE}:
            return self.format_response(parts[_EXPLANATION], parts[_CHOICE])
        return self.format_principle(parts[_PRINCIPLE]) if _PRINCIPLE in parts else text

    def _with_examples(
        self,
        conversation: Conversation,
        question: Question,
        shown: Callable[[WorkedExample, Question], _Shown],
        *,
        refined: bool = False,
    ) -> Conversation:
        """The conversation with earlier turns that show what is wanted; ``refined``: by a draft and a
        principle."""
        system, user = conversation
        turns: list[Message] = []
        for example in self._shown:
            if refined and not (example.draft and example.principle):
                continue
            asked, reply = shown(example, example.like(question))
            turns += [asked[-1], Message("assistant", reply)]
        return (system, *turns, user)

    def _explained(self, example: WorkedExample, like: Question) -> _Shown:
        return self.prompts.explain(like), self.format_response(example.explanation, like.gold)

    def _refined(self, example: WorkedExample, like: Question) -> _Shown:
        first = self.format_response(example.draft, like.gold)
        parts = self.format_refined(first, example.principle, example.explanation, like.gold)
        return self.refine_prompts.refined_explain(self.prompts, like), "".join(parts)

    def _before_and_after(self, example: WorkedExample, like: Question) -> tuple[str, str]:
        return (
            self.format_response(example.draft, like.gold),
            self.format_response(example.explanation, like.gold),
        )

    def format_refined(
        self, first_reply: str, principle: str, explanation: str, label: str
    ) -> tuple[str, str]:
        """A completion of ``refined_explain_conversation``, in two parts that follow each other directly.

        Returns:
            The first reply, which a trainer leaves out of the loss, and the principle with the refined reply:
            log p(principle, refined | question, first), STaPLe's M-step.
        """
        continuation = self.refine_prompts.continuation(self.prompts, principle, explanation, label)
        return first_reply.strip(), f"\n{continuation}"

    def shown_question(self, question: Question) -> str:
        """The question as the model and the judge see it: context, question and choices."""
        return self.prompts.shown(question)

    def load_questions(
        self, split: str, data_dir: str | Path | None = None, *, skip_unreadable_rows: bool = False
    ) -> list[Question]:
        """The questions of :meth:`load` alone."""
        return list(self.load(split, data_dir, skip_unreadable_rows=skip_unreadable_rows).questions)

    def load(
        self, split: str, data_dir: str | Path | None = None, *, skip_unreadable_rows: bool = False
    ) -> Loaded:
        """The questions of a split, in the order of the rows.

        Args:
            split: ``train``, ``validation`` or ``test``.
            data_dir: Folder with local files, or with a folder named after the task (``logiqa_explain`` or
                ``logiqa``) that has them; or one file. Default: the task's own, else the hub.
            skip_unreadable_rows: Whether rows that can't be read are left out and told, instead of refused.

        Raises:
            ConfigError: If the task has no such split.
            DataError: If the rows can't be found, or one of them (with skipping: none of them) can be read.
        """
        place = Path(data_dir).expanduser() if data_dir is not None else self.data_dir
        if place is not None:
            if split not in SPLITS:
                raise ConfigError(f"no split {split!r}: {nearest(split, SPLITS)}")
            files = self._local_files(place, split)
            rows = [row for path in files for row in read_rows(path, keep_unreadable=skip_unreadable_rows)]
        elif split not in self.splits and (self.dataset_path or self.custom_dataset):
            raise ConfigError(f"task {self.name} has no split {split!r}: {nearest(split, self.splits)}")
        elif self.custom_dataset is not None:
            rows = made_rows(self.custom_dataset, self.splits[split], self.dataset_options)
        elif self.dataset_path is not None:
            rows = hub_rows(
                self.dataset_path, self.dataset_name, self.splits[split], self.dataset_options, self._remedy
            )
        else:
            raise ConfigError(
                f"task {self.name} has none of dataset_path, custom_dataset and data_dir; give one of them"
            )
        return questions_of(rows, self.layouts, skip_unreadable=skip_unreadable_rows)

    def _local_files(self, place: Path, split: str) -> list[Path]:
        if place.is_file():
            return [place]
        if not place.is_dir():
            raise DataError(f"data_dir {place} is neither a folder nor a file")
        names = (self.name, self.plain_name, self.plain_name.removesuffix("_explain"), self.dataset_name)
        folders = [place / name for name in names if name and (place / name).is_dir()]
        return find_files(folders[0] if folders else place, split)

    @property
    def _remedy(self) -> str:
        files = f" They are {self.original}." if self.original else ""
        return f"Local files do as well: data_dir = a folder with train, validation or test files.{files}"


def _json_schema(parts: Mapping[str, Any]) -> str:
    """Of an object that has these parts and no other."""
    whole = {"type": "object", "properties": parts, "required": list(parts), "additionalProperties": False}
    return json.dumps(whole)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
