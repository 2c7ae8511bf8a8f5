"""The one task class that lm-evaluation-harness runs for all explain-then-choose tasks.

The harness loads models, generates and prints tables. This class gives it questions and prompts from a
:class:`TaskSpec`, reads and judges all replies of a task at once when generation is over, and hands back one
value a question and metric.
"""

from __future__ import annotations

import atexit
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

import datasets
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.task import ConfigurableTask

from judges.config import load_judge
from judges.errors import AnchorError, ConfigError
from judges.judge import Judge
from judges.models.thoughts import opened_by
from judges.records import Message, Statement
from lm_eval_tasks.harness.baseline import load_baseline
from lm_eval_tasks.harness.engines import plain_text
from lm_eval_tasks.harness.engines.chat import chat_prompt
from lm_eval_tasks.harness.engines.held import Hold, holding
from lm_eval_tasks.harness.ranks import is_first_rank, on_first_rank
from lm_eval_tasks.harness.replies import texts_of, whole
from lm_eval_tasks.harness.saying import log, say_once
from lm_eval_tasks.harness.task_options import options_from, reply_form_from
from lm_eval_tasks.harness.task_report import account_of, say_that_nobody_judges
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.judging.scoring import (
    read_replies,
    read_reply,
    require_shown,
    score_questions,
    statements_of,
)
from lm_eval_tasks.stats import metrics
from lm_eval_tasks.tasks.load import spec_from
from lm_eval_tasks.tasks.spec import TaskSpec

Doc: TypeAlias = dict[str, Any]
Replies: TypeAlias = tuple[Doc, list[str]]

_TOKEN_LIMITS = frozenset({"max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens"})
FILTER = "none"  # the harness's name for "as the model wrote it"; tables show it beside each metric


@dataclass(frozen=True)
class _Scored:
    """What the first rank found out.

    Attributes:
        questions: Document number -> its question with the scored replies.
        values: Question id -> metric -> value, None where that question has no data. All have the same
            metrics, each with data somewhere: the harness can't put ranks together that differ in them.
    """

    questions: Mapping[int, ScoredQuestion]
    values: Mapping[str, Mapping[str, Any]]


