"""The evaluated model as probes ask it: choices after an explanation, and replies, begun for it or not.

Choices are likelihoods of the labels where the harness's model gives them (``hf``, ``vllm``), else one-label
replies. At a chat endpoint an explanation stands in a turn of the model's own, and the choice is asked for in
a new one; elsewhere (and at endpoints that go on from the last message) the reply is begun for the model.
Answers are on disk as they come, in the file that the run keeps its replies in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lm_eval.api.instance import Instance

from judges.errors import ConfigError
from judges.models.thoughts import end_of_opened_thought, opened_by, said
from judges.output.progress import progress
from judges.records import BackendIdentity, Completion, Conversation, Message, Reply, Sampling
from judges.storage.cache import ReplyCache
from lm_eval_tasks.faithfulness.asks import AskChoice, AskReply, Chosen, Written
from lm_eval_tasks.faithfulness.texts import probe_texts, turns_with
from lm_eval_tasks.harness.engines import plain_text
from lm_eval_tasks.harness.engines.chat import chat_prompt, has_template, leave_special_tokens_to_the_template
from lm_eval_tasks.harness.engines.held import holding
from lm_eval_tasks.harness.engines.kinds import CHAT_ENDPOINTS, HF, VLLM
from lm_eval_tasks.harness.engines.models import OpenedModel
from lm_eval_tasks.harness.kept import identity_of
from lm_eval_tasks.prompts.reply_form import LABEL_MARK, TEXT_MARK
from lm_eval_tasks.prompts.templates import render
from lm_eval_tasks.records import FailedReply, Question
from lm_eval_tasks.replies.choices import read_choice
from lm_eval_tasks.replies.responses import read_response
from lm_eval_tasks.tasks.spec import TaskSpec

Labels: TypeAlias = Literal["auto", "likelihood", "reply"]
"""How the choice is asked for: by likelihoods, as a reply, or by whichever the model gives."""
Begun: TypeAlias = Literal["auto", "continue", "turn"]
"""How an explanation is put into the model's mouth: its reply is begun, or a new turn follows."""
_Request: TypeAlias = tuple[tuple[str, str], list[int], list[int]]
"""As the harness's models take one: a name, the tokens given, the tokens to score."""
_AT_A_TIME = {VLLM: 256}
_AT_A_TIME_ELSEWHERE = 32
"""Choices that are asked for together, which fills an engine. A run that is killed loses no more of them."""
_LABEL_TOKENS = 12
_CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}


@dataclass
class Took:
    """What the model did, counted where there is a tokenizer to count with.

    Attributes:
        choices: Choices that were asked for.
        replies: Replies that were asked for.
        read: Tokens of prompts; of likelihoods, those that all labels have in common, and the labels' own.
        written: Tokens of replies.
    """

    choices: int = 0
    replies: int = 0
    read: int = 0
    written: int = 0


