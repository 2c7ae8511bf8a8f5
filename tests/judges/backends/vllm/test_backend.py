"""The vLLM backend with a real engine on the CPU."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psutil import virtual_memory

from judges import (
    BackendError,
    ChatBackend,
    ConfigError,
    Conversation,
    Failure,
    OutputForm,
    Reply,
    Sampling,
    answer_all,
)
from judges.backends.vllm import cpu as vllm_cpu
from judges.backends.vllm.adapters import modules_of, room_for
from judges.backends.vllm.backend import VllmBackend, create, failure_reason
from tests.judges.backends.asking import LETTERS, VERDICTS, ask, peft_greedy, texts
from tests.tiny_models import make_tiny_model


def living(group: int) -> list[int]:
    """Processes of a process group, the dead but unburied left out."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(") ")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(pgrp) == group and state != "Z":
            found.append(int(stat.parent.name))
    return found


class TestSettings:
    """What is wrong is told before anything starts."""

    def test_folder_without_model(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"no config\.json in this folder"):
            create({"model": str(tmp_path)})

    def test_no_folder_and_no_adapter_are_told_together(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"no such folder; adapter .*no adapter_config\.json"):
            create({"model": str(tmp_path / "gone"), "adapter": str(tmp_path)})

    def test_unknown_key(self, tiny_model: Path) -> None:
        with pytest.raises(ConfigError, match="did you mean 'max_model_len'"):
            create({"model": str(tiny_model), "max_model_length": 10})

    def test_engine_args_are_no_second_door(self, tiny_model: Path) -> None:
        with pytest.raises(ConfigError, match="trust_remote_code: a setting of its own"):
            create({"model": str(tiny_model), "engine_args": {"trust_remote_code": True}})

    def test_model_without_chat_template(self, tmp_path: Path) -> None:
        bare = make_tiny_model(tmp_path / "bare", chat_template=None)
        with pytest.raises(ConfigError, match="has no chat template: give one with 'chat_template: FILE'"):
            create({"model": str(bare)})

    def test_room_for_the_adapter_is_its_rank_rounded_up(self, tiny_model: Path, tmp_path: Path) -> None:
        from judges.backends.vllm.backend import VllmSettings

        (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 48}))
        settings = VllmSettings(model=str(tiny_model), adapter=tmp_path)
        assert settings.as_engine_args()["max_lora_rank"] == 64
        (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 8, "rank_pattern": {"v_proj": 24}}))
        assert settings.as_engine_args()["max_lora_rank"] == 32
        wider = VllmSettings(model=str(tiny_model), adapter=tmp_path, max_lora_rank=128)
        assert wider.as_engine_args()["max_lora_rank"] == 128

    @pytest.mark.parametrize(
        ("modules", "found"),
        [
            (["v_proj", "model.layers.0.q_proj", "model.layers.1.q_proj"], ["q_proj", "v_proj"]),
            (".*_proj", None),
            (None, None),
        ],
    )
    def test_where_an_adapter_sits(self, tmp_path: Path, modules: object, found: object) -> None:
        (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 8, "target_modules": modules}))
        assert modules_of(tmp_path) == found

    @pytest.mark.parametrize("config", [None, "{", "[]", '{"r": 8, "rank_pattern": [1]}', '{"r": "x"}'])
    def test_an_adapter_that_tells_nothing(self, tmp_path: Path, config: str | None) -> None:
        if config is not None:
            (tmp_path / "adapter_config.json").write_text(config)
        with pytest.raises(ConfigError, match=r"adapter_config\.json"):
            room_for(tmp_path)

    def test_identity_changes_with_the_content_of_the_folder(self, tmp_path: Path) -> None:
        first = create({"model": str(make_tiny_model(tmp_path / "m", seed=0))}).identity
        again = create({"model": str(make_tiny_model(tmp_path / "m", seed=0))}).identity
        other = create({"model": str(make_tiny_model(tmp_path / "m", seed=1))}).identity
        assert first == again
        assert first != other


def test_reason_is_the_last_error_that_says_something() -> None:
    log = [
        "(EngineCore pid=7) ERROR 11-21 10:00:00 [core.py:1] ValueError: too long",
        "(EngineCore pid=7) ERROR 11-21 10:00:00 [core.py:2]   File 'x.py'",
        "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}",
    ]
    assert failure_reason(log) == "ValueError: too long"
    assert failure_reason(["INFO all is well"]) is None


