"""The graph in real processes: scripted sampler, judge and consultant, a real folder, real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from anchor_train.inspection.show import examples
from anchor_train.inspection.status import as_rows, results_text, status_text
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.pipeline.plan import plan
from anchor_train.run.manifest import Manifest, OutputRecord, StageRecord
from anchor_train.run.roles import own_model
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.consult import read_arguments
from anchor_train.stages.judge import read_scored
from anchor_train.stages.pairs import WITHOUT, read_pairs
from anchor_train.stages.sample import read_samples
from judges.backends.protocol import answer_all
from judges.config import load_backend
from judges.errors import BackendError, ConfigError, DataError
from judges.records import Reply, Sampling
from judges.storage.files import content_hash
from lm_eval_tasks.tasks.load import load_task
from tests.anchor_train.scripted_run import (
    ARGUMENT,
    REPLIES,
    finish_sft,
    left,
    make_run,
    verdict,
    wait_until_unlocked,
    write_rows,
    write_script,
)

TO_PAIRS = {"questions", "sft", "sample", "judge", "consult", "pairs"}


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_model, tiny_adapter) -> RunFolder:
    """A run with everything up to its pairs. Read only."""
    run = make_run(tmp_path_factory.mktemp("done"), tiny_model)
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({"sample", "judge", "consult", "pairs"})
    return run


def states(run: RunFolder, *overrides: str) -> dict[str, str]:
    return {found.stage.key: found.state for found in Pipeline(run, run.recipe(overrides)).status()}


def test_counts_add_up_from_questions_to_pairs(done):
    samples = read_samples(done.stage("round-1/sample"))
    scored = read_scored(done.stage("round-1/judge"))
    assert len(samples) == len(scored) == 12
    assert [len(sample.completions) for sample in samples] == [4] * 12
    for strategy in ("anchor", "rank"):
        folder = done.stage(f"round-1/{strategy}/pairs")
        assert len(read_pairs(folder)) + len(left(folder / WITHOUT)) == 12
        report = json.loads((folder / "report.json").read_text())
        assert report["total"] == sum(report["pairs"].values()) == len(read_pairs(folder))
        assert report["questions"] == 12


def test_only_questions_that_were_never_right_have_the_consultants_argument(done):
    scored = {found.question.id: found for found in read_scored(done.stage("round-1/judge"))}
    never_right = {key for key, found in scored.items() if not any(s.correct for s in found.responses)}
    arguments = read_arguments(done.stage("round-1/consult"))
    assert set(arguments) <= never_right
    pairs = read_pairs(done.stage("round-1/anchor/pairs"))
    by_consultant = {pair.question_id for pair in pairs if pair.chosen.source == "consultant"}
    assert by_consultant == set(arguments)
    for pair in pairs:
        if pair.question_id in by_consultant:
            gold = scored[pair.question_id].question.gold
            assert ARGUMENT in pair.chosen.text
            assert pair.chosen.text.split("<choice>")[1].split("</choice>")[0].strip() == gold


def test_an_unchanged_run_is_passed_over(done):
    before = content_hash(done.stage("round-1"))
    told: list[str] = []
    Pipeline(done, done.recipe(), told.append).do({"sample", "judge", "consult", "pairs"})
    assert content_hash(done.stage("round-1")) == before
    assert all("finished" in line for line in told)


def test_a_changed_setting_makes_stale_what_depends_on_it_and_says_so(done):
    found = {s.stage.key: s for s in Pipeline(done, done.recipe(["pairs.loser=minimum"])).status()}
    assert found["round-1/judge"].state == "finished"
    assert found["round-1/anchor/pairs"].state == "stale"
    assert found["round-1/anchor/pairs"].why == ("pairs.loser: below_top -> minimum",)
    assert found["round-1/anchor/dpo"].why == ("waits for round-1/anchor/pairs",)


def test_a_setting_that_only_shows_something_makes_nothing_stale(done):
    assert states(done, "sft.log_every=1", "dpo.save_every=7", "dpo.sample_every=3") == states(done)


def test_a_stage_before_its_inputs_says_what_must_come_first(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model)
    with pytest.raises(ConfigError, match=r"round-1/sample: waits for questions, sft; run that first"):
        Pipeline(run, run.recipe()).do({"sample"})


def test_a_new_judge_is_asked_and_the_replies_stay(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({"sample", "judge"})
    replies = content_hash(run.stage("round-1/sample") / "replies.jsonl")
    strict = write_script(tmp_path / "strict.yaml", [{"reply": verdict("UNSATISFACTORY")}])
    told: list[str] = []
    Pipeline(run, run.recipe([f"judge={strict}"]), told.append).do({"sample", "judge"})
    assert content_hash(run.stage("round-1/sample") / "replies.jsonl") == replies
    assert any("round-1/judge: stale" in line and "strict.yaml" in line for line in told)
    scores = {s.score for found in read_scored(run.stage("round-1/judge")) for s in found.responses}
    assert scores <= {0, None}


def test_failed_replies_are_asked_for_again_and_only_those(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    flaky = [{"match": "number 3", "failure": "the network is away"}, {"reply": REPLIES}]
    script = tmp_path / "sampler.yaml"
    write_script(script, flaky)
    Pipeline(run, run.recipe()).do({"sample"})
    assert [s.failure for s in read_samples(run.stage("round-1/sample"))].count(None) == 11
    write_script(script, flaky[1:])
    told: list[str] = []
    Pipeline(run, run.recipe(), told.append).do({"sample"})
    assert "1 without a good reply (--retry-failed asks again)" in told[-1]
    Pipeline(run, run.recipe()).do({"sample"}, retry_failed=True)
    assert not any(sample.failure for sample in read_samples(run.stage("round-1/sample")))
    assert run.manifest().stages["round-1/sample"].summary["asked_now"] == 1


def test_a_backend_that_answers_nothing_leaves_the_stage_unfinished(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    write_script(tmp_path / "sampler.yaml", [{"failure": "no such model"}])
    with pytest.raises(BackendError, match=r"none of 12 got a reply; the first failed: no such model"):
        Pipeline(run, run.recipe()).do({"sample"})
    assert states(run)["round-1/sample"] == "missing"


def test_no_pairs_at_all_is_an_error_with_the_counts_why(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model, strategies=["anchor"])
    finish_sft(run, tiny_adapter)
    write_script(tmp_path / "sampler.yaml", [{"reply": "no tags"}])
    cause = r"no pair could be built: 12 questions \(no readable explanation 12\); reply_form=shown\+held"
    recipe = run.recipe(["sampler.stop_unreadable=null"])
    with pytest.raises(DataError, match=cause):
        Pipeline(run, recipe).do({"sample", "judge", "consult", "pairs"})


def test_replies_of_which_none_can_be_read_are_seen_before_all_are_paid_for(
    tmp_path, tiny_model, tiny_adapter
):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    write_script(tmp_path / "sampler.yaml", [{"reply": ["It is B.", "I can't help with that."]}])
    with pytest.raises(DataError) as caught:
        Pipeline(run, run.recipe()).do({"sample"})
    for part in (
        "none of the first 32 replies can be read (explanation: no tag 32, choice: no tag 32)",
        "'It is B.' and \"I can't help with that.\"",
        "reply_form=shown:2 (now asked)",
        "sampler.stop_unreadable=null",
    ):
        assert part in str(caught.value)
    journal = run.stage("round-1/sample") / "journal.jsonl"
    assert len(rows_on_disk(journal)) == 8
    with pytest.raises(DataError, match="none of the first 32"):
        Pipeline(run, run.recipe()).do({"sample"})
    assert len(rows_on_disk(journal)) == 8, "nothing was asked to find that out again"
    Pipeline(run, run.recipe(["sampler.stop_unreadable=null"])).do({"sample"})
    assert len(rows_on_disk(journal)) == 12
    assert states(run)["round-1/sample"] == "finished", "the setting is none that replies depend on"


def test_one_reply_that_can_be_read_is_enough_to_go_on(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    good = "<explanation>So it is.</explanation><choice>A</choice>"
    write_script(tmp_path / "sampler.yaml", [{"match": "number 5", "reply": good}, {"reply": "It is B."}])
    Pipeline(run, run.recipe()).do({"sample"})
    assert run.manifest().stages["round-1/sample"].summary["without_choice"] == 44


def test_pairs_that_would_be_cut_are_refused_unless_allowed(done):
    pipeline = Pipeline(done, done.recipe(["dpo.max_length=150"]))
    with pytest.raises(ConfigError, match=r"would cut \d+ of \d+ pairs.*dpo.allow_cut=true"):
        pipeline.do({"pairs"})
    Pipeline(done, done.recipe()).do({"pairs"})


def test_status_says_what_comes_next(done):
    statuses = list(Pipeline(done, done.recipe()).status())
    rows = as_rows(statuses, done)
    assert rows["next"] == "round-1/anchor/dpo"
    judged = next(row for row in rows["stages"] if row["stage"] == "round-1/judge")
    assert sum(judged["summary"]["behaviours"].values()) == 12
    text = status_text(statuses, done)
    assert "next: round-1/anchor/dpo (missing)" in text
    assert "lambda" in results_text(statuses, done)
    json.dumps(rows)


@pytest.mark.parametrize("stage", ["questions", "sample", "judge", "consult", "pairs", "round-1/rank/pairs"])
def test_every_finished_stage_can_be_shown(done, stage):
    shown = examples(Pipeline(done, done.recipe()), stage, 2)
    assert 1 <= len(shown) <= (4 if stage == "pairs" else 2)
    assert all(example.id in example.text for example in shown)


def test_without_a_name_the_pairs_of_all_strategies_are_shown(done):
    pipeline = Pipeline(done, done.recipe())
    (question,) = {example.id for example in examples(pipeline, "round-1/rank/pairs", 1)}
    shown = examples(pipeline, None, 3, [question])
    assert [example.stage for example in shown][-1] == "round-1/rank/pairs"
    assert {example.id for example in shown} == {question}
    assert {example.stage for example in examples(pipeline, None, 1)} == {
        "round-1/anchor/pairs",
        "round-1/rank/pairs",
    }


def test_a_shown_pair_says_where_it_came_from(done):
    (shown,) = examples(Pipeline(done, done.recipe()), "round-1/anchor/pairs", 1)
    for part in ("gold", "strategy anchor", "winner one of", "--- chosen:", "--- rejected: sample"):
        assert part in shown.text


def test_what_cannot_be_shown_is_said(done):
    pipeline = Pipeline(done, done.recipe())
    with pytest.raises(ConfigError, match="did you mean 'pairs'"):
        examples(pipeline, "pair", 1)
    with pytest.raises(ConfigError, match="hasn't run yet"):
        examples(pipeline, "dpo", 1)
    with pytest.raises(ConfigError, match="nothing of question nobody"):
        examples(pipeline, "pairs", 1, ["nobody"])


def test_samples_come_from_the_adapter(tmp_path, tiny_model, tiny_adapter):
    run = make_run(
        tmp_path,
        tiny_model,
        questions={"limit": 2},
        sampler={"n": 1, "temperature": 0, "max_tokens": 12},
    )
    finish_sft(run, tiny_adapter)
    recipe = run.recipe()
    Pipeline(run, recipe).do({"sample"})
    drawn = read_samples(run.stage("round-1/sample"))
    spec = load_task(recipe.task)
    prompts = [spec.explain_conversation(sample.question) for sample in drawn]
    texts = {}
    for adapter in (None, tiny_adapter):
        with load_backend(own_model(recipe, adapter)) as backend:
            outcomes = answer_all(backend, prompts, Sampling(max_tokens=12))
        texts[adapter] = [reply.text for reply in outcomes if isinstance(reply, Reply)]
    assert [sample.completions[0].text for sample in drawn] == texts[tiny_adapter] != texts[None]


# --- what was trained isn't lost


def test_a_finished_training_is_not_done_anew_unless_told(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model, strategies=["rank"])
    finish_sft(run, tiny_adapter)
    given = ["dpo.max_steps=1"]
    Pipeline(run, run.recipe(given), overrides=given).do({"sample", "judge", "pairs", "dpo"})
    adapter = content_hash(run.stage("round-1/rank/dpo") / "adapter")
    assert run.last_overrides == ("dpo.max_steps=1",)

    for changed in ([], ["dpo.max_steps=1", "sampler.n=2"], ["dpo.max_steps=1", "seed=7"]):
        with pytest.raises(ConfigError) as caught:
            Pipeline(run, run.recipe(changed), overrides=changed).do()
        assert "finished training would be done anew: " in str(caught.value)
        assert "round-1/rank/dpo" in str(caught.value)
        assert "--redo" in str(caught.value)
    with pytest.raises(ConfigError, match=r"The last run was given --set dpo.max_steps=1\."):
        Pipeline(run, run.recipe()).do({"dpo"})
    assert content_hash(run.stage("round-1/rank/dpo") / "adapter") == adapter
    assert len(read_samples(run.stage("round-1/sample"))[0].completions) == 4, "nor was anything before it"
    assert run.last_overrides == ("dpo.max_steps=1",), "what was refused wasn't the last run"

    told: list[str] = []
    Pipeline(run, run.recipe(), told.append).do({"dpo"}, redo=True)
    assert any("kept as dpo.before-1" in line for line in told)
    assert content_hash(run.stage("round-1/rank") / "dpo.before-1" / "adapter") == adapter
    assert run.manifest().stages["round-1/rank/dpo"].summary["steps"] == 2
    Pipeline(run, run.recipe(given), overrides=given).do({"dpo"}, redo=True)
    assert (run.stage("round-1/rank") / "dpo.before-2").is_dir()
    assert content_hash(run.stage("round-1/rank/dpo") / "adapter") == adapter, "the same comes of the same"


def test_a_command_of_one_stage_names_why_its_input_is_stale(done):
    with pytest.raises(ConfigError) as caught:
        Pipeline(done, done.recipe(["pairs.loser=minimum"])).do({"dpo"})
    for part in (
        "round-1/anchor/dpo: waits for round-1/anchor/pairs",
        "(stale: pairs.loser: below_top -> minimum)",
    ):
        assert part in str(caught.value)


def test_every_stage_says_at_its_end_what_came_of_it(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    told: list[str] = []
    recipe = run.recipe(["dpo.max_length=150"])
    with pytest.raises(ConfigError, match="would cut"):
        Pipeline(run, recipe, told.append).do({"sample", "judge", "consult", "pairs"})
    text = "\n".join(told)
    for part in ("48 replies to 12 questions (0 failed)", "judged by scripted", "arguments (0 failed)"):
        assert part in text, "also of a run that failed later on"


def test_the_evaluation_of_a_round_is_taken_over_when_there_are_more(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, strategies=["anchor"])
    recipe = run.recipe()
    pipeline = Pipeline(run, recipe)
    # As the evaluation of one round leaves them: a model's replies and their verdicts, by content.
    stages = {stage.key: stage for stage in pipeline.stages}
    records = {}
    for key in ("round-1/anchor/dpo", "evaluate/anchor/generate", "evaluate/anchor/score"):
        stage, folder = stages[key], run.stage(key)
        folder.mkdir(parents=True)
        (folder / "made.txt").write_text(key, encoding="utf-8")
        needed = {name: records[need].content for name, need in stage.needs.items() if need in records}
        records[key] = StageRecord(
            dict(stage.settings),
            {**needed, **stage.externals},
            {"made.txt": OutputRecord.of(folder / "made.txt")},
            {"replies": 3, "questions": 3},
            "2026-01-01T00:00:00",
            1.0,
            {},
        )
    run.save(Manifest(records))

    told: list[str] = []
    later = Pipeline(run, run.recipe(["rounds=2"]), told.append)
    for key in ("evaluate/anchor-round-1/generate", "evaluate/anchor-round-1/score"):
        stage = next(stage for stage in later.stages if stage.key == key)
        assert later._taken_over(stage)
        assert (run.stage(key) / "made.txt").is_file()
    assert told[0] == "evaluate/anchor-round-1/generate: taken over from evaluate/anchor/generate"
    last = next(stage for stage in later.stages if stage.key == "evaluate/base/generate")
    assert not later._taken_over(last), "the base model never wrote that"


# --- the graph alone


def test_from_round_two_on_each_strategy_goes_its_own_way(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, rounds=2, judge="latest")
    stages = {stage.key: stage for stage in plan(run.recipe())}
    assert stages["round-1/sample"].needs["adapter"] == "sft"
    assert "judging adapter" not in stages["round-1/judge"].needs, "no aligned model judges round 1"
    for strategy in ("anchor", "rank"):
        assert stages[f"round-2/{strategy}/sample"].needs["adapter"] == f"round-1/{strategy}/dpo"
        assert stages[f"round-2/{strategy}/judge"].needs["judging adapter"] == f"round-1/{strategy}/dpo"
        assert stages[f"round-2/{strategy}/dpo"].needs["adapter"] == f"round-1/{strategy}/dpo"
    assert "round-2/rank/consult" not in stages
    evaluated = {stage.model for stage in stages.values() if stage.kind == "generate"}
    assert evaluated == {"base", "sft", "anchor-round-1", "anchor", "rank-round-1", "rank"}


def test_every_stage_comes_after_what_it_reads(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, rounds=3)
    seen: set[str] = set()
    for stage in plan(run.recipe()):
        assert set(stage.needs.values()) <= seen
        assert stage.key not in seen
        seen.add(stage.key)


# --- kill -9


def start(run: RunFolder, command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "anchor_train", command, str(run.path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).resolve().parents[3],
    )


def rows_on_disk(journal: Path) -> list[bytes]:
    return journal.read_bytes().splitlines()[1:] if journal.exists() else []


@pytest.mark.parametrize(("command", "stage"), [("sample", "round-1/sample"), ("judge", "round-1/judge")])
def test_killed_in_the_middle_it_ends_with_the_same_artifact_and_asks_nothing_twice(
    tmp_path, tiny_model, tiny_adapter, done, command, stage
):
    run = make_run(tmp_path, tiny_model, delay=0.15)
    finish_sft(run, tiny_adapter)
    if command == "judge":
        Pipeline(run, run.recipe()).do({"sample"})
    journal = run.stage(stage) / "journal.jsonl"
    process = start(run, command)
    deadline = time.monotonic() + 60
    while len(rows_on_disk(journal)) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until_unlocked(run)
    before = rows_on_disk(journal)
    assert len(before) >= 3
    assert states(run)[stage] == "missing", "half a stage is no finished one"
    assert begun(run) == {stage}
    assert not begun(run, "seed=7"), "with another seed it starts anew"
    with journal.open("ab") as file:
        file.write(b'{"torn')

    Pipeline(run, run.recipe()).do({command})

    after = rows_on_disk(journal)
    assert after[: len(before)] == before, "what was there stays"
    keys = [json.dumps(json.loads(row).get("sample") or json.loads(row)["question"]["id"]) for row in after]
    assert len(set(keys)) == len(keys), "no answer was asked for twice"
    summary = run.manifest().stages[stage].summary
    assert summary["asked_now"] <= len(after) - len(before)
    assert without_times(run.stage(stage)) == without_times(done.stage(stage))


def test_ctrl_c_ends_it_without_a_traceback_and_keeps_what_is_there(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model, delay=0.15)
    finish_sft(run, tiny_adapter)
    journal = run.stage("round-1/sample") / "journal.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "anchor_train", "sample", str(run.path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[3],
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(rows_on_disk(journal)) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert f"to go on from here: anchor-train sample {run.path}".encode() in errors
    assert errors.strip().endswith(b"stopped; what was done is kept: run again to go on")
    assert 2 <= len(rows_on_disk(journal)) < 12
    assert states(run)["round-1/sample"] == "missing"
    with run.lock():
        pass


def test_a_stage_that_was_begun_anew_is_taken_up_again(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model)
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({"sample"})
    assert not begun(run)
    hotter = run.recipe(["sampler.temperature=0.9"])
    told: list[str] = []
    write_script(tmp_path / "sampler.yaml", [{"failure": "away"}])
    with pytest.raises(BackendError):
        Pipeline(run, hotter, told.append).do({"sample"})
    assert "stale" in told[-1]
    assert told[-1].endswith("done anew")
    assert "begun anew, will be taken up again" in status_text(list(Pipeline(run, hotter).status()), run)
    write_script(tmp_path / "sampler.yaml", [{"reply": REPLIES}])
    Pipeline(run, hotter, told.append).do({"sample"})
    assert told[-3].endswith("taken up again")
    assert not begun(run, "sampler.temperature=0.9")


def begun(run: RunFolder, *overrides: str) -> set[str]:
    return {found.stage.key for found in Pipeline(run, run.recipe(overrides)).status() if found.begun}


def without_times(folder: Path) -> list[object]:
    """The artifact's rows without what a clock or the cache put there."""
    name = "scored.jsonl" if (folder / "scored.jsonl").exists() else "replies.jsonl"
    rows = [json.loads(line) for line in (folder / name).read_text().splitlines()]
    for row in rows:
        for response in row.get("responses", ()):
            if response["judgement"] is not None:
                response["judgement"] |= {"seconds": 0, "cached": False}
    return rows


def test_repeated_questions_are_left_out_and_counted(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, questions={"limit": 5})
    path = write_rows(tmp_path / "data") / "train.jsonl"
    path.write_text(path.read_text() * 2)
    Pipeline(run, run.recipe()).do({"questions"})
    summary = run.manifest().stages["questions"].summary
    assert summary == {"questions": 5, "available": 24, "repeated": 12}


def test_the_recipe_as_used_is_kept(done):
    assert yaml.safe_load((done.path / "resolved.yaml").read_text())["dpo"]["beta"] == 0.1
