"""Replies of the engines that the harness runs: each with its own seed, each on disk once it is finished.

It stands between the harness and its model: the harness asks for all replies of a run in one call, gets
texts in its own order, and writes its own samples log. In between, what is on disk is taken from there, and
only the rest is asked for. A reply is found again by everything that it depends on: the kind of model, its
arguments and the content of its folders, the seed, the prompt, the generation settings and the number of the
sample. How replies get to the disk depends on the engine:

* ``vllm`` hands over each reply as it is finished, and is always full;
* ``hf`` and kinds of model that aren't known here write a batch at a time. Which replies share a batch is
  told by all that is asked for, not by what is missing: so a run that was cut off writes the very replies
  that it would have written;
* completion endpoints are asked for as many at once as ``num_concurrent`` says.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

from lm_eval.api.instance import Instance
from lm_eval.models.api_models import LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER

from judges.backends.local_model import fingerprint
from judges.output.progress import progress
from judges.records import BackendIdentity, Completion, Message, Reply, Sampling
from judges.storage.cache import Asking, ReplyCache
from lm_eval_tasks.harness.engines.fit import check_fit
from lm_eval_tasks.harness.engines.kinds import COMPLETIONS, HF, VLLM, engine_of
from lm_eval_tasks.harness.engines.seeds import batch_seed, sample_seed

UNKNOWN_BATCH = 1000
"""Replies at a time from a kind of model that isn't known here."""
_NOT_OF_REPLIES = frozenset(
    {
        *("gpu_memory_utilization", "max_num_seqs", "batch_size", "max_batch_size", "num_concurrent"),
        *("max_retries", "timeout", "device", "seed", "swap_space", "parallelize", "max_memory_per_gpu"),
        *("auth_token", "header", "verify_certificate", "ca_cert_path"),
    }
)
"""Arguments that move where and how fast a model runs, not what it says; and keys, which are kept nowhere."""
_LONGEST_PATH = 4096

Ask: TypeAlias = Callable[[list[Instance]], list[Any]]
OnReply: TypeAlias = Callable[[Instance, Any], None]
"""Is told of each reply once it is on disk: the harness's request, and the text."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One reply that the harness asks for.

    Attributes:
        request: The harness's request, which its samples share.
        key: Under which its reply is kept.
        asking: The first part of the key.
        seed: Its own; None where replies aren't drawn or nobody seeds them.
    """

    request: Instance
    key: bytes
    asking: Asking
    seed: int | None


def identity_of(model: str, model_args: Mapping[str, Any]) -> BackendIdentity:
    """Everything about a model of the harness that its replies depend on.

    Args:
        model: Kind of model.
        model_args: Its arguments. Folders among them count by their content.
    """
    details: list[tuple[str, str]] = []
    for name, value in sorted(model_args.items()):
        if name in _NOT_OF_REPLIES or value is None:
            continue
        details.append((name, value if isinstance(value, str) else json.dumps(value, default=repr)))
        if isinstance(value, str) and (content := _content(value)) is not None:
            details.append((f"{name}_content", content))
    named = next((str(model_args[name]) for name in ("pretrained", "model") if name in model_args), model)
    return BackendIdentity(f"lm_eval:{model}", named, tuple(details))


def _content(value: str) -> str | None:
    return fingerprint(Path(value)) if 0 < len(value) < _LONGEST_PATH and "\n" not in value else None


