"""The harness's vLLM model, which hands over each reply the moment it is finished.

The harness's own hands all of them over when the last is: until then nothing of a long run is safe, and
nothing can be judged. Calling it with a part at a time would empty the engine at the end of each part. So the
engine is stepped here, with the harness's own prompts, settings and reading of replies around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias

from lm_eval.api.instance import Instance
from lm_eval.models.utils import maybe_truncate, postprocess_generated_text
from lm_eval.models.vllm_causallms import VLLM

from judges.errors import BackendError

_Scored: TypeAlias = tuple[Any, list[int], list[int]]
"""What the harness has scored: a name, the context's tokens, the continuation's."""
_Score: TypeAlias = tuple[float, bool]
_AT_ONCE = 128
"""Tokens behind one context that vLLM scores at once."""


class StreamedVLLM(VLLM):  # type: ignore[misc]
    """A model on vLLM, as the harness's ``vllm``."""

    _asked = 0

    @property
    def streams(self) -> bool:
        """Whether replies can be had one by one; with data parallelism the engines run elsewhere."""
        return bool(self.data_parallel_size <= 1)

    def finished(self, requests: Sequence[Instance]) -> Iterator[tuple[int, str]]:
        """Replies as they are finished: number of the request, and text.

        Raises:
            BackendError: If the engine gives a request up.
        """
        engine = self.model.llm_engine
        under_way: dict[str, tuple[int, list[str]]] = {}
        try:
            for number, tokens, until, sampling in self._prepared(requests):
                request = f"reply-{self._asked}"
                self._asked += 1
                prompt = {"type": "token", "prompt_token_ids": tokens}
                engine.add_request(request, prompt, sampling, lora_request=self.lora_request)
                under_way[request] = (number, until)
            while under_way:
                for output in engine.step():
                    if output.finished and output.request_id in under_way:
                        number, until = under_way.pop(output.request_id)
                        yield number, self._text(output, until)
        finally:
            if under_way:
                engine.abort_request(list(under_way))

    def _prepared(self, requests: Sequence[Instance]) -> Iterator[tuple[int, list[int], list[str], Any]]:
        """Number, prompt, stop strings and settings of each; the longest first."""
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        texts = [str(request.args[0]) for request in requests]
        distinct = list(dict.fromkeys(texts))
        encoded = dict(zip(distinct, self.tok_encode(distinct), strict=True))
        ends = self.tokenizer.decode(self.eot_token_id) or getattr(self.tokenizer, "eos_token", "")
        for number in sorted(range(len(requests)), key=lambda k: (-len(encoded[texts[k]]), texts[k])):
            settings, until, room = self.modify_gen_kwargs(
                requests[number].args[1], eos=ends, default_max_gen_toks=self.max_gen_toks
            )
            tokens, room = maybe_truncate(
                encoded[texts[number]],
                max_gen_toks=room,
                max_model_len=self.max_length,
                side=self.truncation_side,
                verbose=False,
            )
            # A thought may hold what ends a reply; the task's own ends are looked for after it.
            stop = [end for end in until if end == ends] if self.think_end_token else until
            sampling = SamplingParams(
                max_tokens=room, stop=stop, output_kind=RequestOutputKind.FINAL_ONLY, **settings
            )
            yield number, tokens, until, sampling

    def _text(self, output: Any, until: list[str]) -> str:
        completion = output.outputs[0]
        if completion.finish_reason not in ("stop", "length"):
            raise BackendError(f"vLLM ended a request: {completion.finish_reason}; its log says why")
        return str(postprocess_generated_text(completion.text, until, self.think_end_token))

    def _loglikelihood_tokens(self, requests: list[_Scored], disable_tqdm: bool = False) -> list[_Score]:
        """As the harness's; continuations of one token, which labels are, by one token for each context.

        The harness sends each continuation by itself, and has all tokens of its text scored, of which no
        prefix cache saves any.
        """
        from vllm import SamplingParams

        labels: dict[tuple[int, ...], set[int]] = {}
        for _, context, continuation in requests:
            if len(continuation) == 1 and 0 < len(context) < self.max_length:
                labels.setdefault(tuple(context), set()).add(continuation[0])
        knows = self.streams and hasattr(SamplingParams, "logprob_token_ids")  # later versions of vLLM do
        at_once = {context: found for context, found in labels.items() if knows and len(found) <= _AT_ONCE}
        scores = self._scored(at_once) if at_once else {}
        found = [scores.get((tuple(context), *continuation)) for _, context, continuation in requests]
        others = [request for request, score in zip(requests, found, strict=True) if score is None]
        rest = iter(super()._loglikelihood_tokens(others, disable_tqdm=disable_tqdm) if others else ())
        return [next(rest) if score is None else score for score in found]

    def _scored(self, tokens: Mapping[tuple[int, ...], Set[int]]) -> dict[tuple[Any, ...], _Score]:
        """(context, token) -> the token's log-likelihood there, and whether it is the likeliest of all."""
        from vllm import SamplingParams

        outputs = self.model.generate(
            [{"prompt_token_ids": list(context)} for context in tokens],
            [
                SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=sorted(wanted))
                for wanted in tokens.values()
            ],
            lora_request=self.lora_request,
            use_tqdm=False,
        )
        found: dict[tuple[Any, ...], _Score] = {}
        for (context, wanted), output in zip(tokens.items(), outputs, strict=True):
            (likeliest,) = output.outputs[0].token_ids
            values: Mapping[int, Any] = (output.outputs[0].logprobs or ({},))[0]
            found |= {
                (context, token): (values[token].logprob, token == likeliest)
                for token in wanted & values.keys()  # there are versions that know the setting and pass it by
            }
        return found
