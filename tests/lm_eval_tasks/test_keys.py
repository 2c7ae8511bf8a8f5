"""A key is sent to the endpoint, and is found nowhere else: not in what is printed, nor in any file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks.kills.victims import write_log
from judges import ConfigError, load_backend
from tests.judges.endpoint import GOOD_FORM, Endpoint
from tests.lm_eval_tasks.test_cli import AnchorEval, anchor_eval

__all__ = ["anchor_eval"]

KEY = "sk-planted-0123456789abcdef"


def key_file(folder: Path, content: str = KEY + "\n", mode: int = 0o600) -> Path:
    path = folder / "key"
    path.write_text(content)
    path.chmod(mode)
    return path


def judge_file(folder: Path, endpoint: Endpoint, **more: object) -> Path:
    path = folder / "judge.yaml"
    settings = {"backend": "openai", "model": "m", "base_url": endpoint.url, "backoff": 0.01, "patience": 0.1}
    path.write_text(json.dumps(settings | more))
    return path


def holders(folder: Path, besides: Path | None = None) -> list[str]:
    """Files that hold the key."""
    files = [path for path in folder.rglob("*") if path.is_file() and path != besides]
    assert len(files) > 2
    return [str(path) for path in files if KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("place", "repeats"),
    [
        ("environment", "in replies"),
        ("environment", "in errors"),
        ("environment", "as HTML"),
        ("file", "never"),
        ("file", "refused"),
    ],
)
def test_the_key_reaches_the_endpoint_and_nothing_else(
    anchor_eval: AnchorEval, monkeypatch: pytest.MonkeyPatch, place: str, repeats: str
) -> None:
    def behave(k: int, body: object, handler: object) -> None:
        {
            "never": lambda h: h.reply(GOOD_FORM),
            "in replies": lambda h: h.reply(f"You sent {KEY}.\n{GOOD_FORM}"),
            "in errors": lambda h: h.error(500, f"no luck with {KEY}"),
            "refused": lambda h: h.error(401, f"wrong key {KEY}"),
            "as HTML": lambda h: h.send(200, "text/html", f"<p>Bearer {KEY}".encode()),
        }[repeats](handler)

    run = write_log(anchor_eval.folder / "run", 8)
    secret = key_file(anchor_eval.folder) if place == "file" else None
    if secret is None:
        monkeypatch.setenv("MY_KEY", KEY)
    with Endpoint(behave) as endpoint:
        where = {"api_key_file": str(secret)} if secret else {"api_key_env": "MY_KEY"}
        judge = judge_file(anchor_eval.folder, endpoint, form="none", **where)
        done = anchor_eval("score", run, "--judge", judge, "--json")
        assert endpoint.keys == {f"Bearer {KEY}"}
    assert done.returncode == (0 if repeats in {"never", "in replies"} else 1), done.stderr
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
    assert holders(anchor_eval.folder, besides=secret) == []


@pytest.mark.parametrize(
    ("content", "mode", "complaint"),
    [
        (KEY, 0o640, "can be read by others: chmod 600"),
        (KEY, 0o604, "can be read by others: chmod 600"),
        ("", 0o600, "is empty"),
        (f"{KEY} and more", 0o600, "is no key"),
        (f"{KEY}\nX-Header: 1", 0o600, "is no key"),
        (f"{KEY}\u00e9", 0o600, "is no key"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_key_file_that_will_not_do_is_refused_without_repeating_it(
    tmp_path: Path, content: str, mode: int, complaint: str
) -> None:
    path = key_file(tmp_path, content, mode)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_backend({"backend": "openai", "model": "m", "api_key_file": str(path)})
    assert "planted" not in str(caught.value)


def test_a_key_file_that_is_absent_or_beside_a_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_backend({"backend": "openai", "model": "m", "api_key_file": str(tmp_path / "none")})
    with pytest.raises(ConfigError, match="either api_key_env or api_key_file"):
        load_backend({"backend": "openai", "model": "m", "api_key_file": "k", "api_key_env": "K"})


def test_a_key_in_the_environment_that_no_header_can_hold_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\nX-Other: 1")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY holds is no key") as caught:
        load_backend({"backend": "openai", "model": "m"})
    assert "planted" not in str(caught.value)
