"""Backend ``transformers``: a Hugging Face model in this process, where vLLM doesn't serve it.

Slower than vLLM, but exact about seeds: a completion depends on the seed, its conversation and its place
among the samples, never on what shares its batch (up to the rounding of the arithmetic). The model is loaded
with the first conversation.
"""

from __future__ import annotations

import gc
import importlib.util
import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import Any

from pydantic import Field

from judges.backends.local_model import (
    LocalModelSettings,
    check_model,
    completed,
    conversation_seed,
    identity,
    no_template,
    prompt_tokens,
)
from judges.backends.protocol import IndexedOutcome
from judges.errors import BackendError, ConfigError, MissingExtraError
from judges.models.precision import dtype_on_cpu
from judges.models.rendering import LostTextError
from judges.records import (
    BackendIdentity,
    Completion,
    Conversation,
    Failure,
    FinishReason,
    Outcome,
    Reply,
    Sampling,
    Usage,
)
from judges.settings import parse

# Batches' worth of conversations that are looked at together, to put prompts of like length in one batch.
WINDOW_BATCHES = 16


class TransformersSettings(LocalModelSettings):
    """Settings of the backend ``transformers``.

    Attributes:
        batch_size: Completions written at a time; halved by itself when the memory doesn't suffice.
        device: ``auto`` (all GPUs if there are any), or a torch device such as ``cpu`` or ``cuda:1``.
    """

    batch_size: int = Field(default=16, ge=1)
    device: str = "auto"


def create(settings: Mapping[str, Any]) -> TransformersBackend:
    """Makes the backend from a judge file's keys; the model is loaded when it is first asked.

    Raises:
        MissingExtraError: If transformers or PEFT isn't installed.
        ConfigError: Naming all that is wrong with the settings.
    """
    checked = parse(TransformersSettings, settings, "backend transformers")
    check_model(checked)
    for library in ("torch", "transformers", *(["peft"] if checked.adapter else [])):
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, "hf")
    return TransformersBackend(checked)


