"""Holding replies to their form, for the harness's own models: what ``reply_form: held`` adds to a request.

vLLM and endpoints take a regular expression. ``hf`` takes a logits processor, which xgrammar makes.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from typing import Any, TypeAlias

from judges.errors import BackendError, ConfigError, MissingExtraError
from lm_eval_tasks.records import FailedReply, Json

Hold: TypeAlias = Callable[[str], Json]
"""Regular expression -> what holds a reply to it, as further generation settings of its request."""
_UNLIKELY = ("7341", "8052")
_INSTEAD = "; reply_form shown works with every model"


def holding(lm: Any) -> Hold:
    """How a model of the harness holds replies to a form.

    Args:
        lm: The harness's model; None where the task can't know it.

    Raises:
        ConfigError: If it can't do that, with what to use instead.
        MissingExtraError: If a library is missing.
    """
    if lm is None:
        raise ConfigError(
            "reply_form held: lm_eval doesn't tell the task its model without --apply_chat_template; "
            f"anchor-eval run does{_INSTEAD}"
        )
    names = {kind.__name__ for kind in type(lm).__mro__}
    if "VLLM" in names:
        return _by_vllm
    if names & {"LocalCompletionsAPI", "ChatEndpoint"}:
        _try_endpoint(lm, chats=bool(names & {"LocalChatCompletion", "ChatEndpoint"}))
        return _by_endpoint
    if "HFLM" in names and getattr(lm, "backend", "causal") == "causal":
        if importlib.util.find_spec("xgrammar") is None:
            raise MissingExtraError("xgrammar", "hf")
        return _Grammars(lm).hold
    raise ConfigError(
        f"reply_form held: models of the kind {type(lm).__name__} can't be held to a form; hf, vllm and "
        f"endpoints with structured outputs can{_INSTEAD}"
    )


def _by_vllm(regex: str) -> Json:
    from vllm.sampling_params import StructuredOutputsParams

    return {"structured_outputs": StructuredOutputsParams(regex=regex)}


def _by_endpoint(regex: str) -> Json:
    return {"structured_outputs": {"regex": regex}}


def _try_endpoint(lm: Any, *, chats: bool) -> None:
    """Asks for what only a model says that is held to it: many servers ignore what they don't know."""
    from lm_eval.api.instance import Instance

    prompt: Any = "Say hello."
    if chats:
        prompt = lm.apply_chat_template([{"role": "user", "content": prompt}])
    generation = {"do_sample": False, "temperature": 0.0, "max_gen_toks": 16, "until": [], "seed": None}
    request = Instance(
        request_type="generate_until",
        doc={},
        arguments=(prompt, {**generation, **_by_endpoint("|".join(_UNLIKELY))}),
        idx=0,
        metadata=("reply_form", 0, 1),
    )
    try:
        (reply,) = lm.generate_until([request], disable_tqdm=True)
        if isinstance(reply, FailedReply):
            raise BackendError(reply.reason)
    except Exception as error:
        problem = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"reply_form held: the endpoint refuses structured_outputs ({problem}){_INSTEAD}"
        ) from error
    if str(reply).strip() not in _UNLIKELY:
        said = " ".join(str(reply).split())[:60]
        raise ConfigError(
            f"reply_form held: the endpoint ignores structured_outputs (held to a number, it wrote {said!r})"
            f"{_INSTEAD}"
        )


class _Grammars:
    """The compiled grammars of one model of the kind ``hf``."""

    def __init__(self, lm: Any) -> None:
        self._lm = lm
        self._compiled: dict[tuple[str, int], Any] = {}

    def hold(self, regex: str) -> Json:
        return {"logits_processor": [HeldReply(self, regex)]}

    def compiled(self, regex: str, width: int) -> Any:
        """The grammar of an expression, for scores of so many tokens."""
        if (regex, width) not in self._compiled:
            from judges.backends.transformers.grammar import compile_regex

            stored = getattr(self._lm.model.generation_config, "eos_token_id", None)
            ends = {self._lm.tokenizer.eos_token_id, *(stored if isinstance(stored, list) else [stored])}
            self._compiled[regex, width] = compile_regex(
                self._lm.tokenizer, width, sorted(end for end in ends if end is not None), regex
            )
        return self._compiled[regex, width]


class HeldReply:
    """A logits processor that lets through what the form lets through, for one call of ``generate``.

    The harness groups requests by equal settings and copies the settings for each batch: so two of the same
    form are equal, and a copy begins anew.
    """

    def __init__(self, grammars: _Grammars, regex: str) -> None:
        self._grammars = grammars
        self._regex = regex
        self._processor: Any = None
        self._width = 0

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores with all tokens ruled out that would leave the form."""
        if self._processor is None:
            from xgrammar.contrib.hf import LogitsProcessor

            self._processor = LogitsProcessor(self._grammars.compiled(self._regex, scores.shape[-1]))
        elif input_ids.shape[1] != self._width + 1:
            raise RuntimeError("a form is held for one batch; the harness no longer copies settings for each")
        self._width = input_ids.shape[1]
        return self._processor(input_ids, scores)

    def __deepcopy__(self, memo: Any) -> HeldReply:
        return HeldReply(self._grammars, self._regex)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HeldReply) and other._regex == self._regex

    def __hash__(self) -> int:
        return hash(self._regex)

    def __repr__(self) -> str:
        """As the samples log has it."""
        return f"held to {json.dumps(self._regex)}"