@pytest.mark.engine
class TestReplies:
    """One engine, started once a session."""

    def test_is_a_backend(self, vllm_backend: VllmBackend) -> None:
        assert isinstance(vllm_backend, ChatBackend)

    def test_more_conversations_than_fit_are_all_answered_once(self, vllm_backend: VllmBackend) -> None:
        pulled = 0

        def conversations() -> Iterator[Conversation]:
            nonlocal pulled
            for pulled in range(1, 701):  # more than twice the 256 that are written at a time
                yield ask(f"Question {pulled}")

        replies = vllm_backend.replies(conversations(), Sampling(max_tokens=2))
        first = next(replies)
        assert pulled < 700, "conversations are pulled as they are needed"
        indices = [first[0], *(index for index, _ in replies)]
        assert sorted(indices) == list(range(700))

    def test_order_and_usage(self, vllm_backend: VllmBackend) -> None:
        sampling = Sampling(max_tokens=8)
        one_by_one = [texts(answer_all(vllm_backend, [ask(q)], sampling)[0]) for q in ("a", "b", "c")]
        together = answer_all(vllm_backend, [ask(q) for q in ("a", "b", "c")], sampling)
        assert [texts(outcome) for outcome in together] == one_by_one
        reply = together[0]
        assert isinstance(reply, Reply)
        assert reply.usage is not None
        assert reply.usage.completion_tokens == 8
        assert reply.completions[0].finish_reason == "length"

    def test_four_samples_of_one_request_differ(self, vllm_backend: VllmBackend) -> None:
        (outcome,) = answer_all(vllm_backend, [ask("x")], Sampling(n=4, temperature=1.0, max_tokens=12))
        assert len(set(texts(outcome))) == 4

    def test_same_seed_same_texts_whatever_else_is_asked(self, vllm_backend: VllmBackend) -> None:
        seeded = Sampling(n=3, temperature=1.0, top_p=0.9, max_tokens=12, seed=7)
        (alone,) = answer_all(vllm_backend, [ask("x")], seeded)
        crowd = answer_all(vllm_backend, [ask(f"q{i}") for i in range(20)] + [ask("x")], seeded)
        assert texts(crowd[-1]) == texts(alone)
        assert texts(crowd[0]) != texts(alone)
        (other,) = answer_all(vllm_backend, [ask("x")], Sampling(n=3, temperature=1.0, max_tokens=12, seed=8))
        assert texts(other) != texts(alone)

    def test_seeds_hold_in_a_crowd_of_long_prompts(self, vllm_backend: VllmBackend) -> None:
        seeded = Sampling(n=2, temperature=1.0, max_tokens=4, seed=1)
        crowd = [ask(f"{i} " + "which of these " * (i % 60)) for i in range(150)]
        together = answer_all(vllm_backend, crowd, seeded)
        (alone,) = answer_all(vllm_backend, crowd[77:78], seeded)
        assert texts(together[77]) == texts(alone)

    @pytest.mark.parametrize("form", [VERDICTS, LETTERS], ids=["lines", "letters"])
    def test_an_untrained_model_keeps_the_form(self, vllm_backend: VllmBackend, form: OutputForm) -> None:
        sampling = Sampling(n=5, temperature=1.0, max_tokens=80, form=form)
        for outcome in answer_all(vllm_backend, [ask(f"judge {i}") for i in range(4)], sampling):
            assert isinstance(outcome, Reply)
            for completion in outcome.completions:
                assert re.fullmatch(form.regex, completion.text)
                assert completion.finish_reason == "stop"

    def test_stop_strings_end_a_completion_and_stay_out_of_it(self, vllm_backend: VllmBackend) -> None:
        (whole,) = answer_all(vllm_backend, [ask("x")], Sampling(max_tokens=30))
        stop = texts(whole)[0][10:12]
        (cut,) = answer_all(vllm_backend, [ask("x")], Sampling(max_tokens=30, stop=(stop,)))
        assert texts(cut)[0] == texts(whole)[0].partition(stop)[0]
        assert isinstance(cut, Reply)
        assert cut.completions[0].finish_reason == "stop"

    def test_a_prompt_too_long_fails_alone(self, vllm_backend: VllmBackend) -> None:
        short, long = ask("short"), ask("word " * 3000)
        outcomes = answer_all(vllm_backend, [short, long, short], Sampling(max_tokens=4))
        assert isinstance(outcomes[1], Failure)
        assert "max_model_len is 1024" in outcomes[1].message
        assert texts(outcomes[0]) == texts(outcomes[2])

    def test_what_is_left_of_a_dropped_batch_is_not_answered_later(self, vllm_backend: VllmBackend) -> None:
        first = vllm_backend.replies([ask(f"old {i}") for i in range(50)], Sampling(max_tokens=50))
        next(first)
        first.close()
        outcomes = answer_all(vllm_backend, [ask("new")], Sampling(max_tokens=4))
        assert len(outcomes) == 1
        assert len(texts(outcomes[0])) == 1

    def test_nothing_asked_nothing_answered(self, tiny_model: Path) -> None:
        backend = create({"model": str(tiny_model)})
        assert answer_all(backend, [], Sampling()) == []
        backend.close()


