"""YAML files that are made to hurt are refused in one line, soon, and with their name."""

from __future__ import annotations

from pathlib import Path

import pytest

from judges import ConfigError
from judges.storage.yaml_files import load_yaml


def laughs(levels: int, width: int = 10) -> str:
    lines = ["a0: &a0 [ha, ha, ha]"]
    lines += [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * width)}]" for k in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int) -> str:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 10)}]}}" for k in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "a billion laughs": (laughs(9), "aliases come to more"),
    "a billion laughs by merging": (merges(9), "aliases come to more"),
    "one long text many times": (
        "a: &a " + "x" * 500_000 + "\nb: [*a, *a, *a, *a, *a]",
        "aliases come to more",
    ),
    "an alias of itself": ("a: &a [*a]", "an alias holds itself"),
    "too deep": ("a: " + "[" * 70 + "]" * 70, "nested more than 64 deep"),
    "far too deep": ("a: " + "[" * 200_000, "not valid YAML"),
    "far too deep by block": ("a:\n  " + "- " * 200_000 + "x", "not valid YAML"),
    "far too deep in keys": ("? " * 200_000, "not valid YAML"),
    "deep by block": ("\n".join(" " * k + f"k{k}:" for k in range(300)), "nested more than 64 deep"),
    "too large": ("a: " + "x" * 1_000_000, "too large"),
    "an object": ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    "a number of 10,000 digits": ("a: " + "1" * 10_000, "not valid YAML"),
    "no such day": ("a: 2025-13-77", "not valid YAML"),
    "a list": ("[1, 2]", "expected settings"),
    "nothing": ("", "expected settings"),
    "a key twice": ("model: a\nlimit: 3\nmodel: b", "'model' is given twice, in lines 1 and 3"),
    "a key twice on a line": ("a: {b: 1, 'b': 1}", "'b' is given twice, in line 1"),
    "a key twice further down": ("a:\n- {x: 1}\n- {x: 1, y: 2, x: 3}", "'x' is given twice, in line 3"),
    "a key in two spellings": ("a:\n  yes: 1\n  true: 2", "'true' is given twice, in lines 2 and 3"),
    "two merges": ("a: &a {x: 1}\nb: {<<: *a, <<: {y: 2}}", "'<<' is given twice, in line 2"),
    "two documents": ("a: 1\n---\nb: 2", "not valid YAML"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused(tmp_path: Path, name: str) -> None:
    text, complaint = HOSTILE[name]
    path = tmp_path / "judge.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_bytes_that_are_no_text_and_endless_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="can't be read"):
        load_yaml(tmp_path / "a.yaml")
    with pytest.raises(ConfigError, match="too large"):
        load_yaml(Path("/dev/zero"))


def test_honest_aliases_and_merges_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("base: &base {x: 1}\nmine: {<<: *base, y: [*base, *base]}\n" + laughs(4))
    found = load_yaml(path)
    assert found["mine"] == {"x": 1, "y": [{"x": 1}, {"x": 1}]}
    path.write_text("a: &a {x: 1}\nb: &b {y: 2}\nmine: {x: 3, <<: [*a, *b], 1: one, '1': two}")
    assert load_yaml(path)["mine"] == {"x": 3, "y": 2, 1: "one", "1": "two"}
    assert len(found["a3"]) == 10
