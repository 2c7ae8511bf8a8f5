"""The process in which a vLLM engine lives: ``python -m judges.backends.vllm.process FD``.

Started by :mod:`judges.backends.vllm.backend` alone, and spoken to over the socket ``FD``, one JSON object a
line:

    start   engine arguments          ->  ready | fatal
    batch   sampling of what follows
    ask     one conversation          ->  reply | failure | refused (no conversation can be served)
                                          notice (a line for the user, before one of the others)
    drop    forget what is in flight

When the other end closes, in whatever way the other process ended, this process and all that the engine
started end too.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from typing import Any, TypeAlias

from judges.backends.local_model import completed, conversation_seed, no_template, prompt_tokens
from judges.backends.vllm import cpu as vllm_cpu
from judges.models.precision import dtype_on_cpu
from judges.models.rendering import RenderingError
from judges.output.notices import listen
from judges.records import Conversation, Message

Json: TypeAlias = dict[str, Any]

# How long the engine may take to end by itself once the other end is closed.
GRACE_SECONDS = 10.0


def main(fd: int) -> None:
    """Serves until the other end of the socket closes."""
    channel = socket.socket(fileno=fd)
    inbox: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, inbox), daemon=True).start()
    server = None
    try:
        start = inbox.get()
        if start is None:
            return
        server = _Server(channel, inbox, start)
        server.serve()
    except BrokenPipeError:
        return
    except Exception as error:
        _send(channel, {"is": "fatal", "message": _one_line(error)})
        raise
    finally:
        if server is not None:
            server.shut_down()


def _listen(channel: socket.socket, inbox: queue.SimpleQueue[Json | None]) -> None:
    with channel.makefile("r", encoding="utf-8") as lines:
        try:
            for line in lines:
                inbox.put(json.loads(line))
        except (ConnectionError, ValueError):
            pass  # the other process was killed in the middle of a line
    inbox.put(None)
    time.sleep(GRACE_SECONDS)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _send(channel: socket.socket, message: Json) -> None:
    channel.sendall(json.dumps(message).encode() + b"\n")


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


class _Server:
    """One engine, and the requests that are in it."""

    def __init__(self, channel: socket.socket, inbox: queue.SimpleQueue[Json | None], start: Json) -> None:
        self._channel = channel
        self._inbox = inbox
        self._llm = _load(start["engine_args"])
        self._engine = self._llm.llm_engine
        self._tokenizer = self._llm.get_tokenizer()
        self._template: str | None = start["chat_template"]
        self._variables: Json = start["chat_template_kwargs"]
        if self._template is None and not getattr(self._tokenizer, "chat_template", "unknown"):
            raise ValueError(no_template(start["engine_args"]["model"]))
        self._lora = self._load_adapter(start["adapter"])
        config = self._engine.vllm_config
        self._max_model_len: int = config.model_config.max_model_len
        self._started: dict[str, tuple[int, int, float]] = {}  # request id -> batch, index, start
        self._sampling: Json = {}
        self._batch = -1
        self._open = True
        listen(lambda line: _send(channel, {"is": "notice", "message": line}))
        _send(channel, {"is": "ready", "max_num_seqs": config.scheduler_config.max_num_seqs})

    def serve(self) -> None:
        """Takes requests and steps the engine until there is nobody to answer."""
        while self._open:
            self._take_messages()
            if self._started:
                for output in self._engine.step():
                    if output.finished and output.request_id in self._started:
                        self._answer(output)

    def shut_down(self) -> None:
        """Ends the engine's own processes."""
        self._engine.engine_core.shutdown()

    def _load_adapter(self, path: str | None) -> Any:
        if path is None:
            return None
        from vllm.lora.request import LoRARequest

        adapter = LoRARequest("adapter", 1, path)
        self._engine.add_lora(adapter)  # now, so that a wrong one is told before any work
        return adapter

    def _take_messages(self) -> None:
        """Takes what has come; waits only if the engine has nothing to do."""
        while True:
            try:
                message = self._inbox.get(block=not self._started)
            except queue.Empty:
                return
            if message is None:
                self._open = False
                return
            if message["do"] == "batch":
                self._batch, self._sampling = message["batch"], message["sampling"]
            elif message["do"] == "ask":
                self._ask(message)
            elif message["do"] == "drop":
                self._engine.abort_request(list(self._started))
                self._started.clear()

    def _ask(self, message: Json) -> None:
        index: int = message["index"]
        conversation: Conversation = tuple(Message(role, content) for role, content in message["turns"])
        request_id = f"{self._batch}-{index}"
        try:
            tokens = prompt_tokens(self._tokenizer, conversation, self._template, self._variables)
            if len(tokens) >= self._max_model_len:
                raise ValueError(
                    f"the prompt has {len(tokens)} tokens, max_model_len is {self._max_model_len}"
                )
            self._engine.add_request(
                request_id,
                {"type": "token", "prompt_token_ids": tokens},
                self._sampling_params(conversation),
                lora_request=self._lora,
            )
        except RenderingError as error:
            _send(self._channel, {"is": "refused", "message": str(error)})
        except Exception as error:  # noqa: BLE001 -- one conversation fails, whatever the reason; the rest goes on
            self._fail(self._batch, index, _one_line(error), 0.0)
        else:
            self._started[request_id] = (self._batch, index, time.monotonic())

    def _sampling_params(self, conversation: Conversation) -> Any:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        given = self._sampling
        seed = given["seed"]
        return SamplingParams(
            n=given["n"],
            temperature=given["temperature"],
            top_p=given["top_p"],
            max_tokens=given["max_tokens"],
            seed=None if seed is None else conversation_seed(seed, conversation),
            stop=given["stop"],
            structured_outputs=StructuredOutputsParams(regex=given["regex"]) if given["regex"] else None,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )

    def _answer(self, output: Any) -> None:
        batch, index, start = self._started.pop(output.request_id)
        seconds = time.monotonic() - start
        completions = sorted(output.outputs, key=lambda completion: completion.index)
        broken = [c.finish_reason for c in completions if c.finish_reason not in ("stop", "length")]
        if broken:
            self._fail(batch, index, f"the engine ended the request: {broken[0]}", seconds)
            return
        message = {
            "is": "reply",
            "batch": batch,
            "index": index,
            "completions": [
                [self._text(completion.text, output.prompt_token_ids), completion.finish_reason]
                for completion in completions
            ],
            "prompt_tokens": len(output.prompt_token_ids),
            "completion_tokens": sum(len(completion.token_ids) for completion in completions),
            "cached_prompt_tokens": output.num_cached_tokens or 0,
            "seconds": seconds,
        }
        _send(self._channel, message)

    def _text(self, text: str, prompt: list[int]) -> str:
        """A completion's text; one that is held to a form has no thought."""
        return text if self._sampling["regex"] else completed(text, self._tokenizer, prompt)

    def _fail(self, batch: int, index: int, reason: str, seconds: float) -> None:
        _send(
            self._channel,
            {"is": "failure", "batch": batch, "index": index, "message": reason, "seconds": seconds},
        )


def _load(engine_args: Json) -> Any:
    """Loads the engine; on a CPU with the settings that suit it, as far as nothing else is set."""
    from vllm.platforms import current_platform

    if current_platform.is_cpu():
        vllm_cpu.in_one_process(os.environ)
        # By default the engine takes nearly all of the memory for its cache.
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        engine_args = vllm_cpu.ENGINE_ARGS | engine_args
        if engine_args.get("dtype") == "auto" and not engine_args.get("quantization"):
            engine_args["dtype"] = dtype_on_cpu(engine_args["model"])
    from vllm import LLM

    return LLM(**engine_args)


if __name__ == "__main__":
    main(int(sys.argv[1]))
