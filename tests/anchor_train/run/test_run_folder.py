from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from anchor_train.run.manifest import Manifest, OutputRecord, StageRecord, changes, flat
from anchor_train.run.run_folder import RunFolder
from judges.errors import ConfigError, DataError

HOLD = """
import sys, time
from anchor_train.run.run_folder import RunFolder
with RunFolder.open(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", "model: m\n")


def record(folder, **changed):
    (folder / "made.jsonl").write_text("{}\n")
    fields = {"settings": {"dpo.beta": 0.1}, "inputs": {"pairs": "abc"}, **changed}
    output = {"made.jsonl": OutputRecord.of(folder / "made.jsonl")}
    return StageRecord(fields["settings"], fields["inputs"], output, {}, "2026-01-01", 1.0, {})


def test_a_run_in_use_says_by_whom_and_is_free_when_that_process_is_killed(run):
    command = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=rf"in use by another process \(pid {holder.pid}\)"), run.lock():
            pass
        holder.kill()
    with run.lock():
        pass


def test_a_folder_without_recipe_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match=r"no run folder .*anchor-train init"):
        RunFolder.open(tmp_path)


def test_a_new_run_needs_an_empty_folder(run):
    with pytest.raises(ConfigError, match="not an empty folder"):
        RunFolder.create(run.path, "")


def test_an_unchanged_stage_counts(tmp_path):
    assert not list(changes(record(tmp_path), {"dpo.beta": 0.1}, {"pairs": "abc"}, tmp_path))


def test_what_changed_is_named(tmp_path):
    made = record(tmp_path)
    assert list(changes(made, {"dpo.beta": 0.2}, {"pairs": "def"}, tmp_path)) == [
        "dpo.beta: 0.1 -> 0.2",
        "pairs changed",
    ]
    (tmp_path / "made.jsonl").write_text("{} \n")
    assert list(changes(made, {"dpo.beta": 0.1}, {"pairs": "abc"}, tmp_path)) == [
        "its made.jsonl was changed"
    ]
    (tmp_path / "made.jsonl").unlink()
    assert list(changes(made, {"dpo.beta": 0.1}, {"pairs": "abc"}, tmp_path)) == ["its made.jsonl is gone"]
    several = replace(made, outputs={f"{name}.jsonl": made.outputs["made.jsonl"] for name in "abc"})
    assert list(changes(several, {"dpo.beta": 0.1}, {"pairs": "abc"}, tmp_path)) == [
        "its a.jsonl and 2 more are gone"
    ]


def test_an_empty_setting_that_came_with_a_newer_version_makes_nothing_stale(tmp_path):
    made, inputs = record(tmp_path), {"pairs": "abc"}
    assert not list(changes(made, {"dpo.beta": 0.1, "model.extra": {}}, inputs, tmp_path))
    assert list(changes(made, {"dpo.beta": 0.1, "model.extra": {"a": 1}}, inputs, tmp_path)) == [
        "model.extra: None -> {'a': 1}"
    ]


def test_a_touched_file_with_the_same_content_counts(tmp_path):
    made = record(tmp_path)
    (tmp_path / "made.jsonl").write_text("{}\n")
    assert not list(changes(made, {"dpo.beta": 0.1}, {"pairs": "abc"}, tmp_path))


def test_a_manifest_reads_back(run):
    manifest = Manifest({}).with_stage("sft", record(run.path))
    run.save(manifest)
    assert run.manifest() == manifest


def test_a_manifest_of_another_version_is_refused(run):
    (run.path / "manifest.json").write_text('{"format": 99, "stages": {}}')
    with pytest.raises(DataError, match="format 99"):
        run.manifest()


def test_settings_are_flattened_by_name():
    assert flat({"a": {"b": 1, "c": {"d": [2]}}, "e": {}}) == {"a.b": 1, "a.c.d": [2], "e": {}}
