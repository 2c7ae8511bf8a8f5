"""Rubrics that show the choice, the right answer or a reference, through the commands that judge."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from judges.rubrics.load import load_rubric
from judges.rubrics.rubric_files import BUILT_IN
from judges.settings import load_yaml
from lm_eval_tasks.audit.kinds import order
from lm_eval_tasks.audit.plan import plan_of
from lm_eval_tasks.cli import main
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.tasks.load import load_task
from tests.lm_eval_tasks.run_folders import question, reply, write_run

TOLD = load_rubric("explanation_quality_right_answer")
TASK = "aqua_rat_explain"


def verdicts(verdict: str) -> str:
    return "\n".join(f"{criterion.name}: {verdict}" for criterion in TOLD.criteria)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs of twenty questions, one mostly right and one mostly wrong, with the same words throughout."""
    monkeypatch.setenv("ANCHOR_CACHE", str(tmp_path / "cache.sqlite"))
    monkeypatch.chdir(tmp_path)
    for name, choices in (("good", "BBBC"), ("bad", "AACB")):
        rows = [
            ScoredQuestion(question(k), tuple(reply(None, choice=choice) for choice in choices))
            for k in range(24)
        ]
        write_run(tmp_path / name, {TASK: rows}, judged=False)
    told = r"<right_answer>\nB\) four\n</right_answer>\n<choice>\nB\) four\n</choice>\n<explanation>\nbecause"
    untold = r"^<question>(?:(?!right_answer)(?s:.))*$"
    script = [
        {"match": told, "reply": verdicts("EXCELLENT")},
        {"match": untold, "reply": verdicts("SATISFACTORY")},
        {"reply": verdicts("UNSATISFACTORY")},
    ]
    (tmp_path / "judge.yaml").write_text(yaml.safe_dump({"replies": script}), encoding="utf-8")
    return tmp_path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


JUDGE = ("--judge", "scripted:judge.yaml")
BY = (*JUDGE, "--rubric", TOLD.name)


def test_a_judge_that_is_told_the_right_answer_goes_by_it(folder: Path) -> None:
    done = call("score", "good", *BY, "--json")
    assert done.exit_code == 0, done.output
    (summary,) = json.loads(done.stdout)
    assert summary["judge"]["shows"] == ["choice", "right_answer"]
    assert summary["judge"]["rubric_fingerprint"] == TOLD.fingerprint
    assert summary["accounts"]["asked"] == 48, "the same words for another choice are asked about once more"
    scores = {
        (sample.correct, sample.score)
        for scored in load_run("good").task(TASK).read()
        for sample in scored.responses
    }
    assert scores == {(True, 25), (False, 0)}
    text = call("score", "good", *BY).stdout
    assert "explanation_quality_right_answer 1, shown the choice and the right answer" in text


def test_without_such_a_rubric_no_judge_is_told(folder: Path) -> None:
    done = call("score", "good", *JUDGE, "--json")
    (summary,) = json.loads(done.stdout)
    assert "shows" not in summary["judge"]
    assert summary["accounts"]["asked"] == 24, "choices that nobody is shown don't make another prompt"
    scores = {one.score for scored in load_run("good").task(TASK).read() for one in scored.responses}
    assert scores == {15}


def test_a_gate_and_an_audit_go_by_the_same_rubric(folder: Path) -> None:
    gate = call("gate", "bad", "--baseline", "good", "--margin", "-0.02", *BY)
    assert gate.exit_code == 1, gate.output
    # By a judge that isn't told, all explanations are as good.
    assert call("gate", "bad", "--baseline", "good", "--margin", "-0.9", *JUDGE).exit_code == 0
    asked = ("--kinds", "discrimination", "-n", 24, "--json")
    report = json.loads(call("audit", "good", *BY, *asked).stdout)
    assert report["rubric"] == "explanation_quality_right_answer 1, shown the choice and the right answer"