class ExplainTask(ConfigurableTask):  # type: ignore[misc]
    """An explain-then-choose task, made from its YAML; asked by the protocol that it names.

    The YAML names it: ``class: !function lm_eval_tasks.task.ExplainTask``.
    """

    _left_out: tuple[str, ...] = ()

    def __init__(self, config: Mapping[str, Any]) -> None:
        values = dict(config)
        metadata = dict(values.get("metadata") or {})
        self.spec: TaskSpec = _spec(values, metadata)
        self.options = options_from(metadata)
        if self.options.reply_form is not None:
            self.spec = self.spec.in_form(reply_form_from(self.options.reply_form))
        self._lm: Any = None
        self._hold: Hold | None = None
        self._plain_text = False
        self.split = self.options.split or self.spec.evaluation_split
        self._judge: Judge | None = None
        self._baseline: Mapping[str, ScoredQuestion] | None = None
        if is_first_rank():
            self._load_judge_and_baseline()
        self._values: Mapping[str, Mapping[str, Any]] = {}
        generation = self.spec.generation.model_dump()
        super().__init__(
            config={
                "task": self.spec.name,
                "task_alias": values.get("task_alias"),
                "dataset_path": self.spec.dataset_path,
                "dataset_name": self.spec.dataset_name,
                "test_split": self.split,
                "description": self.spec.asked_system_text,
                "output_type": "generate_until",
                "generation_kwargs": {**generation, "until": list(generation["until"])},
                "repeats": self.options.repeats or self.spec.repeats,
                # As None it can be set by --num_fewshot, which is then honoured as worked examples.
                "num_fewshot": self.spec.form.examples or None,
                "metadata": {**metadata, "version": self.spec.version, "split": self.split, **self._asked_so},
            }
        )

    @property
    def _asked_so(self) -> dict[str, Any]:
        return {"prompt_fingerprint": self.spec.fingerprint, "reply_form": str(self.spec.form)}

    def use_model(self, lm: Any) -> None:
        """Says which of the harness's models is asked, where the one that loads the task knows it."""
        self._lm = lm

    def _load_judge_and_baseline(self) -> None:
        if self.options.judge is not None:
            self._judge = _shared_judge(json.dumps(self.options.judge))
            metrics.metric_names(self._judge.rubric)
        if self.options.baseline is not None:
            info = None if self._judge is None else self._judge.info
            self._baseline = load_baseline(self.options.baseline, self.spec, info)

    def download(self, dataset_kwargs: Any = None, **kwargs: Any) -> None:
        """Loads the evaluated split, each row in the one form that ``Question.to_json`` gives it."""
        skip, data_dir = self.options.skip_unreadable_rows, self.options.data_dir
        loaded = self.spec.load(self.split, data_dir, skip_unreadable_rows=skip)
        if loaded.note:
            say_once(f"{self.spec.name}: {loaded.note}")
        if self._judge is not None:
            require_shown(self.spec.name, loaded.questions, self._judge.rubric)
        self._left_out = loaded.left_out
        rows = [question.to_json() for question in loaded.questions]
        if any(question.reference is not None for question in loaded.questions):
            # A data set has the columns of its first row.
            rows = [{"reference": None, **row} for row in rows]
        self.dataset = {self.split: datasets.Dataset.from_list(rows)}

    def fewshot_docs(self) -> None:
        """None from the data: worked examples are the task's own, and no data set's (``reply_form``)."""
        return

    def doc_to_text(self, doc: Doc, doc_to_text: Any = None) -> str:
        """The user turn."""
        return self.spec.asked_conversation(Question.from_json(doc))[-1].content

    def doc_to_target(self, doc: Doc, doc_to_target: Any = None) -> str:
        """The gold label."""
        return str(doc["gold"])

    def fewshot_context(
        self,
        doc: Doc,
        num_fewshot: int,
        system_instruction: str | None = None,
        apply_chat_template: bool = False,
        fewshot_as_multiturn: bool = False,
        chat_template: Callable[..., Any] | None = None,
        gen_prefix: str | None = None,
    ) -> Any:
        """The whole prompt: all turns through the chat template, or all of them as plain text."""
        system, *asked = self.spec.asked_conversation(Question.from_json(doc))
        instruction = "\n\n".join(filter(None, [system_instruction, system.content]))
        if not (apply_chat_template and chat_template):
            return "".join(f"{text}\n\n" for text in (instruction, *(turn.content for turn in asked)))
        turns = (Message("system", instruction), *asked)
        return chat_prompt(chat_template, turns, self.config.metadata or {})

    def build_all_requests(self, *, cache_requests: bool = False, **kwargs: Any) -> None:
        """Builds the requests; never from the harness's cache of them."""
        if cache_requests:
            log.warning(
                "--cache_requests is ignored: its key leaves out split, data_dir, sampling and repeats"
            )
        if self._greedy and self.config.repeats > 1:
            log.warning(
                "%s: greedy decoding gives %s equal samples a question; set repeats to 1",
                self.spec.name,
                self.config.repeats,
            )
        self._take_examples_asked_for()
        template = kwargs.get("chat_template") if kwargs.get("apply_chat_template") else None
        self._plain_text = template is None
        if self.spec.form.held:
            self._hold = holding(self._lm or getattr(template, "__self__", None))
        super().build_all_requests(cache_requests=False, **kwargs)

    def _take_examples_asked_for(self) -> None:
        """Honours ``--num_fewshot``, which the harness sets after the task is made."""
        number, form = int(self.config.num_fewshot or 0), self.spec.form
        if number == form.examples:
            return
        if self.options.reply_form is not None:
            raise ConfigError(
                f"--num_fewshot {number} and reply_form {form} contradict each other: leave --num_fewshot out"
            )
        self.spec = self.spec.in_form(replace(form, examples=number))
        self.config.metadata.update(self._asked_so)

    def construct_requests(self, doc: Doc, ctx: Any, **kwargs: Any) -> Instance:
        """One request a document, which the harness sends ``repeats`` times."""
        request = super().construct_requests(doc, ctx, **kwargs)
        prompt, generation = request.arguments
        if self.options.thinking_tokens:
            more = {
                key: value + self.options.thinking_tokens
                for key, value in generation.items()
                if key in _TOKEN_LIMITS
            }
            generation = {**generation, **more}
        if self._ends_as_text:
            until = [*generation.get("until", []), *plain_text.stops(self.spec)]
            generation = {**generation, "until": until}
        if self._hold is not None:
            if self.options.thinking_tokens or (isinstance(prompt, str) and opened_by(prompt)):
                raise ConfigError(
                    f"reply_form {self.spec.form}: a model that thinks first can't be held to the form of a "
                    "reply; reply_form shown works with every model"
                )
            generation = {**generation, **self._hold(self.spec.held_regex(Question.from_json(doc)))}
        request.arguments = (prompt, generation)
        if not isinstance(ctx, str):
            # A chat endpoint: the harness sends one fixed seed with every request, and a server that
            # honours it would give the same reply N times.
            request.arguments = (prompt, {"seed": None, **generation})
        return request

    def apply_filters(self) -> None:
        """Reads all replies of the task, judges them in one go, and logs each parsed reply as JSON."""
        instances = self._finished_instances()
        part: Mapping[int, Replies] = {
            request.doc_id: (request.doc, texts_of(request)) for request in instances
        }
        scored = on_first_rank(part, self._score)
        self._values = scored.values
        for request in instances:
            responses = scored.questions[request.doc_id].responses
            logged = [json.dumps(response.to_json(), ensure_ascii=False) for response in responses]
            request.filtered_resps[FILTER] = logged

    def read_instances(self) -> list[ScoredResponse]:
        """Reads the replies that the requests have got, and judges nothing."""
        return [scored for question in self.read_questions() for scored in question.responses]

    def read_questions(self) -> list[ScoredQuestion]:
        """The same, by question."""
        return [
            read_replies(Question.from_json(request.doc), texts_of(request), self.spec.protocol)
            for request in self._finished_instances()
        ]

    def statement(self, request: Instance, reply: Any) -> Statement | None:
        """What a judge is shown of one reply to a request; None if its explanation can't be read."""
        question = Question.from_json(request.doc)
        if self._ends_as_text and type(reply) is str:
            reply = plain_text.ended(self.spec, reply)
        read = read_reply(question, whole(request, reply), self.spec.protocol)
        shown = statements_of(self.spec, ScoredQuestion(question, (read,)))
        return shown[0][1] if shown else None

    def _finished_instances(self) -> Sequence[Instance]:
        instances: Sequence[Instance] = self.instances
        for request in instances:
            # So that all ranks have as many requests, the harness sends the last one of a rank again.
            del request.resps[request.repeats :]
            if self._ends_as_text:
                request.resps = [
                    plain_text.ended(self.spec, text) if type(text) is str else text for text in request.resps
                ]
        return instances

    def process_results(self, doc: Doc, results: Sequence[Sequence[str]]) -> Mapping[str, Any]:
        """One value for each metric; None where this document has no data for it."""
        return {"bypass": None} if self._only_generates else self._values[doc["id"]]

    def aggregation(self) -> dict[str, Callable[[list[Any]], float | None]]:
        """Metric -> how its values are put together."""
        if self._only_generates:
            return dict(super().aggregation())
        return {name: _spread if name == metrics.ACC_SPREAD else MEAN_OF_KNOWN for name in self._metrics}

    def higher_is_better(self) -> dict[str, bool]:
        """Metric -> whether more is better; metrics of which neither holds are left out."""
        known = {name: metrics.higher_is_better(name) for name in self._metrics}
        return {name: better for name, better in known.items() if better is not None}

    @property
    def _ends_as_text(self) -> bool:
        """Whether replies are modelled on examples in plain text: only their form tells where one ends."""
        return self._plain_text and self.spec.form.examples > 0

    @property
    def _metrics(self) -> tuple[str, ...]:
        return tuple(next(iter(self._values.values()), {}))

    @property
    def _greedy(self) -> bool:
        generation = self.config.generation_kwargs
        return not generation.get("do_sample", True) or float(generation.get("temperature") or 0) == 0

    @property
    def _only_generates(self) -> bool:
        """True under ``--predict_only``, which puts its own metric in the place of all others."""
        return "bypass" in self._metric_fn_list

    def _score(self, parts: list[Mapping[int, Replies]]) -> _Scored:
        documents: dict[int, Replies] = {}
        for part in parts:  # ranks that all hold all documents (no data parallelism) write the first one's
            documents = {**part, **documents}
        numbers = sorted(documents)
        items = [(Question.from_json(doc), texts) for doc, texts in (documents[n] for n in numbers)]
        judge = None if self._only_generates else self._judge
        try:
            questions = score_questions(self.spec, items, judge)
        except AnchorError as error:
            # The harness saves at its very end: were this to go up, all that was generated would be lost.
            log.error(
                "%s: judging broke off: %s. What --log_samples keeps is judged later by "
                "`anchor-eval score RUN_FOLDER --judge ...`, which asks only for what is missing",
                self.spec.name,
                error,
            )
            self.config.metadata["judging_error"] = str(error)
            questions, judge = score_questions(self.spec, items, None), None
        values = metrics.values_by_question(questions, judge.rubric if judge else None, self._baseline)
        self.config.metadata["counts"] = account_of(
            self.spec.name,
            questions,
            judge,
            left_out=self._left_out,
            thinking_tokens=self.options.thinking_tokens,
            sampled=not self._greedy,
            model=str(self.config.metadata.get("pretrained", "")),
        )
        if judge is not None:
            self.config.metadata["judge_info"] = judge.info.to_json()
        elif self._judge is None and not self._only_generates and not self.options.judged_later:
            say_that_nobody_judges()
        return _Scored(dict(zip(numbers, questions, strict=True)), values)


