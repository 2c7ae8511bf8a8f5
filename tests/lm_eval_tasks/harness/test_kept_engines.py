"""Seeds and kept replies of vLLM, inside the harness and behind its server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance

from lm_eval_tasks.harness.engines.models import open_model
from lm_eval_tasks.harness.kept import KeptReplies, identity_of
from tests.conftest import VllmServer
from tests.judges.endpoint import Endpoint, Handler
from tests.lm_eval_tasks.harness.test_kept import PROMPTS, CutOff, asked

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def vllm(
    vllm_installed: None, tiny_model: Path, tiny_adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The harness's vLLM model as it is opened here, with an adapter; one engine for this file."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        arguments = {"pretrained": str(tiny_model), "dtype": "float32", "max_model_len": 1024}
        arguments["lora_local_path"] = str(tiny_adapter)
        folder = tmp_path_factory.mktemp("vllm")
        yield open_model("vllm", arguments, replies=folder / "replies.sqlite", seed=1).lm


def kept(lm: Any, path: Path | None, seed: int | None) -> KeptReplies:
    """The same engine with another file of replies."""
    return KeptReplies(lm, "vllm", identity_of("vllm", {"pretrained": "m"}), seed=seed, path=path)


class Engine:
    """An engine that dies after so many replies."""

    def __init__(self, lm: Any, replies: int) -> None:
        self._lm, self._replies = lm, replies
        self.asked: list[Instance] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lm, name)

    def finished(self, requests: Sequence[Instance]) -> Iterator[tuple[int, str]]:
        self.asked += requests
        for done, reply in enumerate(self._lm.finished(requests)):
            if done == self._replies:
                raise CutOff
            yield reply


def test_another_seed_gives_other_replies_and_the_same_one_the_same(vllm: Any) -> None:
    first, again, other = (kept(vllm, None, seed).generate_until(asked(), True) for seed in (1, 1, 2))
    assert first == again
    assert len(set(first)) == len(first)
    assert not set(first) & set(other)


def test_each_reply_is_kept_and_a_restart_asks_for_the_rest_and_gets_the_same(
    vllm: Any, tmp_path: Path
) -> None:
    whole = kept(vllm, None, 1).generate_until(asked(), True)
    with pytest.raises(CutOff):
        kept(Engine(vllm, 7), tmp_path / "r", 1).generate_until(asked(), True)
    assert not vllm.model.llm_engine.has_unfinished_requests()
    rest = Engine(vllm, 100)
    assert kept(rest, tmp_path / "r", 1).generate_until(asked(), True) == whole
    assert len(rest.asked) == len(whole) - 7


def test_it_writes_what_the_harness_would_have_written(vllm: Any) -> None:
    """Greedily, with the harness's own way through the same engine."""
    requests = asked(samples=1, do_sample=False, temperature=0.0, until=["e"])
    assert kept(vllm, None, 1).generate_until(requests, True) == type(vllm).__mro__[1].generate_until(
        vllm, requests, True
    )


def test_likelihoods_with_an_adapter_are_those_of_transformers(
    vllm: Any, tiny_model: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    """What probes ask for: of one token and of several, each prompt longer than there are prompts."""
    endings = ("a", "b", "c", " a river", "a")
    requests = [
        Instance("loglikelihood", {}, (prompt, ending), number)
        for number, (prompt, ending) in enumerate(product(PROMPTS, endings))
    ]
    arguments = {"pretrained": str(tiny_model), "dtype": "float32"}
    plain, adapted = (
        open_model("hf", {**arguments, **more}, replies=tmp_path / "hf", seed=None, device="cpu").lm
        for more in ({}, {"peft": str(tiny_adapter)})
    )
    assert len(adapted.tok_encode(" a river")) > 1
    found, wanted, without = (lm.loglikelihood(requests, disable_tqdm=True) for lm in (vllm, adapted, plain))
    values = [value for value, _ in found]
    assert values == pytest.approx([value for value, _ in wanted], abs=1e-2)
    assert values != pytest.approx([value for value, _ in without], abs=1e-2)
    assert [greedy for _, greedy in found] == [greedy for _, greedy in wanted]


def test_the_likeliest_token_is_said_to_be_it(vllm: Any) -> None:
    context = list(vllm.tok_encode(PROMPTS[1]))
    every = [(("", ""), context, [token]) for token in range(100)]
    scores = vllm._loglikelihood_tokens(every, disable_tqdm=True)
    best = max(scores)
    assert sum(greedy for _, greedy in scores) == best[1]
    more = [(("", ""), context, [token]) for token in range(vllm.tokenizer.vocab_size)]  # not at once
    everywhere = vllm._loglikelihood_tokens(more, disable_tqdm=True)
    assert [greedy for _, greedy in everywhere].count(True) == 1
    assert max(everywhere)[1]
    assert [value for value, _ in everywhere[:100]] == pytest.approx([value for value, _ in scores], abs=1e-2)


@pytest.mark.parametrize("kind", ["local-chat-completions", "local-completions"])
def test_a_server_is_sent_a_seed_for_each_sample(kind: str, vllm_server: VllmServer, tmp_path: Path) -> None:
    path = "chat/completions" if kind == "local-chat-completions" else "completions"
    arguments = {
        "model": vllm_server.model,
        "base_url": f"{vllm_server.base_url}/{path}",
        "num_concurrent": 4,
        **({} if kind == "local-chat-completions" else {"tokenizer_backend": None}),
    }

    def replies(name: str, seed: int) -> list[str]:
        opened = open_model(kind, arguments, replies=tmp_path / name, seed=seed)
        return list(opened.lm.generate_until(asked(), disable_tqdm=True))

    first, again, other = replies("a", 1), replies("b", 1), replies("c", 2)
    assert first == again
    assert len(set(first)) == len(first)
    assert not set(first) & set(other)


def test_completions_are_kept_as_they_arrive(tmp_path: Path) -> None:
    fails = True

    def behave(k: int, body: dict[str, Any], handler: Handler) -> None:
        if fails and k >= 5:
            handler.error(400, "no more today")
        else:
            handler.json({"choices": [{"index": 0, "text": f"{body['prompt']} {body['seed']}"}]})

    with Endpoint(behave, owned_by=None) as endpoint:
        arguments = {
            "model": "m",
            "base_url": f"{endpoint.url}/completions",
            "tokenizer_backend": None,
            "tokenized_requests": False,
            "max_retries": 1,
            "num_concurrent": 1,
        }

        def generate() -> list[str]:
            opened = open_model("local-completions", arguments, replies=tmp_path / "r", seed=1)
            return list(opened.lm.generate_until(asked(), disable_tqdm=True))

        with pytest.raises(Exception, match=r"400|no more"):
            generate()
        fails = False
        before = len(endpoint.bodies)
        found = generate()
        assert len(endpoint.bodies) - before == len(found) - 5
    assert len(set(found)) == len(found) == 4 * len(PROMPTS)