class KeptReplies:
    """The ``generate_until`` of one of the harness's models.

    Args:
        lm: The model.
        model: Its kind, as the harness names it.
        identity: What its replies depend on.
        seed: Of the run; None to leave the draws to the engine.
        path: File of the replies; None to keep none.
        cut_prompts: Whether prompts that don't fit the model's context may be cut.
        phase: What the user sees it do.
    """

    def __init__(
        self,
        lm: Any,
        model: str,
        identity: BackendIdentity,
        *,
        seed: int | None,
        path: Path | None,
        cut_prompts: bool = False,
        phase: str = "generating",
    ) -> None:
        self._lm = lm
        self._own: Ask = partial(lm.generate_until, disable_tqdm=True)  # before this takes its place
        self._cut_prompts = cut_prompts
        self._phase = phase
        self._model = model
        self._engine = engine_of(model)
        self._identity = identity
        self._seed = seed
        self._store = ReplyCache(path)
        self._lengths: dict[str, int] = {}
        self.cut = 0
        """Prompts of the latest call that were cut, because they don't fit the model's context."""
        self.on_reply: OnReply = lambda request, text: None

    def stand_in(self) -> None:
        """Has the harness ask this instead of the model itself."""
        self._lm.generate_until = self.generate_until

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[Any]:
        """A reply for each request, in their order.

        Raises:
            ConfigError: If a prompt doesn't fit the model's context with its reply.
            DataError: If replies can't be kept (a full disk, say); those that were kept are safe.
        """
        if self._cuts:
            room = getattr(self._lm, "max_gen_toks", None) or self._lm._max_gen_toks
            context = int(self._lm.max_length)
            self.cut = check_fit(requests, self._tokens, context, int(room), cut=self._cut_prompts)
        asked = self._numbered(requests)
        found: dict[int, Any] = {}
        for number, one in enumerate(asked):
            if (known := self._store.get(one.key)) is not None:
                found[number] = known.text
                self.on_reply(one.request, known.text)
        shown = not disable_tqdm
        with progress(len(requests), self._phase, initial=len(found), shown=shown) as bar:
            for number, text in self._missing(asked, set(found)):
                found[number] = text
                self.on_reply(asked[number].request, text)
                bar.update()
        return [found[number] for number in range(len(requests))]

    @property
    def _cuts(self) -> bool:
        """Whether it is a model that cuts prompts which are too long."""
        if self._model in COMPLETIONS:  # where the harness makes the tokens, it cuts them, too
            return bool(self._lm.tokenized_requests)
        return self._model == VLLM or (self._model in HF and self._lm.backend == "causal")

    def _tokens(self, prompt: str) -> int:
        """Tokens of a prompt; characters where nobody counts tokens here."""
        if prompt not in self._lengths:
            measure = getattr(self._lm, "tok_encode", None)
            self._lengths[prompt] = len(measure(prompt)) if measure else len(prompt)
        return self._lengths[prompt]

    def _numbered(self, requests: Sequence[Instance]) -> list[_Asked]:
        """What is asked for, each sample of a request by its number."""
        askings: dict[str, Asking] = {}
        samples: Counter[bytes] = Counter()
        asked = []
        for request in requests:
            prompt, generation = str(request.args[0]), request.args[1]
            settings = json.dumps(generation, sort_keys=True, default=repr)
            if settings not in askings:
                askings[settings] = self._asking(settings)
            asking = askings[settings]
            conversation = (Message("user", prompt),)
            same = asking.key(conversation)
            sample = samples[same]
            samples[same] += 1
            seed = None
            if self._seed is not None and not _greedy(generation):
                seed = sample_seed(self._seed, prompt, sample)
            asked.append(_Asked(request, asking.key(conversation, sample), asking, seed))
        return asked

    def _asking(self, settings: str) -> Asking:
        details = (*self._identity.details, ("generation", settings))
        identity = BackendIdentity(self._identity.kind, self._identity.model, details)
        # How replies are drawn is said by the settings above; the seed goes by its own name.
        return self._store.asking(identity, Sampling(seed=self._seed), "")

    def _missing(self, asked: Sequence[_Asked], known: set[int]) -> Iterator[tuple[int, Any]]:
        if self._engine.seeds == "each reply":
            missing = [number for number in range(len(asked)) if number not in known]
            if getattr(self._lm, "streams", False):
                yield from self._streamed(asked, missing)
                return
            if self._model in COMPLETIONS:
                yield from self._concurrent(asked, missing)
                return
            # Engines that start anew with every call: vLLM's data parallelism.
            if missing:
                texts = self._own([_seeded(asked[number]) for number in missing])
                yield from self._kept(asked, missing, texts)
            return
        for batch in self._batches(asked):
            if missing := [number for number in batch if number not in known]:
                yield from self._kept(asked, missing, self._written([asked[number] for number in missing]))

    def _streamed(self, asked: Sequence[_Asked], missing: list[int]) -> Iterator[tuple[int, Any]]:
        requests = [_seeded(asked[number]) for number in missing]
        for place, text in self._lm.finished(requests):
            yield from self._kept(asked, [missing[place]], [text])

    def _concurrent(self, asked: Sequence[_Asked], missing: list[int]) -> Iterator[tuple[int, Any]]:
        """One request a reply: replies that share a request would share its seed, too."""
        most = max(1, int(getattr(self._lm, "_concurrent", 1)))
        waiting = iter(missing)
        under_way: dict[Future[list[Any]], int] = {}
        with ThreadPoolExecutor(most, "completions") as pool:
            try:
                while True:
                    while len(under_way) < most and (number := next(waiting, None)) is not None:
                        under_way[pool.submit(self._own, [_seeded(asked[number])])] = number
                    if not under_way:
                        return
                    for done in wait(under_way, return_when=FIRST_COMPLETED).done:
                        yield from self._kept(asked, [under_way.pop(done)], done.result())
            finally:  # what is under way when another one failed is kept, too
                for future, number in under_way.items():
                    if not future.cancel():
                        with suppress(Exception):
                            list(self._kept(asked, [number], future.result()))

    def _batches(self, asked: Sequence[_Asked]) -> Iterator[list[int]]:
        """Numbers of the replies that are written together: told by all that is asked for."""
        groups: dict[int, list[int]] = defaultdict(list)
        for number, one in enumerate(asked):
            groups[one.asking.id].append(number)
        size = self._batch_size()
        for group in groups.values():
            texts = {number: str(asked[number].request.args[0]) for number in group}
            group.sort(key=lambda number: (-self._tokens(texts[number]), texts[number]))
            yield from (group[start : start + size] for start in range(0, len(group), size))

    def _batch_size(self) -> int:
        if self._engine.seeds != "each batch":
            return UNKNOWN_BATCH
        if self._lm.batch_size == "auto":
            # Found out once, and not anew in each call.
            self._lm.batch_size_per_gpu = self._lm._detect_batch_size()
        return max(1, int(self._lm.batch_size))

    def _written(self, batch: Sequence[_Asked]) -> list[Any]:
        """The replies of one batch, drawn by generators that are seeded for it alone."""
        seeds = [one.seed for one in batch if one.seed is not None]
        # Without a seed, too: the harness has seeded them, and a second start would draw the same again.
        _seed_generators(batch_seed(seeds) if seeds else secrets.randbits(31))
        return self._own([one.request for one in batch])

    def _kept(
        self, asked: Sequence[_Asked], numbers: Sequence[int], texts: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Hands replies on once they are on disk; those of a batch get there together."""
        pairs = list(zip(numbers, texts, strict=True))
        self._store.put_all(
            (asked[number].asking, asked[number].key, Reply((Completion(text),)))
            for number, text in pairs
            if isinstance(text, str) and not _stands_for_none(text)
        )
        yield from pairs


def _stands_for_none(text: str) -> bool:
    """Whether the harness put this text in the place of a reply that an endpoint didn't give."""
    return bool(LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER) and text == LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER


def _greedy(generation: Mapping[str, Any]) -> bool:
    return generation.get("do_sample") is False or not generation.get("temperature")


def _seeded(one: _Asked) -> Instance:
    """A request of its own, with its own seed."""
    prompt, generation = one.request.args[:2]
    given = {name: value for name, value in generation.items() if name != "seed"}
    if one.seed is not None:
        given["seed"] = one.seed
    return Instance(
        request_type=one.request.request_type,
        doc=one.request.doc,
        arguments=(prompt, given),
        idx=one.request.idx,
        metadata=one.request.metadata,
    )


def _seed_generators(seed: int) -> None:
    """All that a model of the harness may draw from."""
    import random

    import numpy as np

    random.seed(seed)
    np.random.seed(seed)
    if find_spec("torch") is not None:
        import torch

        torch.manual_seed(seed)