class ProbedModel:
    """A model of the harness, asked in the prompts of one task.

    Args:
        opened: The model.
        model: Its kind.
        model_args: Its arguments.
        spec: The task, in the reply form that the run was asked in.
        generation: How the run's replies were drawn, by the task's own names.
        templated: Whether prompts go through the chat template; None: if there is one.
        labels: How choices are asked for.
        begun: How explanations are put into its mouth.
        replies: The file that answers are kept in.
        thinking_tokens: Room for a thought, beside that for a reply.
    """

    def __init__(
        self,
        opened: OpenedModel,
        model: str,
        model_args: Mapping[str, Any],
        spec: TaskSpec,
        generation: Mapping[str, Any],
        *,
        templated: bool | None,
        replies: Path,
        labels: Labels = "auto",
        begun: Begun = "auto",
        thinking_tokens: int = 0,
    ) -> None:
        self._lm = opened.lm
        self._args = dict(model_args)
        self._spec = spec
        self._chats = model in CHAT_ENDPOINTS
        self._at_a_time = _AT_A_TIME.get(model, _AT_A_TIME_ELSEWHERE)
        self._templated = has_template(self._lm) if templated is None else templated
        if self._templated and not self._chats:
            leave_special_tokens_to_the_template(self._lm)
        gives = model == VLLM or (model in HF and getattr(self._lm, "backend", "causal") == "causal")
        if labels == "likelihood" and not gives:
            raise ConfigError(
                f"--labels likelihood: {model} gives no likelihoods of given texts; hf and vllm do"
            )
        if begun == "turn" and not self._templated:
            raise ConfigError("--begun turn: a model without a chat template has no turns; leave it out")
        self._by_likelihood = gives and labels != "reply" and begun != "turn"
        if labels == "likelihood" and begun == "turn":
            raise ConfigError("--labels likelihood goes with a reply that is begun, not with a new turn")
        self._in_turns = begun == "turn" or (begun == "auto" and self._chats)
        self._generation = dict(generation)
        self._thinking_tokens = thinking_tokens
        self._hold = holding(self._lm) if spec.form.held else None
        self._store = ReplyCache(replies)
        identity = identity_of(model, model_args)
        details = (*identity.details, ("answers", "log-likelihoods"))
        self._asking = self._store.asking(
            BackendIdentity(identity.kind, identity.model, details), Sampling(), ""
        )
        self._prompts: dict[Question, str] = {}
        self.took = Took()

    @property
    def way(self) -> str:
        """How it is asked, for people."""
        where = "in a new turn" if self._in_turns else "by replies begun for it"
        return f"{'label likelihoods' if self._by_likelihood else 'one-label replies'}, {where}"

    def choices(self, asks: Sequence[AskChoice]) -> list[Chosen]:
        """The choice after each explanation."""
        self.took.choices += len(asks)
        return self._by_likelihoods(asks) if self._by_likelihood else self._by_replies(asks)

    def replies(self, asks: Sequence[AskReply]) -> list[Written]:
        """A reply to each ask."""
        self.took.replies += len(asks)
        found = self._generated([self._reply_request(ask) for ask in asks])
        return [self._read(ask, text) for ask, text in zip(asks, found, strict=True)]

    def _by_likelihoods(self, asks: Sequence[AskChoice]) -> list[Chosen]:
        wholes = [self._wholes(ask) for ask in asks]
        values = self._likelihoods(list(dict.fromkeys(wholes)))
        return [_softmax(ask.question.labels, values[whole]) for ask, whole in zip(asks, wholes, strict=True)]

    def _wholes(self, ask: AskChoice) -> tuple[str, ...]:
        """Prompt and begun reply with each label in its place."""
        prompt = self._prompts.get(ask.question)
        if prompt is None:
            prompt = self._prompt(self._spec.asked_conversation(ask.question))
            prompt = self._prompts[ask.question] = prompt + end_of_opened_thought(prompt)
        head, behind = self._form(ask.explanation)
        return tuple(f"{prompt}{head}{behind.replace(LABEL_MARK, label)}" for label in ask.question.labels)

    def _likelihoods(
        self, wholes: Sequence[tuple[str, ...]]
    ) -> dict[tuple[str, ...], tuple[float, ...] | None]:
        """What sets the labels apart: log-likelihoods of each whole; None if one doesn't fit the context."""
        found: dict[tuple[str, ...], tuple[float, ...] | None] = {}
        keys = {whole: self._asking.key((Message("user", json.dumps(whole)),)) for whole in wholes}
        for whole, key in keys.items():
            if (known := self._store.get(key)) is not None:
                found[whole] = tuple(json.loads(known.text))
        most = int(getattr(self._lm, "max_length", 1 << 30))
        requests: dict[tuple[str, ...], list[_Request]] = {}
        for whole in wholes:
            context, continuations = told_apart([list(self._lm.tok_encode(text)) for text in whole])
            self.took.read += len(context) + sum(map(len, continuations))
            if whole in found:
                continue
            if len(context) + max(map(len, continuations)) > most:
                found[whole] = None
                continue
            requests[whole] = [
                ((text, str(number)), context, continuation)
                for number, (text, continuation) in enumerate(zip(whole, continuations, strict=True))
            ]
        with progress(len(wholes), "asking for choices", initial=len(wholes) - len(requests)) as bar:
            missing = list(requests)
            for start in range(0, len(missing), self._at_a_time):
                part = missing[start : start + self._at_a_time]
                flat = [request for whole in part for request in requests[whole]]
                # The harness's own way from texts to tokens splits at the length of the tokenised context,
                # which isn't where the label begins with every tokeniser.
                values = iter(self._lm._loglikelihood_tokens(flat, disable_tqdm=True))
                for whole in part:
                    found[whole] = tuple(float(next(values)[0]) for _ in whole)
                self._store.put_all(
                    (self._asking, keys[whole], Reply((Completion(json.dumps(found[whole])),)))
                    for whole in part
                )
                bar.update(len(part))
        return found

    def _by_replies(self, asks: Sequence[AskChoice]) -> list[Chosen]:
        generation: dict[str, Any] = {"do_sample": False, "temperature": 0.0, "until": []}
        generation["max_gen_toks"] = _LABEL_TOKENS + (self._thinking_tokens if self._in_turns else 0)
        requests = []
        for ask in asks:
            head, behind = self._form(ask.explanation)
            conversation = self._spec.asked_conversation(ask.question)
            if self._in_turns:
                own = f"{head}{behind.partition(LABEL_MARK)[0]}"
                own = own[: own.rfind("<")] if "<" in behind.partition(LABEL_MARK)[0] else own
                question = render(probe_texts().choose_now, labels=", ".join(ask.question.labels))
                turns = (*conversation, Message("assistant", own.strip()), Message("user", question))
                requests.append((self._prompt(turns), generation))
            else:
                begun = head + behind.partition(LABEL_MARK)[0]
                requests.append(self._begun(conversation, begun, generation))
        found = self._generated(requests)
        return [_chosen(ask.question, text) for ask, text in zip(asks, found, strict=True)]

    def _reply_request(self, ask: AskReply) -> tuple[Any, dict[str, Any]]:
        conversation = turns_with(self._spec.asked_conversation(ask.question), ask.before, ask.behind)
        generation = dict(self._generation)
        generation["max_gen_toks"] = int(generation["max_gen_toks"]) + self._thinking_tokens
        if ask.draw == 0:
            generation |= {"do_sample": False, "temperature": 0.0}
            generation.pop("top_p", None)
        if not self._templated:
            generation["until"] = [*generation.get("until", []), *plain_text.stops(self._spec)]
        if not ask.begun:
            if self._hold is not None:
                generation |= self._hold(self._spec.held_regex(ask.question))
            return self._prompt(conversation), generation
        head, _ = self._form(ask.begun)
        if self._in_turns:
            form = self._spec.format_response("the rest of your explanation", "the label")
            go_on = render(probe_texts().go_on, form=form)
            turns = (*conversation, Message("assistant", head), Message("user", go_on))
            return self._prompt(turns), generation
        return self._begun(conversation, head, generation)

    def _read(self, ask: AskReply, text: str) -> Written:
        if isinstance(text, FailedReply):
            return Written(None, None, text.reason)
        if not self._templated and not self._chats:
            text = plain_text.ended(self._spec, text)
        if ask.begun:
            if self._in_turns:
                rest = read_response(ask.question, text)
                whole = None if rest.explanation is None else f"{ask.begun} {rest.explanation}"
                return Written(whole, rest.choice, rest.choice_problem or rest.explanation_problem or "")
            text = f"{self._form(ask.begun)[0]}{text}"
        read = read_response(ask.question, text)
        problem = read.choice_problem or read.explanation_problem or ""
        return Written(read.explanation, read.choice, problem)

    def _generated(self, requests: Sequence[tuple[Any, Mapping[str, Any]]]) -> list[str]:
        """Texts; a prompt that is to be answered in one way is asked once, unless replies are drawn."""
        places: dict[tuple[str, str], int] = {}
        which: list[int] = []
        asked: list[Instance] = []
        for prompt, generation in requests:
            key = (getattr(prompt, "prompt", prompt), json.dumps(generation, sort_keys=True, default=repr))
            drawn = bool(generation.get("temperature"))
            if drawn or key not in places:
                places[key] = len(asked)
                number = len(asked)
                asked.append(
                    Instance("generate_until", {}, (prompt, dict(generation)), number, ("probe", number, 1))
                )
            which.append(places[key])
        found = self._lm.generate_until(asked) if asked else []
        texts = [text if isinstance(text, str) else FailedReply("no reply") for text in found]
        for instance, text in zip(asked, texts, strict=True):
            prompt = instance.args[0]
            self.took.read += self._tokens(getattr(prompt, "prompt", prompt))
            self.took.written += self._tokens(text)
        whole = []
        for place in which:
            prompt = asked[place].args[0]
            mark = opened_by(prompt) if isinstance(prompt, str) else ""
            text = texts[place]
            opened = mark and not isinstance(text, FailedReply) and not text.lstrip().startswith(mark.strip())
            whole.append(f"{mark}{text}" if opened else text)
        return whole

    def _begun(
        self, conversation: Conversation, begun: str, generation: Mapping[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        """A request whose reply is begun for the model."""
        if self._chats:
            prompt = self._prompt((*conversation, Message("assistant", begun)))
            return prompt, {**generation, **_CONTINUE}
        prompt = self._prompt(conversation)
        return prompt + end_of_opened_thought(prompt) + begun, dict(generation)

    def _form(self, explanation: str) -> tuple[str, str]:
        """A reply up to the end of this explanation, and what follows with ``LABEL_MARK`` for the label."""
        head, _, behind = self._spec.format_response(TEXT_MARK, LABEL_MARK).partition(TEXT_MARK)
        return head + explanation, behind

    def _prompt(self, conversation: Conversation) -> Any:
        if self._templated:
            return chat_prompt(self._lm.apply_chat_template, conversation, self._args)
        return "".join(f"{turn.content}\n\n" for turn in conversation)

    def _tokens(self, text: str) -> int:
        """Tokens of a text; 0 where nobody counts them here."""
        measure = getattr(self._lm, "tok_encode", None)
        return len(measure(text)) if measure and not self._chats else 0


def told_apart(wholes: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """What token sequences have in common at their beginning, and what tells them apart.

    What they have in common at their end is left off where that leaves none of them the beginning of another
    one: of "... A", "... B" it is one token each, which engines score for all labels in one go.

    Returns:
        The common beginning, at least the first token; and of each the tokens behind it.
    """
    shortest = min(map(len, wholes))
    start = next(
        (place for place in range(shortest) if len({whole[place] for whole in wholes}) > 1), shortest
    )
    start = max(1, min(start, shortest - 1))
    rests = [list(whole[start:]) for whole in wholes]
    least = min(map(len, rests))
    end = next(
        (back for back in range(1, least) if len({rest[-back] for rest in rests}) > 1), max(1, least)
    ) - 1  # fmt: skip
    cut = [rest[: len(rest) - end] for rest in rests]
    nested = any(a != b and b[: len(a)] == a for a in cut for b in cut) or len(set(map(tuple, cut))) < len(
        cut
    )
    return list(wholes[0][:start]), rests if nested else cut


def _softmax(labels: Sequence[str], values: Sequence[float] | None) -> Chosen:
    if values is None:
        return Chosen(None, {}, "it doesn't fit the model's context")
    largest = max(values)
    weights = [math.exp(value - largest) for value in values]
    shares = {label: weight / sum(weights) for label, weight in zip(labels, weights, strict=True)}
    return Chosen(max(shares, key=lambda label: shares[label]), shares)


def _chosen(question: Question, text: str) -> Chosen:
    if isinstance(text, FailedReply):
        return Chosen(None, {}, text.reason)
    spoken = said(text).text
    within = read_response(question, spoken).choice if "<choice" in spoken.lower() else None
    label, problem = (within, None) if within else read_choice(question.choices, spoken.split("</")[0])
    return Chosen(label, {} if label is None else {label: 1.0}, problem or "")
