"""The stages of STaPLe in real processes with a scripted model: counts, kills, bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from anchor_train.cli import main
from anchor_train.inspection.dry_run import describe
from anchor_train.inspection.preflight import check
from anchor_train.inspection.show import examples
from anchor_train.inspection.status import results_text, status_text
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.trained import trained_model, trained_models
from anchor_train.principles.discovery import fold
from anchor_train.publishing.model_card import model_card
from anchor_train.records import SftExample
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.cluster import read_constitution, read_members
from anchor_train.stages.discover import (
    JUDGEMENTS,
    PRINCIPLES,
    REFINEMENTS,
    WITHOUT,
    read_discoveries,
)
from anchor_train.stages.sample import read_samples
from judges.errors import BackendError, ConfigError, DataError
from judges.rubrics.load import load_rubric
from judges.storage.files import read_records
from tests.anchor_train.principles.scripted_staple import (
    NAMED,
    PEOPLE,
    REFINED,
    SHORT,
    STEP,
    make_staple,
    script,
)
from tests.anchor_train.scripted_run import finish_sft, left, wait_until_unlocked, write_script

DISCOVER, CLUSTER, TRAIN = (f"round-1/staple/{name}" for name in ("discover", "cluster", "train"))
BEFORE = {"sample", "judge", "consult"}
TO_CLUSTER = {*BEFORE, "discover", "cluster"}


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_model, tiny_adapter) -> RunFolder:
    """A run of one round, trained. Read only."""
    run = make_staple(tmp_path_factory.mktemp("done"), tiny_model)
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({*TO_CLUSTER, "train"})
    return run


@pytest.fixture
def ready(tmp_path, tiny_model, tiny_adapter) -> RunFolder:
    """A run whose SFT is finished."""
    run = make_staple(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    return run


def journal(run: RunFolder, name: str) -> list[dict[str, Any]]:
    path = run.stage(DISCOVER) / name
    return [json.loads(line) for line in path.read_text().splitlines()[1:]] if path.exists() else []


def stale(run: RunFolder, *overrides: str) -> set[str]:
    statuses = Pipeline(run, run.recipe(overrides)).status()
    return {found.stage.key for found in statuses if found.state == "stale"}


def test_every_first_reply_is_accounted_for(done):
    found, without = read_discoveries(done.stage(DISCOVER)), left(done.stage(DISCOVER) / WITHOUT)
    samples = {s.question.id: s for s in read_samples(done.stage("round-1/sample"))}
    keys = sorted(
        [(end.question_id, end.sample) for end in found] + [(r["question_id"], r["sample"]) for r in without]
    )
    assert keys == sorted((question, sample) for question in samples for sample in (0, 1))
    report = json.loads((done.stage(DISCOVER) / "report.json").read_text())
    assert report["prompts"] == 24 == report["found"] + sum(report["without"].values())
    assert report["rate"] == len(found) / 24
    for discovery in found:
        question = samples[discovery.question_id].question
        assert discovery.after > discovery.before
        assert discovery.choice == question.gold
        assert discovery.first == samples[question.id].completions[discovery.sample].text
        assert discovery.before in (15, 20), "SATISFACTORY and GOOD; EXCELLENT can't be improved on"


def test_only_replies_that_could_be_accepted_are_judged(done):
    golds = {s.question.id: s.question.gold for s in read_samples(done.stage("round-1/sample"))}
    right = {
        row["key"]
        for row in journal(done, REFINEMENTS)
        if f"<choice>{golds[row['key'].split('/')[0]]}</choice>" in row["texts"][0]
    }
    assert {row["sample"] for row in journal(done, JUDGEMENTS)} == right


def test_principles_that_say_the_same_are_one_in_the_constitution(done):
    found = read_discoveries(done.stage(DISCOVER))
    constitution = read_constitution(done.stage(CLUSTER))
    assert sum(principle.count for principle in constitution.principles) == len(found)
    assert {fold(text) for text in constitution.texts} <= {fold(STEP), fold(PEOPLE), fold(SHORT)}
    assert load_rubric(done.stage(CLUSTER) / "constitution.yaml").max_score == 5 * len(constitution.texts) > 5
    for principle in constitution.principles:
        assert all(example.after > example.before for example in principle.examples)
    assert set(read_members(done.stage(CLUSTER))) == {fold(discovery.principle) for discovery in found}


def test_what_is_trained_on_is_first_reply_principle_and_refined_reply(done):
    found = {(d.question_id, d.first): d for d in read_discoveries(done.stage(DISCOVER))}
    medoids = read_members(done.stage(CLUSTER))
    learnt = list(read_records(done.stage(TRAIN) / "examples.jsonl", SftExample.from_json))
    assert len(learnt) == len(read_discoveries(done.stage(DISCOVER)))
    for example in learnt:
        discovery = found[example.id, example.given]
        assert f"<principle>\n{medoids[fold(discovery.principle)]}\n</principle>" in example.target
        assert "<choice>" in example.target
    summary = done.manifest().stages[TRAIN].summary
    assert (summary["stage"], summary["examples"], summary["steps"]) == ("staple", len(learnt), 2)


def test_an_unchanged_run_is_passed_over_by_its_commands(done):
    for command in ("discover", "cluster", "train"):
        result = CliRunner().invoke(main, ["principles", command, str(done.path), "--json"])
        assert result.exit_code == 0, result.stderr
        assert "started" not in result.stderr
        rows = json.loads(result.stdout)["stages"]
        assert (rows[-1]["kind"], rows[-1]["state"]) == (command, "finished")


def test_a_setting_makes_stale_what_reads_it_and_nothing_else(done):
    assert stale(done, "staple.train.max_steps=3", "dpo.beta=0.3") == {TRAIN}
    assert stale(done, "staple.cluster.threshold=0.2") == {CLUSTER}
    assert stale(done, "staple.discover.n=2") == {DISCOVER}
    assert not stale(done, "staple.train.log_every=1", "rft.max_steps=9")


def test_the_stages_are_shown_counted_and_described(done):
    pipeline = Pipeline(done, done.recipe())
    statuses = list(pipeline.status())
    found = len(read_discoveries(done.stage(DISCOVER)))
    assert f"{found} of 24 replies improved on" in status_text(statuses, done)
    results = results_text(statuses, done)
    assert "principles discovered in round 1" in results
    assert "100.0% of them new" in results
    assert str(done.stage(CLUSTER) / "constitution.yaml") in results
    shown = {stage: examples(pipeline, stage, 1)[0].text for stage in ("discover", "cluster", "train")}
    assert "--- principle\n" in shown["discover"]
    assert "helped" in shown["cluster"]
    assert "--- given, without loss\n" in shown["train"]
    assert set(trained_models(pipeline)) == {"sft", "staple"}
    card = model_card(pipeline, trained_model(pipeline, "staple"))
    assert "2505.16927" in card
    assert f"1. {read_constitution(done.stage(CLUSTER)).texts[0]}" in card


def test_a_dry_run_shows_the_loss_on_principle_and_refined_reply_alone(done):
    found = describe(Pipeline(done, done.recipe()), {"discover", "cluster", "train"})
    assert [stage.stage for stage in found.stages] == [DISCOVER, CLUSTER, TRAIN]
    assert found.stages[0].planned.calls == 24 * 4 * 3
    assert found.stages[2].planned.steps == 2
    before, learnt = found.examples[0].split("--- with loss, a token in each bracket\n")
    assert learnt.replace("][", "").startswith("[⏎<principle>⏎")
    assert "<principle>" not in before.split("<|im_start|>assistant")[-1]


def test_accepted_by_rouge_no_refined_reply_is_judged(ready):
    recipe = ready.recipe(["staple.discover.acceptance=rouge"])
    Pipeline(ready, recipe).do({*BEFORE, "discover"})
    found = read_discoveries(ready.stage(DISCOVER))
    assert found
    assert all(0 <= d.before < d.after <= 1 for d in found)
    assert not (ready.stage(DISCOVER) / JUDGEMENTS).exists()


# --- what can go wrong


def failing(run: RunFolder, folder: Path, *overrides: str, **texts: Any) -> str:
    """What stops the run up to its constitution, with these texts in the model's script."""
    script(folder / "sampler.yaml", **texts)
    with pytest.raises(DataError) as caught:
        Pipeline(run, run.recipe(overrides)).do(TO_CLUSTER)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_any_right_reply_or_argument_there_is_nothing_to_learn_from(ready, tmp_path):
    unclear = "<explanation>It is so.</explanation> without a choice"
    settings = ("staple.discover.reference=reply", "sampler.stop_unreadable=null")
    said = failing(ready, tmp_path, *settings, replies=unclear)
    assert said.startswith("no principle was accepted: 24 first replies (no reference 24)")
    assert "staple.discover.reference=reply_or_argument" in said
    report = json.loads((ready.stage(DISCOVER) / "report.json").read_text())
    assert report["without"] == {"no_reference": 24}


