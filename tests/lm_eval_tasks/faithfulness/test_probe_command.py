"""``anchor-eval probe`` on models of known faithfulness behind a real server: figures, records, resuming."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from lm_eval_tasks.cli import main
from lm_eval_tasks.faithfulness import probe_run
from lm_eval_tasks.faithfulness.probe_run import ProbeRequest, plan, run_probes
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.pocket.questions import questions
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.probe_files import read_probe_records, read_probes
from tests.judges.endpoint import Endpoint
from tests.lm_eval_tasks.faithfulness.endpoints import chat_model, perfect, pocket_run

QUESTIONS = questions("test", 60)


def arguments(run, endpoint, *more):
    model_args = f"model=m,base_url={endpoint.url},num_concurrent=8"
    return ["probe", str(run), "--model", "local-chat-completions", "--model-args", model_args, *more]


def probe(run, endpoint, *more):
    found = CliRunner().invoke(main, arguments(run, endpoint, *more))
    assert found.exit_code == 0, found.output
    return found


def summaries(run):
    task = load_run(run).task("pocket_explain")
    return read_probes(task.samples_file.parent, "pocket_explain")


@pytest.fixture
def run(tmp_path):
    return pocket_run(tmp_path / "run", QUESTIONS)


def test_a_model_that_reads_its_explanation_has_an_area_and_one_that_doesnt_has_none(run):
    for reads, area in ((True, 0.75), (False, 0.0)):
        with Endpoint(chat_model(reads=reads)) as endpoint:
            probe(run, endpoint, "--kinds", "early")
        early = summaries(run)["early"]
        # Two sentences, since the one that states the answer is left out: cuts at 0, 1, 2. A, A, B.
        assert early.figure("area").estimate.value == pytest.approx(area)
        assert early.figure("same_without").estimate.value == (not reads)
        assert early.figure("whole_as_replied").estimate.value == 1
        assert early.curve[0] == (0, float(not reads))
        assert early.curve[-1] == (1, 1)
        assert (early.questions, early.replies, early.took["choices"]) == (60, 60, 180)


def test_records_are_keyed_by_run_question_and_sample(tmp_path):
    run = pocket_run(tmp_path / "mine", QUESTIONS[:20], samples=3)
    with Endpoint(chat_model(reads=True)) as endpoint:
        probe(run, endpoint, "--kinds", "early", "--samples", "2")
    folder = load_run(run).task("pocket_explain").samples_file.parent
    records = read_probe_records(folder, "pocket_explain", "early")
    assert {(one.run, one.task) for one in records} == {("mine", "pocket_explain")}
    assert [(one.question, one.sample) for one in records] == [
        (question.id, sample) for question in QUESTIONS[:20] for sample in (0, 1)
    ]
    assert records[0].values["left_out"] == 1
    assert records[0].values["choices"] == ["A", "A", "B"]


@pytest.mark.parametrize(("follows", "says"), [(False, False), (True, False), (True, True)])
def test_hints_followed_silently_and_said(run, follows, says):
    behave = chat_model(reads=False, follows_hints=follows, says_so=says)
    with Endpoint(behave) as endpoint:
        probe(run, endpoint, "--kinds", "hint", "--hints", "suggested,leaked")
    figures = summaries(run)["hint"].figures
    suggested = figures["suggested"]
    assert suggested["adoption"].estimate.value == float(follows)
    assert figures["leaked"]["adoption"].estimate.value == 0  # this model knows no such hint
    moved = suggested["said_by_words"]
    if not follows:
        assert moved.why_not == "too few: 0 flips of at least 50"
    elif moved.cases < 50:
        assert moved.estimate is None
    records = read_probe_records(
        load_run(run).task("pocket_explain").samples_file.parent, "pocket_explain", "hint"
    )
    rows = [row for one in records for row in one.values["hints"] if row["hint"] == "suggested"]
    assert all(row["label"] != one.values["gold"] for one in records for row in one.values["hints"])
    flips = [row for one, row in zip(records, rows, strict=True) if row["after"] == row["label"] != "B"]
    assert all(row["said_by_words"] is says for row in flips)
    assert bool(flips) is follows


def test_a_writer_detects_what_words_dont(run):
    behave = chat_model(reads=False, follows_hints=True)
    with Endpoint(behave) as endpoint, Endpoint(lambda k, body, handler: handler.reply("yes")) as detector:
        probe(
            run, endpoint, "--kinds", "hint", "--hints", "suggested", "--writer", f"openai:w@{detector.url}"
        )
    found = summaries(run)["hint"]
    suggested = found.figures["suggested"]
    assert suggested["said_by_words"].cases == suggested["said_by_model"].cases == len(detector.bodies)
    assert found.writer.startswith("openai:w")
    assert all("guess would be" in body["messages"][-1]["content"] for body in detector.bodies)


def test_what_a_detector_fails_to_say_is_neither_yes_nor_no(run):
    behave = chat_model(reads=False, follows_hints=True)
    with (
        Endpoint(behave) as endpoint,
        Endpoint(lambda k, body, handler: handler.reply("Perhaps.")) as detector,
    ):
        probe(
            run, endpoint, "--kinds", "hint", "--hints", "suggested", "--writer", f"openai:w@{detector.url}"
        )
    suggested = summaries(run)["hint"].figures["suggested"]
    assert "said_by_model" not in suggested
    assert suggested["said_by_words"].cases > 20


def test_failed_replies_are_counted_and_tell_nothing(run):
    reader = chat_model(reads=True)

    def behave(number, body, handler):
        if QUESTIONS[0].question in body["messages"][1]["content"]:
            handler.error(400, "no")
        else:
            reader(number, body, handler)

    with Endpoint(behave) as endpoint:
        probe(run, endpoint, "--kinds", "early")
    early = summaries(run)["early"]
    assert sum(early.lost.values()) == 1
    assert early.figure("area").cases == 59


def test_a_killed_probe_goes_on_where_it_was(run):
    reader = chat_model(reads=True)

    def slow(number, body, handler):
        if number >= 60:
            endpoint.stopping.wait(120)
        reader(number, body, handler)

    with Endpoint(slow) as endpoint:
        command = [
            sys.executable, "-m", "lm_eval_tasks", *arguments(run, endpoint, "--kinds", "early")
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 300
            while len(endpoint.bodies) < 65 and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        port, answered = endpoint.port, min(len(endpoint.bodies), 60)
    assert summaries(run) == {}
    with Endpoint(reader, port=port) as endpoint:
        probe(run, endpoint, "--kinds", "early")
        # 180 choices in all; of those that were answered only the 8 under way may not be stored yet.
        assert answered >= 30
        assert len(endpoint.bodies) <= 180 - answered + 8
        again = len(endpoint.bodies)
        probe(run, endpoint, "--kinds", "early")
        assert len(endpoint.bodies) == again  # all of it is known
    assert summaries(run)["early"].figure("area").estimate.value == pytest.approx(0.75)


def test_what_it_takes_is_said_before_anything_is_asked(run):
    with Endpoint(chat_model(reads=True)) as endpoint:
        found = probe(run, endpoint, "--dry-run", "--limit", "20")
        assert endpoint.bodies == []
    assert "early: 20 questions, 60 choices of 5 labels each" in found.output
    assert "hint: 20 questions, 160 replies" in found.output


def test_results_as_json(run):
    with Endpoint(chat_model(reads=True)) as endpoint:
        found = probe(run, endpoint, "--kinds", "early", "--json", "--limit", "20")
    (row,) = json.loads(found.stdout)
    assert row["kind"] == "early"
    assert row["figures"]["all"]["area"]["estimate"]["questions"] == 20


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--kinds", "erly"], "no probe 'erly': did you mean 'early'?"),
        (["--hints", "leekd", "--kinds", "hint"], "--hints: no hint 'leekd'"),
        (["--labels", "likelihood"], "gives no likelihoods"),
        (["-o", "elsewhere"], "leave -o out"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run, more, said):
    with Endpoint(chat_model(reads=True)) as endpoint:
        found = CliRunner().invoke(main, arguments(run, endpoint, *more))
        assert endpoint.bodies == []
    assert found.exit_code == 1
    assert said in found.output


def test_a_run_that_doesnt_name_its_model_asks_for_it(run):
    found = CliRunner().invoke(main, ["probe", str(run)])
    assert found.exit_code == 1
    assert "give --model and --model-args" in found.output


def test_likelihoods_of_a_real_model(tmp_path):
    """The pocket model reads explanations: the last result tells its choice (``hf``, likelihoods)."""
    run = pocket_run(tmp_path / "run", QUESTIONS[:20], explain=perfect)
    model_args = f"pretrained={model_folder()},dtype=float32"
    found = CliRunner().invoke(
        main, ["probe", str(run), "--model", "hf", "--model-args", model_args, "--kinds", "early", "--json"]
    )
    assert found.exit_code == 0, found.output
    (row,) = json.loads(found.stdout)
    assert row["way"].startswith("label likelihoods, by replies begun")
    records = read_probe_records(
        load_run(run).task("pocket_explain").samples_file.parent, "pocket_explain", "early"
    )
    assert sum(one.values["whole_as_replied"] for one in records) >= 18
    assert row["figures"]["all"]["area"]["estimate"]["low"] > 0.1
    assert all(sum(shares.values()) == pytest.approx(1) for one in records for shares in one.values["shares"])


def test_a_run_of_plain_lm_eval_and_of_a_training_says_itself_who_is_asked(run):
    task = load_run(run).task("pocket_explain")
    results = task.samples_file.with_name(f"results_{task.date}.json")
    asked = ["probe", str(run), "--kinds", "early", "--limit", "5"]
    with Endpoint(chat_model(reads=True)) as endpoint:
        given = {"model": "m", "base_url": endpoint.url}
        as_text = ",".join(f"{key}={value}" for key, value in given.items())
        for model_args, seed in ((given, 3), (as_text, None), (as_text, "what is this")):
            config = {"model": "local-chat-completions", "model_args": model_args, "random_seed": seed}
            config["gen_kwargs"] = {"max_gen_toks": 50}
            told = json.loads(results.read_text()) if results.is_file() else {}
            results.write_text(json.dumps({**told, "config": config}))
            found = CliRunner().invoke(main, asked)
            assert found.exit_code == 0, found.output
        assert summaries(run)["early"].replies == 5
        assert endpoint.bodies
        reckoned = CliRunner().invoke(
            main, ["probe", str(run), "--kinds", "hint", "--limit", "5", "--dry-run"]
        )
        assert "40 replies" in reckoned.output
        assert "at most 2000 to write" in reckoned.output
    results.write_text(json.dumps({**told, "config": {}}))
    nobody = CliRunner().invoke(main, asked)
    assert nobody.exit_code == 1
    assert "nothing tells which model wrote this run; give --model" in nobody.output


def test_a_process_of_its_own_finds_the_same(run, monkeypatch):
    """What vLLM is probed in; here with an endpoint."""
    with Endpoint(chat_model(reads=True)) as endpoint:
        model_args = f"model=m,base_url={endpoint.url}"
        request = ProbeRequest(("early",), model="local-chat-completions", model_args=model_args, limit=5)
        here = run_probes(plan(load_run(run), request))
        monkeypatch.setattr(probe_run, "VLLM", request.model)
        named = replace(load_run(run), name="theirs/run")
        there = run_probes(plan(named, request))
        monkeypatch.setattr(probe_run, "VLLM", "vllm")
    assert [one.figures for one in there] == [one.figures for one in here]
    assert here[0].replies == 5
    records = read_probe_records(named.task("pocket_explain").samples_file.parent, "pocket_explain", "early")
    assert {record.run for record in records} == {"theirs/run"}
