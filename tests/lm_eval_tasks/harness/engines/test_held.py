"""Holding replies to their form: the harness's own models do it, or say that they can't."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model

from judges.errors import ConfigError
from lm_eval_tasks.harness.engines.held import Hold, holding
from tests.conftest import VllmServer
from tests.judges.endpoint import Endpoint

SAMPLED = {"do_sample": True, "temperature": 1.5, "max_gen_toks": 24, "until": []}


def requests(hold: Hold, regexes: list[str]) -> list[Instance]:
    return [
        Instance(
            request_type="generate_until",
            doc={},
            arguments=(f"Question {number}:", {**SAMPLED, **hold(regex)}),
            idx=0,
            metadata=("held", number, 1),
        )
        for number, regex in enumerate(regexes)
    ]


def test_hf_holds_every_request_of_every_batch_to_its_own_form(tiny_model: Path) -> None:
    lm = get_model("hf").create_from_arg_string(
        f"pretrained={tiny_model},dtype=float32", {"batch_size": 2, "device": "cpu"}
    )
    regexes = ["(yes|no)\\.", "[a-c][a-c]x"] * 4
    replies = lm.generate_until(requests(holding(lm), regexes), disable_tqdm=True)
    for regex, reply in zip(regexes, replies, strict=True):
        assert re.fullmatch(regex, reply), (regex, reply)
    assert len(set(replies)) > 2


def test_settings_in_a_samples_log_say_what_a_reply_was_held_to(tiny_model: Path) -> None:
    lm = get_model("hf").create_from_arg_string(f"pretrained={tiny_model}", {"device": "cpu"})
    assert str(holding(lm)("(A|B)")) == "{'logits_processor': [held to \"(A|B)\"]}"


def endpoint_model(url: str, model: str) -> Any:
    arguments = f"model={model},base_url={url}/chat/completions,num_concurrent=1,max_retries=1"
    return get_model("local-chat-completions").create_from_arg_string(arguments)


def our_client(url: str, model: str) -> Any:
    from lm_eval_tasks.harness.engines.chat_endpoint import ChatEndpoint

    return ChatEndpoint(model=model, base_url=url, max_retries=1)


@pytest.mark.parametrize("client", [endpoint_model, our_client])
def test_an_endpoint_that_ignores_forms_is_found_out_before_anything_is_asked(client: Any) -> None:
    with Endpoint(lambda k, body, handler: handler.reply("Hello there!")) as endpoint:
        with pytest.raises(ConfigError, match=r"ignores structured_outputs.*'Hello there!'.*shown works"):
            holding(client(endpoint.url, "m"))
        assert endpoint.bodies[0]["structured_outputs"] == {"regex": "7341|8052"}


@pytest.mark.parametrize("client", [endpoint_model, our_client])
def test_so_is_one_that_refuses_them(client: Any) -> None:
    with (
        Endpoint(lambda k, body, handler: handler.error(400, "unknown field structured_outputs")) as endpoint,
        pytest.raises(ConfigError, match=r"refuses structured_outputs.*shown works"),
    ):
        holding(client(endpoint.url, "m"))


@pytest.mark.engine
@pytest.mark.parametrize("client", [endpoint_model, our_client])
def test_a_vllm_server_holds_replies(vllm_server: VllmServer, client: Any) -> None:
    lm = client(vllm_server.base_url, vllm_server.model)
    assert holding(lm)("(A|B)") == {"structured_outputs": {"regex": "(A|B)"}}