class _MeanOfKnown:
    """The harness's mean, over the documents that have a value.

    It takes the others out of the list itself, because the harness counts documents and computes the standard
    error from that list afterwards; and it passes for the harness's own ``mean``, by which the formula of the
    standard error is found.
    """

    def __call__(self, values: list[float | None]) -> float:
        values[:] = [value for value in values if value is not None]
        return float(mean(values))

    def __eq__(self, other: object) -> bool:
        return other is mean or isinstance(other, _MeanOfKnown)

    def __hash__(self) -> int:
        return hash(mean)


MEAN_OF_KNOWN = _MeanOfKnown()


def _spread(correct: list[Sequence[float]]) -> float | None:
    return metrics.accuracy_spread(correct)


def _spec(values: Mapping[str, Any], metadata: Mapping[str, Any]) -> TaskSpec:
    """The spec behind the harness's mapping, in which ``!function`` names are functions already."""
    source = str(metadata.get("config_source", "inline"))
    path = None if source == "inline" else Path(source)
    where = source if path else f"task {values.get('task')}"
    make = values.get("custom_dataset")
    if not callable(make):
        return spec_from(values, where, path)
    named = {**values, "custom_dataset": f"{make.__module__}.{make.__qualname__}"}
    spec = spec_from(named, where, path)
    return replace(spec, dataset_options={**spec.dataset_options, **metadata})


@cache
def _shared_judge(spec: str) -> Judge:
    """One judge for all tasks of a run: one engine, one cache, one set of accounts."""
    judge = load_judge(json.loads(spec))
    atexit.register(judge.close)
    return judge


def _print_own_errors_in_one_line() -> None:
    """A user's mistake is one line on stderr, not a traceback through the harness."""
    if sys.excepthook is not sys.__excepthook__:
        return

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, AnchorError):
            print(f"Error: {error}", file=sys.stderr)
        else:
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook


_print_own_errors_in_one_line()