def test_a_question_turned_round_is_shown_with_its_own_right_answer(folder: Path) -> None:
    run = load_run("good")
    plan = plan_of([run], {TASK: load_task(TASK)}, TOLD, 12)
    turned = [probe for probe in order.probes(plan) if probe.variant == order.CHOICES]
    assert turned
    for probe in turned:
        before, after = probe.sample.statement, probe.statement
        assert (before.right_answer, after.right_answer) == ("B) four", "B) four")
        places = {"A) two": "C) two", "B) four": "B) four", "C) five": "A) five"}
        assert after.choice == places[str(before.choice)]
        assert f"{after.choice}\n" in after.question + "\n"


def own(folder: Path, shows: str) -> Path:
    values: dict[str, Any] = load_yaml(BUILT_IN / "explanation_quality.yaml")
    user = f"{{{{ question }}}}<because>{{{{ {shows} }}}}</because>{{{{ explanation }}}}"
    values |= {"name": f"by_{shows}", "shows": [shows], "prompt": {**values["prompt"], "user": user}}
    path = folder / f"{shows}.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def test_open_questions_are_judged_beside_a_reference_where_they_have_one(folder: Path) -> None:
    rows = [{"q": "Why is the sky blue?", "why": "Air.", "good": "Short wavelengths are scattered more."}]
    (folder / "theirs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    script = [{"match": "<because>Short wave", "reply": verdicts("GOOD")}, {"reply": verdicts("EXCELLENT")}]
    (folder / "judge.yaml").write_text(yaml.safe_dump({"replies": script}), encoding="utf-8")
    given = ("--explanations", "theirs.jsonl", "--question-field", "q", "--explanation-field", "why", *JUDGE)
    for shows, called in (("right_answer", "the right answer"), ("reference", "a reference explanation")):
        refused = call("score", f"new-{shows}", *given, "--rubric", own(folder, shows))
        assert refused.exit_code == 1
        (line,) = [line for line in refused.stderr.splitlines() if line.startswith("Error: ")]
        assert f"rubric by_{shows} shows the judge {called}, and there is none to the question" in line
        assert "Why is the sky blue?" in line
    told = call("score", "beside", *given, "--reference-field", "good", "--rubric", folder / "reference.yaml")
    assert told.exit_code == 0, told.output
    (scored,) = load_run("beside").task("theirs_explain").read()
    assert [one.score for one in scored.responses] == [20]
    # A folder that was made before there were references is still known for what it is.
    assert call("score", "plain", *given).exit_code == 0
    (results,) = (folder / "plain").rglob("results_*.json")
    assert "reference" not in re.sub(r"reference_field", "", results.read_text())
    differing = [*rows, {**rows[0], "good": "It mirrors the sea."}]
    (folder / "theirs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in differing))
    refused = call("score", "two", *given, "--reference-field", "good")
    assert "another reference than before for question" in refused.stderr


def test_rationales_of_a_data_set_are_references(folder: Path, shared_data: Path) -> None:
    questions = load_task(TASK).load_questions("validation", shared_data)[:3]
    rows = [
        ScoredQuestion(one, (replace(reply(None, choice="A"), correct=one.gold == "A"),)) for one in questions
    ]
    write_run(folder / "real", {TASK: rows}, judged=False)
    first = re.escape(str(questions[0].reference).split("\n")[0][:30])
    script = [{"match": f"<because>{first}", "reply": verdicts("GOOD")}, {"reply": verdicts("EXCELLENT")}]
    (folder / "judge.yaml").write_text(yaml.safe_dump({"replies": script}), encoding="utf-8")
    done = call("score", "real", *JUDGE, "--rubric", own(folder, "reference"))
    assert done.exit_code == 0, done.output
    scored = list(load_run("real").task(TASK).read())
    assert [one.responses[0].score for one in scored] == [20, 25, 25]
    # Logs of before there were references still are logs.
    old = write_run(folder / "old", {TASK: [ScoredQuestion(question(1), (reply(None),))]}, judged=False)
    refused = call("score", old, *JUDGE, "--rubric", folder / "reference.yaml")
    assert "a reference explanation, and there is none to the question" in refused.stderr


def test_people_rate_blind_whatever_the_rubric(folder: Path) -> None:
    refused = call("annotate", "good", "-n", 8, "-o", "rating", "--rubric", TOLD.name)
    assert refused.exit_code == 1
    assert "shows the choice and the right answer, and people rate blind" in refused.stderr
    assert not (folder / "rating").exists()