class TransformersBackend:
    """A :class:`judges.ChatBackend`; see there."""

    def __init__(self, settings: TransformersSettings) -> None:
        self._settings = settings
        self._model: _Model | None = None
        self._identity = identity("transformers", settings)

    @property
    def identity(self) -> BackendIdentity:
        """What the answers depend on."""
        return self._identity

    @property
    def constrains(self) -> bool:
        """True where xgrammar is installed."""
        return importlib.util.find_spec("xgrammar") is not None

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """Answers the conversations, a window of batches at a time.

        Raises:
            BackendError: If the model can't be loaded.
        """
        window = max(1, WINDOW_BATCHES * self._settings.batch_size // sampling.n)
        source = enumerate(conversations)
        while block := list(islice(source, window)):
            if self._model is None:
                self._model = _Model(self._settings)
            yield from self._model.answer(block, sampling, constrained=self.constrains)

    def close(self) -> None:
        """Frees the model's memory."""
        if self._model is not None:
            self._model = None
            gc.collect()
            import torch

            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def __enter__(self) -> TransformersBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class _Row:
    """One completion to write: sample ``sample`` of conversation ``index``."""

    index: int
    sample: int
    prompt: list[int]
    seed: int


@dataclass(frozen=True)
class _Written:
    """A completion with its number of tokens, or why there is none."""

    completion: Completion | None
    tokens: int
    seconds: float
    problem: str = ""


class _Model:
    """A loaded model with its tokenizer."""

    def __init__(self, settings: TransformersSettings) -> None:
        from transformers import AutoTokenizer, GenerationConfig

        self._settings = settings
        self._template = settings.template_text()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                settings.model_path,
                revision=settings.revision,
                trust_remote_code=settings.trust_remote_code,
            )
            self._model = _load(settings)
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            reason = " ".join(str(error).split())
            raise BackendError(f"model {settings.model!r} can't be loaded: {reason}") from None
        if self._template is None and not self._tokenizer.chat_template:
            raise ConfigError(no_template(settings.model))
        stored = self._model.generation_config.eos_token_id
        ends = [self._tokenizer.eos_token_id] if stored is None else stored
        self._ends: list[int] = list(ends) if isinstance(ends, Sequence) else [ends]
        pad = self._tokenizer.pad_token_id
        self._pad: int = self._ends[0] if pad is None else pad
        # The model's own sampling advice must not reach what is asked for here.
        self._model.generation_config = GenerationConfig(eos_token_id=self._ends, pad_token_id=self._pad)
        self._limit: int | None = getattr(self._model.config, "max_position_embeddings", None)
        self._grammars: dict[str, Any] = {}

    def answer(
        self, block: Sequence[tuple[int, Conversation]], sampling: Sampling, *, constrained: bool
    ) -> Iterator[IndexedOutcome]:
        """Answers a block of conversations; each is yielded when its last sample is written."""
        rows: list[_Row] = []
        for index, conversation in block:
            outcome = self._rows(index, conversation, sampling)
            if isinstance(outcome, Failure):
                yield index, outcome
            else:
                rows += outcome
        grammar = self._grammar(sampling.form.regex) if constrained and sampling.form is not None else None
        written: dict[int, list[tuple[_Row, _Written]]] = defaultdict(list)
        for batch in self._batches(rows, sampling.most_tokens):
            for row, one in zip(batch, self._write(batch, sampling, grammar), strict=True):
                done = written[row.index]
                done.append((row, one))
                if len(done) == sampling.n:
                    yield row.index, _outcome(written.pop(row.index))

    def _rows(self, index: int, conversation: Conversation, sampling: Sampling) -> list[_Row] | Failure:
        try:
            prompt = prompt_tokens(
                self._tokenizer, conversation, self._template, self._settings.chat_template_kwargs
            )
        except LostTextError as error:  # this one conversation; a template that serves none ends the run
            return Failure(str(error))
        if self._limit is not None and len(prompt) >= self._limit:
            return Failure(f"the prompt has {len(prompt)} tokens, the model takes {self._limit}")
        seeded = None if sampling.seed is None else conversation_seed(sampling.seed, conversation)
        return [
            _Row(index, sample, prompt, secrets.randbits(62) if seeded is None else seeded)
            for sample in range(sampling.n)
        ]

    def _batches(self, rows: list[_Row], max_tokens: int) -> Iterator[list[_Row]]:
        """Rows of like length together, the longest first; one without room for its tokens stays alone."""
        size = self._settings.batch_size
        batch: list[_Row] = []
        for row in sorted(rows, key=lambda row: (-len(row.prompt), row.index, row.sample)):
            if self._limit is not None and len(row.prompt) + max_tokens > self._limit:
                yield [row]
                continue
            batch.append(row)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _write(self, batch: list[_Row], sampling: Sampling, grammar: Any) -> list[_Written]:
        import torch

        try:
            return self._generate(batch, sampling, grammar)
        except torch.OutOfMemoryError as error:
            if len(batch) == 1:
                return [_Written(None, 0, 0.0, problem=f"out of memory: {error}")]
        torch.cuda.empty_cache()
        half = len(batch) // 2
        return self._write(batch[:half], sampling, grammar) + self._write(batch[half:], sampling, grammar)

    def _generate(self, batch: list[_Row], sampling: Sampling, grammar: Any) -> list[_Written]:
        import torch
        from transformers import GenerationConfig

        start = time.monotonic()
        width = max(len(row.prompt) for row in batch)
        room = sampling.most_tokens if self._limit is None else min(sampling.most_tokens, self._limit - width)
        device = self._model.device
        tokens = [[self._pad] * (width - len(row.prompt)) + row.prompt for row in batch]
        mask = [[0] * (width - len(row.prompt)) + [1] * len(row.prompt) for row in batch]
        # A form ends by itself; its matcher would trip over a stop string.
        stop = list(sampling.stop) if grammar is None else []
        config = GenerationConfig(
            max_new_tokens=room,
            do_sample=False,
            eos_token_id=self._ends,
            pad_token_id=self._pad,
            stop_strings=stop or None,
        )
        input_ids, attention_mask = torch.tensor(tokens, device=device), torch.tensor(mask, device=device)
        with torch.inference_mode():
            output = self._model.generate(
                input_ids=input_ids,
                attention_mask=attention_mask,
                past_key_values=self._past(batch, input_ids, attention_mask),
                generation_config=config,
                logits_processor=self._processors(batch, width, room, sampling, grammar),
                tokenizer=self._tokenizer if stop else None,
            )
        seconds = time.monotonic() - start
        written = [self._read(tokens, sampling, seconds) for tokens in output[:, width:].tolist()]
        if grammar is not None:  # held to a form, so there is no thought
            return written
        return [self._with_thought(row, one) for row, one in zip(batch, written, strict=True)]

    def _with_thought(self, row: _Row, written: _Written) -> _Written:
        assert written.completion is not None
        text = completed(written.completion.text, self._tokenizer, row.prompt)
        return replace(written, completion=replace(written.completion, text=text))

    def _past(self, batch: list[_Row], input_ids: Any, attention_mask: Any) -> Any:
        """A cache with the prompts up to their last token, if each can be read once for several samples.

        Else an empty one; None if the model keeps more than keys and values of its past.
        """
        import torch
        from transformers import GenerationConfig

        from judges.backends.transformers.growing_cache import grow_in_place, new_cache

        cache = new_cache(self._model.config)
        if cache is None:
            return None
        first: dict[int, int] = {}
        for place, row in enumerate(batch):
            first.setdefault(row.index, place)
        if len(first) < len(batch) and input_ids.shape[1] > 1:
            distinct = list(first.values())
            # The token that this writes isn't read, so the cache ends with the last but one of the prompt.
            self._model.generate(
                input_ids=input_ids[distinct, :-1],
                attention_mask=attention_mask[distinct, :-1],
                past_key_values=cache,
                generation_config=GenerationConfig(max_new_tokens=1, do_sample=False, pad_token_id=self._pad),
            )
            prompts = {index: number for number, index in enumerate(first)}
            cache.batch_select_indices(
                torch.tensor([prompts[row.index] for row in batch], device=input_ids.device)
            )
        grow_in_place(cache)
        return cache

    def _processors(
        self, batch: list[_Row], width: int, room: int, sampling: Sampling, grammar: Any
    ) -> list[Any]:
        """Form, temperature, nucleus and draw, in the order in which vLLM applies them."""
        from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

        found = LogitsProcessorList()
        if grammar is not None:
            from xgrammar.contrib.hf import LogitsProcessor

            found.append(LogitsProcessor(grammar))
        if sampling.temperature > 0:
            found.append(TemperatureLogitsWarper(sampling.temperature))
            if sampling.top_p < 1:
                found.append(TopPLogitsWarper(sampling.top_p))
            found.append(_SeededDraw([(row.seed, row.sample) for row in batch], width, room))
        return list(found)

    def _read(self, tokens: list[int], sampling: Sampling, seconds: float) -> _Written:
        """Text and end of one row of new tokens."""
        finish: FinishReason = "length"
        for position, token in enumerate(tokens):
            if token in self._ends:
                tokens, finish = tokens[: position + 1], "stop"
                break
        text = self._tokenizer.decode(tokens, skip_special_tokens=True)
        cuts = [place for place in (text.find(stop) for stop in sampling.stop) if place >= 0]
        if cuts:
            text, finish = text[: min(cuts)], "stop"
        return _Written(Completion(text, finish), len(tokens), seconds)

    def _grammar(self, regex: str) -> Any:
        if regex not in self._grammars:
            from judges.backends.transformers.grammar import compile_regex

            vocabulary = self._model.get_output_embeddings().weight.shape[0]
            self._grammars[regex] = compile_regex(self._tokenizer, vocabulary, self._ends, regex)
        return self._grammars[regex]