@pytest.mark.engine
def test_adapter_speaks_as_with_peft_and_close_ends_every_process(
    vllm_installed: None, vllm_backend: VllmBackend, tiny_model: Path, tiny_adapter: Path
) -> None:
    greedy = Sampling(max_tokens=16)
    conversations = [ask(f"Question {i}") for i in range(3)]
    expected = [peft_greedy(tiny_model, tiny_adapter, conversation, 16) for conversation in conversations]
    plain = [texts(outcome)[0] for outcome in answer_all(vllm_backend, conversations, greedy)]
    backend = create({"model": str(tiny_model), "adapter": str(tiny_adapter), "dtype": "float32"})
    adapted = [texts(outcome)[0] for outcome in answer_all(backend, conversations, greedy)]
    assert adapted == expected
    assert adapted != plain

    assert backend._engine is not None
    group = backend._engine._process.pid
    assert living(group)
    backend.close()
    assert living(group) == []
    backend.close()


PARENT = """
import sys
from judges import Message, Sampling
from judges.backends.vllm.backend import create

backend = create({"model": sys.argv[1], "max_model_len": 512})
for _, reply in backend.replies([(Message("user", "hello"),)], Sampling(max_tokens=4)):
    print(backend._engine._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.engine
@pytest.mark.parametrize("several", [False, True], ids=["one process", "several processes"])
def test_no_engine_outlives_a_killed_parent(vllm_installed: None, tiny_model: Path, several: bool) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tiny_model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).resolve().parents[4]),
            "VLLM_ENABLE_V1_MULTIPROCESSING": str(int(several)),  # the default depends on the machine
        },
    )
    assert parent.stdout is not None
    group = int(parent.stdout.readline())
    assert (len(living(group)) > 1) == several
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    deadline = time.monotonic() + 60
    while living(group) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert living(group) == []


def test_vllm_keeps_the_processes_that_bind_threads_to_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_cpu, "NUMA_NODES", tmp_path)
    bound = {"VLLM_CPU_OMP_THREADS_BIND": "0-7"}
    for environment, expected in ({}, "0"), (bound, None), ({"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}, "1"):
        found = dict(environment)
        vllm_cpu.in_one_process(found)
        assert found.get("VLLM_ENABLE_V1_MULTIPROCESSING") == expected
    for number in range(2):
        (tmp_path / f"node{number}").mkdir()
    several: dict[str, str] = {}
    vllm_cpu.in_one_process(several)
    assert several == {}


def test_the_cache_leaves_memory_to_others_unless_told_otherwise() -> None:
    found: dict[str, str] = {}
    vllm_cpu.leave_memory(found)
    assert 1 <= int(found["VLLM_CPU_KVCACHE_SPACE"]) <= virtual_memory().total / 4 / 2**30 + 1
    told = {"VLLM_CPU_KVCACHE_SPACE": "40"}
    vllm_cpu.leave_memory(told)
    assert told == {"VLLM_CPU_KVCACHE_SPACE": "40"}


@pytest.mark.engine
def test_engine_that_cannot_start_says_why_in_one_line(vllm_installed: None, tiny_model: Path) -> None:
    with (
        create({"model": str(tiny_model), "max_model_len": 1_000_000}) as backend,
        pytest.raises(BackendError, match="max_model_len") as raised,
    ):
        answer_all(backend, [ask("x")], Sampling())
    assert "\n" not in str(raised.value)