def test_without_any_improvement_the_reasons_are_counted(ready, tmp_path):
    said = failing(ready, tmp_path, refined="<explanation>No.</explanation> and no choice")
    assert "no refined reply" in said
    assert "staple.discover.n" in said


def test_principles_that_are_all_the_same_are_refused_unless_allowed(ready, tmp_path):
    said = failing(ready, tmp_path, named=NAMED[0])
    assert f"accepted principles say the same ({STEP!r})" in said
    assert "staple.cluster.allow_one=true" in said
    Pipeline(ready, ready.recipe(["staple.cluster.allow_one=true"])).do({"cluster"})
    assert read_constitution(ready.stage(CLUSTER)).texts == (STEP,)


def test_a_threshold_that_leaves_one_cluster_is_refused_with_the_distances(done):
    with pytest.raises(DataError, match=r"threshold 1.9 leaves one cluster of \d+ distinct princ.*lower it"):
        Pipeline(done, done.recipe(["staple.cluster.threshold=1.9"])).do({"cluster"})
    Pipeline(done, done.recipe()).do({"cluster"})


def test_a_model_that_names_nothing_is_said(ready, tmp_path):
    said = failing(ready, tmp_path, named="I have nothing to add.")
    assert "none of the first 32 replies names a principle, e.g. 'I have nothing to add.'" in said
    assert "reply_form=shown:2 (now asked)" in said
    asked = left(ready.stage(DISCOVER) / PRINCIPLES)
    assert len(asked) - 1 < 24  # a row says whose the journal is
    all_the_same = failing(ready, tmp_path, "sampler.stop_unreadable=null", named="I have nothing to add.")
    assert "no principle was accepted: 24 first replies" in all_the_same


