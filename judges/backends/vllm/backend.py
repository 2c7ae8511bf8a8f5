"""Backend ``vllm``: a vLLM engine on this machine, in a process of its own.

The engine starts with the first conversation (a rerun that finds everything in the cache never loads the
model). On ``close()``, or when this process ends in whatever way, it ends with all that it started.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeAlias

from pydantic import Field, field_validator

from judges.backends.local_model import LocalModelSettings, check_model, identity
from judges.backends.protocol import IndexedOutcome
from judges.backends.vllm.adapters import room_for
from judges.errors import BackendError, ConfigError, MissingExtraError, explained_by_log
from judges.output import notices
from judges.records import BackendIdentity, Completion, Conversation, Failure, Outcome, Reply, Sampling, Usage
from judges.settings import parse

logger = logging.getLogger(__name__)

Json: TypeAlias = dict[str, Any]

# Sequences in flight for each one that the engine runs at a time: the queue is never empty when one ends.
QUEUE_DEPTH = 2
CLOSE_SECONDS = 15.0
LOG_TAIL_LINES = 400

# What vLLM's processes say when another of them failed.
POINTS_ELSEWHERE = r"See root cause above|See stack trace \(above\)"


class VllmSettings(LocalModelSettings):
    """Settings of the backend ``vllm``; what is None is left to the engine.

    Attributes:
        max_model_len: Longest prompt and reply together, in tokens.
        gpu_memory_utilization: Share of each GPU's memory that the engine may take.
        tensor_parallel_size: GPUs to spread the model over.
        enforce_eager: Skip compilation and CUDA graphs: starts faster, runs slower.
        max_lora_rank: Room for adapters; by default the rank of ``adapter``.
        engine_args: Any further argument of ``vllm.LLM``.
    """

    max_model_len: int | None = Field(default=None, ge=1)
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    tensor_parallel_size: int | None = Field(default=None, ge=1)
    enforce_eager: bool | None = None
    max_lora_rank: int | None = Field(default=None, ge=1)
    engine_args: dict[str, Any] = Field(default_factory=dict)

    @field_validator("engine_args")
    @classmethod
    def _no_second_door(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(set(value) & (set(cls.model_fields) | {"enable_lora"}))
        if taken:
            raise ValueError(f"{', '.join(taken)}: a setting of its own, not one of engine_args")
        return value

    def as_engine_args(self) -> Json:
        """The arguments of ``vllm.LLM``."""
        own = {
            "revision": self.revision,
            "tokenizer_revision": self.revision,
            "max_model_len": self.max_model_len,
            "gpu_memory_utilization": self.gpu_memory_utilization,
            "tensor_parallel_size": self.tensor_parallel_size,
            "enforce_eager": self.enforce_eager,
        }
        args = {"model": self.model_path, "dtype": self.dtype, "trust_remote_code": self.trust_remote_code}
        args |= {"enable_prefix_caching": True}
        args |= {key: value for key, value in own.items() if value is not None}
        if self.adapter_path is not None:
            args |= {"enable_lora": True, "max_lora_rank": self.max_lora_rank or room_for(self.adapter_path)}
        return args | self.engine_args


def create(settings: Mapping[str, Any]) -> VllmBackend:
    """Makes the backend from a judge file's keys; the engine itself starts when it is first asked.

    Raises:
        MissingExtraError: If vLLM isn't installed.
        ConfigError: Naming all that is wrong with the settings.
    """
    checked = parse(VllmSettings, settings, "backend vllm")
    check_model(checked)
    if importlib.util.find_spec("vllm") is None:
        raise MissingExtraError("vLLM", "vllm")
    return VllmBackend(checked)


class VllmBackend:
    """A :class:`judges.ChatBackend`; see there."""

    constrains = True

    def __init__(self, settings: VllmSettings) -> None:
        self._settings = settings
        self._engine: _Engine | None = None
        self._batches = 0
        self._answering = False
        self._identity = identity(
            "vllm",
            settings,
            max_model_len=settings.max_model_len,
            engine_args=settings.engine_args or None,
        )

    @property
    def identity(self) -> BackendIdentity:
        """What the answers depend on."""
        return self._identity

    def replies(self, conversations: Iterable[Conversation], sampling: Sampling) -> Iterator[IndexedOutcome]:
        """Answers the conversations as they are finished; the engine is kept full while there are more.

        Raises:
            BackendError: If the engine doesn't start, or dies.
        """
        if self._answering:
            raise BackendError(
                f"{self._identity} is still answering another batch; close that iterator first"
            )
        self._answering = True
        in_flight: set[int] = set()
        batch, self._batches = self._batches, self._batches + 1
        try:
            source = enumerate(conversations)
            upcoming = next(source, None)
            if upcoming is None:
                return
            if self._engine is None:
                self._engine = _Engine(self._settings)
            engine = self._engine
            window = max(1, QUEUE_DEPTH * engine.max_num_seqs // sampling.n)
            engine.send({"do": "batch", "batch": batch, "sampling": _sampling_message(sampling)})
            while upcoming is not None or in_flight:
                while upcoming is not None and len(in_flight) < window:
                    index, conversation = upcoming
                    turns = [[turn.role, turn.content] for turn in conversation]
                    engine.send({"do": "ask", "index": index, "turns": turns})
                    in_flight.add(index)
                    upcoming = next(source, None)
                message = engine.receive()
                if message["batch"] == batch:  # else it answers a batch that was dropped
                    in_flight.remove(message["index"])
                    yield message["index"], _outcome(message)
        except (BackendError, ConfigError):
            self.close()
            raise
        finally:
            self._answering = False
            if in_flight and self._engine is not None:
                self._engine.send({"do": "drop"})

    def close(self) -> None:
        """Ends the engine and waits until its memory is free."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()

    def __enter__(self) -> VllmBackend:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Engine:
    """The engine's process, seen from outside.

    Its output goes to the run's log, or to a file of its own where there is none. The pipe that carries it is
    held open by every process that the engine starts, so the end of that pipe says that all of them are gone.
    """

    def __init__(self, settings: VllmSettings) -> None:
        root = str(Path(__file__).resolve().parents[3])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "judges.backends.vllm.process", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={"VLLM_NO_USAGE_STATS": "1", **os.environ, "PYTHONPATH": path},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # ctrl-C is this process's to handle; and one group to end
            )
        self._socket = ours
        self._inbox: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
        self._tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        channel = notices.current()
        self._own_log = channel is None
        # Closed by the thread that writes it.
        log: IO[str]
        if channel is None:
            log = tempfile.NamedTemporaryFile(  # noqa: SIM115
                "w", prefix="vllm-engine-", suffix=".log", delete=False, encoding="utf-8"
            )
        else:
            log = channel.log.open("a", encoding="utf-8")
        self._log_path = Path(log.name)
        self._log_thread = threading.Thread(target=self._keep_log, args=(log,), daemon=True)
        self._log_thread.start()
        threading.Thread(target=self._listen, daemon=True).start()
        logger.info("starting vLLM with %s (log: %s)", settings.model, self._log_path)
        try:
            self.send(
                {
                    "do": "start",
                    "engine_args": settings.as_engine_args(),
                    "adapter": None if settings.adapter_path is None else str(settings.adapter_path),
                    "chat_template": settings.template_text(),
                    "chat_template_kwargs": settings.chat_template_kwargs,
                }
            )
            ready = self.receive()
        except BaseException:  # ctrl-C included: no engine is left behind
            self.close()
            raise
        self.max_num_seqs: int = ready["max_num_seqs"]

    def send(self, message: Json) -> None:
        """Sends one message; a dead engine is told by the next ``receive``."""
        with contextlib.suppress(OSError):
            self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> Json:
        """Waits for the next message.

        Raises:
            BackendError: If the engine is dead: with the reason, as far as its log tells.
            ConfigError: If the model's chat template can't serve.
        """
        message = self._inbox.get()
        while message is not None and message["is"] == "notice":
            notices.tell(message["message"])
            message = self._inbox.get()
        if message is not None and message["is"] == "refused":
            raise ConfigError(message["message"])
        if message is None or message["is"] == "fatal":
            self._end()
            told = "the process ended" if message is None else message["message"]
            if message is None or re.search(POINTS_ELSEWHERE, told):
                told = failure_reason(self._tail) or told
            raise explained_by_log(BackendError(f"the vLLM engine failed: {told} (log: {self._log_path})"))
        return message

    def close(self) -> None:
        """Ends all of the engine's processes and removes a log of its own, unless it tells of a failure."""
        failed = self._process.poll() not in (None, 0)
        self._end()
        if self._own_log and not failed:
            self._log_path.unlink(missing_ok=True)

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._log_thread.join(CLOSE_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._log_thread.join()
        self._process.wait()
        self._socket.close()

    def _keep_log(self, log: Any) -> None:
        assert self._process.stdout is not None
        with log, self._process.stdout as output:
            for raw in output:
                line = raw.decode(errors="replace")
                log.write(line)
                log.flush()
                self._tail.append(line.rstrip())

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._socket.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                self._inbox.put(json.loads(line))
        self._inbox.put(None)


def failure_reason(log: Iterable[str]) -> str | None:
    """The last line of an engine's log that names an error of its own, without the logger's prefix."""
    found = None
    for line in log:
        text = re.sub(r"^(\(.*?\)\s*)?((ERROR|CRITICAL)\s+\S+\s+\S+\s+\[.*?\]\s*)?", "", line)
        if re.match(r"[\w.]+(Error|Exception)(\(.*\))?: ", text) and not re.search(POINTS_ELSEWHERE, text):
            found = text.partition(", please check the stack trace above")[0]
    return found


def _sampling_message(sampling: Sampling) -> Json:
    return {
        "n": sampling.n,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.most_tokens,
        "seed": sampling.seed,
        "stop": list(sampling.stop),
        "regex": None if sampling.form is None else sampling.form.regex,
    }


def _outcome(message: Json) -> Outcome:
    if message["is"] == "failure":
        return Failure(message["message"], seconds=message["seconds"])
    return Reply(
        completions=tuple(Completion(text, reason) for text, reason in message["completions"]),
        usage=Usage(message["prompt_tokens"], message["completion_tokens"], message["cached_prompt_tokens"]),
        seconds=message["seconds"],
    )
