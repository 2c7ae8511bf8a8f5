"""Keys and internal addresses are found wherever they stand, and named with file and line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from judges.errors import ConfigError, DataError
from lm_eval_tasks.publishing.addresses import without_places
from lm_eval_tasks.publishing.keys import own_keys
from lm_eval_tasks.publishing.scan import Finding, check_folder, scan_folder

# Put together here, so that nobody's scanner takes this file for a leak.
HF = "hf_" + "QwErTyUiOpAsDfGhJkLzXcVbNm12345678"
OPENAI = "sk-" + "proj-4fQ9xT2mVbLr8sWcYz01AbCd"
AWS = "AKIA" + "Q3EGRZ7X2LMN4PQR"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
PRIVATE = "-----BEGIN " + "OPENSSH PRIVATE KEY-----"


def found_in(folder: Path, environment: dict[str, str] | None = None) -> list[Finding]:
    return list(scan_folder(folder, environment=environment or {}))


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


NOTEBOOK = json.dumps(
    {
        "cells": [
            {"cell_type": "code", "source": ["import os\n", f'os.environ["OPENAI_API_KEY"] = "{OPENAI}"\n']}
        ]
    },
    indent=1,
)
KEYS = {
    "in YAML": ("judge.yaml", f"backend: openai\napi_key: {OPENAI}\n", 2),
    "in YAML, of no known kind": (
        "judge.yaml",
        "model: x\n\napi-key: 'f81d4fae7dec11d0a76500a0c91e6bf6'\n",
        3,
    ),
    "in a row of JSON Lines": ("data/a.jsonl", f'{{"a": 1}}\n{{"explanation": "use {HF} for it"}}\n', 2),
    "behind a line break in JSON": ("data/a.jsonl", json.dumps({"reply": f"first\n{HF}"}) + "\n", 1),
    "in JSON within JSON": ("a.json", json.dumps({"raw": json.dumps({"text": f"x\n{HF}"})}), 1),
    "in a notebook": ("a.ipynb", NOTEBOOK, 7),
    "with a password": ("run.log", "x\nredis://judge:hunter2@cache.example.com/0\n", 2),
    "with a token for a user": ("config.json", f'{{"origin": "https://{HF}@huggingface.co/a/b"}}', 1),
    "in an address": ("a.md", "[x](https://example.com/v1?model=m&api_key=9fk3Kd02Lsm4Qp)", 1),
    "in an address, escaped": ("a.html", "<a href='https://u&#58;p4ssw0rd@example.com'>", 1),
    "in a header": ("curl.sh", "curl -H 'Authorization: Bearer abc123def456ghi789jkl'", 1),
    "of AWS": ("adapter_config.json", f'{{\n "r": 8,\n "revision": "{AWS}"\n}}', 3),
    "of AWS, the secret part": (
        "a.env",
        "AWS_SECRET_ACCESS_KEY=" + "wJalrXUtnFEMIK7MDENGbPxRfiCYabcdefghijkl",
        1,
    ),
    "of GitHub": ("pip.conf", f"index-url = https://{GITHUB}@github.com/a/b", 1),
    "a password of any kind": ("db.yml", "user: a\npassword: correct!horse\n", 2),
    "a password in JSON": ("a.json", '{\n  "db_password": "hunter2x",\n  "n": 1\n}', 2),
    "a short key as a setting": ("judge.yaml", "backend: openai\napi_key: abc123\n", 2),
    "on a command line": ("run.sh", "serve\nvllm serve m --api-key s3cret99 --port 80", 2),
    "a token that is nobody's in particular": ("a.toml", 'token = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"', 1),
    "in a netrc": ("netrc", "machine hub.example.com login ada password pw", 1),
    "of Stripe": ("a.txt", "x " + "sk_" + "live_4eC39HqLyjWDarjtT1zdp7dc", 1),
    "in a header, the basic one": ("a.txt", "Authorization: Basic YWRhOnMzY3JldHBhc3M5OTk=", 1),
    "behind a letter that grows in lower case": ("a.txt", "İİİİ\n" + HF, 2),
    "a private key": ("notes.txt", f"\n\n{PRIVATE}\nb3BlbnNzaC1rZXktdjEAAAAA\n", 3),
    "in UTF-16": ("notes.txt", f"one\ntwo {HF}\n".encode("utf-16"), 2),
}


@pytest.mark.parametrize("place", KEYS)
def test_a_key_is_found_with_its_file_and_line_and_never_shown(tmp_path: Path, place: str) -> None:
    name, content, line = KEYS[place]
    findings = [found for found in found_in(written(tmp_path, name, content)) if found.is_key]
    assert findings, place
    assert {(found.path, found.line) for found in findings} == {(name, line)}
    for secret in (HF, OPENAI, AWS, GITHUB, "hunter2", "p4ssw0rd", "9fk3Kd02Lsm4Qp"):
        assert secret not in " ".join(map(str, findings))


def test_a_key_in_the_header_of_weights_or_in_a_name_is_found(tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"note": HF}}).encode()
    written(tmp_path, "model.safetensors", len(header).to_bytes(8, "little") + header + b"\0" * 64)
    written(tmp_path, f"data/{OPENAI}.jsonl", "{}\n")
    assert {found.path for found in found_in(tmp_path)} == {"model.safetensors", f"data/{OPENAI}.jsonl"}


def test_keys_of_this_machine_are_known_by_their_variables(tmp_path: Path) -> None:
    environment = {
        "LAB_API_KEY": "quite-ordinary-words-here",
        "VLLM_API_KEY": "EMPTY",
        "HUB_TOKEN": "notoken",
        "PATH": "/usr/bin/python3",
        "OTHER_API_KEY_2": "another-key-4711",
        "SOME_PASSWORD": "correcthorsebatterystaple",
    }
    assert set(own_keys(environment)) == {
        f"the value of {name}" for name in ("LAB_API_KEY", "OTHER_API_KEY_2", "SOME_PASSWORD")
    }
    written(tmp_path, "a.jsonl", "{}\n{}\n" + json.dumps({"x": "correcthorsebatterystaple"}) + "\n")
    (found,) = found_in(tmp_path, environment)
    assert str(found) == "a.jsonl line 3: the value of SOME_PASSWORD (corr…)"


PLACES = {
    "http://localhost:8000/v1": "base_url: http://localhost:8000/v1",
    "HTTP://LocalHost/x": "see HTTP://LocalHost/x.",
    "localhost:11434": "ollama at localhost:11434, as always",
    "http://10.3.2.1:8000/v1": "base_url: http://10.3.2.1:8000/v1",
    "172.20.1.9": '{"host": "172.20.1.9"}',
    "192.168.0.7:22": "ssh 192.168.0.7:22",
    "http://[fd12:3456::1]:8000/": "at http://[fd12:3456::1]:8000/",
    "http://[::1]:8000/v1": "at http://[::1]:8000/v1",
    "http://169.254.169.254/latest/meta-data": "curl http://169.254.169.254/latest/meta-data",
    "gpu-3.cluster.local": "host: gpu-3.cluster.local",
    "https://judge.corp.internal/v1": '"url": "https://judge.corp.internal/v1"',
    "http://vllm:8000/v1": "base_url: http://vllm:8000/v1",
    "/home/ada/models/x": 'loaded from "/home/ada/models/x"',
    "/Users/ada/x": "file /Users/ada/x",
    "/root/runs/m1": "-o /root/runs/m1",
    "/mnt/cluster/llama": '{"base_model_name_or_path": "/mnt/cluster/llama"}',
    "gpu01:8000/v1": "judge: openai:judge@gpu01:8000/v1",
    "vllm:8000/v1": "at vllm:8000/v1",
    "file:///data/x.jsonl": "data_files: file:///data/x.jsonl",
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_an_internal_address_or_path_is_found(tmp_path: Path, place: str) -> None:
    findings = found_in(written(tmp_path, "a.yaml", f"x: 1\n{PLACES[place]}\n"))
    assert [(found.line, found.is_key) for found in findings] == [(2, False)], findings
    assert place.rstrip("/") in findings[0].text or findings[0].text in place
    assert place not in without_places(PLACES[place])


def test_windows_paths_and_escaped_addresses_are_found(tmp_path: Path) -> None:
    row = {"log": "C:\\Users\\ada\\x", "url": "http://localhost:1234"}
    written(tmp_path, "a.json", json.dumps(row).replace("/", "\\/"))
    assert len(found_in(tmp_path)) == 2


PUBLIC = (
    "https://huggingface.co/datasets/allenai/openbookqa",
    "https://user.github.io/home/index.html, 8.8.8.8, version 10.2.1, 1.2.3.4.5 and 172.32.0.1",
    "The force.Internal energy rises; threading.local() is none, nor is self.internal = 3.",
    "api_key_env: OPENAI_API_KEY",
    "api_key: ${OPENAI_API_KEY}",
    '"pad_token": "<|finetune_right_pad_id|>", "eos_token_id": 128001',
    "password: null\napi_key: EMPTY\nsecret: true\npassword: ${PASSWORD}\napi_key: OPENAI_API_KEY",
    '{\n  "password": 128000,\n  "secret": 2131\n}',
    '--token-limit 100, --max-tokens 4096, "token": "something", Matthew 5:31, at 12:30, ada@example.com',
    "password: something, secret = hypothesis, token: continuation",
    "AKIAIOSFODNN7EXAMPLE, sk-learn-is-a-library-of-python, ask-me-anything",
    "task-1234567890123456789012, risk-12345678901234567890",
    "s3://bucket/key and hf://datasets/a/b, http://HOST:PORT/v1, ratio 3:4, a/b/c, and/or",
    "and localhosting, my.locality, rationale: 10.5 of 192",
)


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_goes_through(tmp_path: Path, text: str) -> None:
    assert found_in(written(tmp_path, "a.md", text)) == []


def test_words_of_a_tokenizer_are_no_addresses(tmp_path: Path) -> None:
    words = json.dumps(
        {"model": {"vocab": {"localhost": 1, "http://localhost": 2, "/home/": 3, "192.168.0.1": 4}}}
    )
    assert found_in(written(tmp_path, "tokenizer.json", words)) == []
    assert found_in(written(tmp_path, "tokenizer_config.json", words))


def test_the_refusal_names_file_line_and_what_to_do(tmp_path: Path) -> None:
    written(tmp_path, "a.yaml", "x: http://localhost:1/v1\n")
    with pytest.raises(ConfigError, match=r"a\.yaml line 1: an internal address .*--allow") as refused:
        check_folder(tmp_path)
    assert "revoke" not in str(refused.value)
    check_folder(tmp_path, allowed=["localhost"])
    written(tmp_path, "b.yaml", f"k: {HF}\n")
    with pytest.raises(ConfigError, match=r"b\.yaml line 1: a token of Hugging Face \(hf_Q…\)") as refused:
        check_folder(tmp_path, allowed=["localhost", HF])
    assert "\n" not in str(refused.value)
    assert "revoke" in str(refused.value)


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "up" / "a.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(DataError, match="outside the folder"):
        check_folder(tmp_path / "up")


def test_lines_are_counted_over_blocks(tmp_path: Path) -> None:
    line = json.dumps({"text": "x" * 1000}) + "\n"
    written(tmp_path, "a.jsonl", line * 1500 + HF + "\n" + line * 10)
    (found,) = found_in(tmp_path)
    assert found.line == 1501


def test_own_texts_lose_their_places_and_nothing_else() -> None:
    text = "model: /srv/models/llama\nbase_url: http://10.0.0.1/v1\nname: a/b\nurl: https://example.com/x\n"
    assert without_places(text) == (
        "model: (path left out)\nbase_url: (address left out)\nname: a/b\nurl: https://example.com/x\n"
    )