def test_missing_packages_and_damaged_guides_are_told_before_anything_runs(tmp_path, tiny_model):
    guide = tmp_path / "guide.yaml"
    guide.write_text("principles: []")
    run = make_staple(
        tmp_path / "r",
        tiny_model,
        staple={"cluster": {"threshold": 0.5, "embedding": "all-MiniLM-L6-v2"}},
        consultant={"guide": str(guide), "backend": "base"},
    )
    with pytest.raises(ConfigError) as caught:
        check(run.recipe())
    assert "consultant.guide: " in str(caught.value)
    assert "without principles says nothing" in str(caught.value)
    assert "sentence-transformers is not installed" in str(caught.value)


def test_what_failed_is_asked_for_again_and_only_that(ready, tmp_path):
    Pipeline(ready, ready.recipe()).do(BEFORE)
    refine, away, name = (
        {"match": "The principle:", "reply": REFINED, "order": "seeded"},
        {"match": r"number [1234]\?.*The reply:", "failure": "the network is away"},
        {"match": "The reply:", "reply": NAMED, "order": "seeded"},
    )
    path = tmp_path / "refiner.yaml"
    write_script(path, [refine, away, name])
    recipe = ready.recipe([f"staple.discover.backend=scripted:{path}"])
    told: list[str] = []
    Pipeline(ready, recipe, told.append).do({"discover"})
    summary = ready.manifest().stages[DISCOVER].summary
    assert summary["unanswered"] >= 1
    assert summary["without"]["no_principle"] >= summary["unanswered"]
    answered = {row["key"] for row in journal(ready, PRINCIPLES) if row["failure"] is None}
    write_script(path, [refine, name])
    Pipeline(ready, recipe, told.append).do({"discover"}, retry_failed=True)
    assert any("asking again for" in line for line in told)
    assert ready.manifest().stages[DISCOVER].summary["unanswered"] == 0
    keys = [row["key"] for row in journal(ready, PRINCIPLES)]
    assert all(keys.count(key) == 1 for key in answered)
    assert len(keys) == len(set(keys)) + summary["unanswered"]


def test_a_model_that_cannot_serve_leaves_the_stage_unfinished(ready, tmp_path):
    Pipeline(ready, ready.recipe()).do(BEFORE)
    write_script(tmp_path / "refiner.yaml", [{"failure": "no such model"}])
    recipe = ready.recipe([f"staple.discover.backend=scripted:{tmp_path / 'refiner.yaml'}"])
    with pytest.raises(BackendError, match=r"naming principles: none of \d+ got a reply"):
        Pipeline(ready, recipe).do({"discover"})


# --- kill -9

# As the command does, without rendering an example first, for which it would load a tokenizer.
DISCOVERING = """
import sys
from pathlib import Path
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.run.run_folder import RunFolder

run = RunFolder.open(Path(sys.argv[1]))
Pipeline(run, run.recipe([sys.argv[2]])).do({"discover"})
"""


@pytest.mark.parametrize("name", [PRINCIPLES, REFINEMENTS])
def test_killed_in_the_middle_it_finds_the_same_and_asks_nothing_twice(ready, tmp_path, done, name):
    Pipeline(ready, ready.recipe()).do(BEFORE)
    script(tmp_path / "slow.yaml", delay=0.1)
    slow = f"staple.discover.backend=scripted:{tmp_path / 'slow.yaml'}"
    process = subprocess.Popen(
        [sys.executable, "-c", DISCOVERING, str(ready.path), slow],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).resolve().parents[3],
    )
    path = ready.stage(DISCOVER) / name
    deadline = time.monotonic() + 240
    while len(lines_of(path)) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until_unlocked(ready)
    before = lines_of(path)
    assert len(before) >= 3
    with path.open("ab") as file:
        file.write(b'{"torn')

    Pipeline(ready, ready.recipe([slow])).do({"discover"})

    assert lines_of(path)[: len(before)] == before, "what was there stays"
    for part in (PRINCIPLES, REFINEMENTS):
        keys = [row["key"] for row in journal(ready, part)]
        assert len(set(keys)) == len(keys), "nothing was asked for twice"
    assert read_discoveries(ready.stage(DISCOVER)) == read_discoveries(done.stage(DISCOVER))


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()[1:] if path.exists() else []