class _SeededDraw:
    """Draws each row's next token with that row's own random numbers, by the inverse of its distribution.

    ``generate`` then takes the largest score, which is the drawn token: exact sampling, one random number a
    token, the same on every device and in every batch.
    """

    def __init__(self, seeds: Sequence[tuple[int, int]], prompt_width: int, tokens: int) -> None:
        import numpy as np

        # In (0, 1], so that no token without probability is ever drawn.
        self._levels = np.stack([1.0 - np.random.default_rng(seed).random(tokens) for seed in seeds])
        self._prompt_width = prompt_width

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores of 0 for the drawn token of each row and minus infinity for all others."""
        import torch

        precision = torch.float32 if scores.device.type == "mps" else torch.float64
        mass = scores.to(precision).softmax(dim=-1).cumsum(dim=-1)
        level = self._levels[:, input_ids.shape[1] - self._prompt_width, None]
        threshold = torch.as_tensor(level, dtype=precision, device=scores.device) * mass[:, -1:]
        drawn = (mass < threshold).sum(dim=-1, keepdim=True)
        return torch.full_like(scores, float("-inf")).scatter_(1, drawn, 0.0)


def _load(settings: TransformersSettings) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    device = settings.device
    if device == "auto":
        device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
    several = settings.device == "auto" and torch.cuda.device_count() > 1
    dtype: str = settings.dtype
    if dtype == "auto" and device == "cpu":
        dtype = dtype_on_cpu(settings.model_path)
    model = AutoModelForCausalLM.from_pretrained(
        settings.model_path,
        revision=settings.revision,
        dtype=dtype if dtype == "auto" else getattr(torch, dtype),
        device_map="auto" if several else None,
        trust_remote_code=settings.trust_remote_code,
    )
    if not several:
        model = model.to(device)
    if settings.adapter_path is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(settings.adapter_path))
    return model.eval()


def _outcome(samples: list[tuple[_Row, _Written]]) -> Outcome:
    samples = sorted(samples, key=lambda pair: pair[0].sample)
    seconds = max(one.seconds for _, one in samples)
    completions = tuple(one.completion for _, one in samples if one.completion is not None)
    if len(completions) < len(samples):
        return Failure(next(one.problem for _, one in samples if one.completion is None), seconds=seconds)
    usage = Usage(len(samples[0][0].prompt), sum(one.tokens for _, one in samples))
    return Reply(completions=completions, usage=usage, seconds=seconds)
