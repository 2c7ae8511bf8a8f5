"""Stage ``consult``: what the consultant wrote, checked before it wins or as the paper has it."""

from __future__ import annotations

import pytest

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.consult import read_arguments
from anchor_train.stages.judge import read_scored
from anchor_train.stages.pairs import read_pairs
from tests.anchor_train.scripted_run import finish_sft, left, make_run, verdict, write_script

TO_PAIRS = {"sample", "judge", "consult", "pairs"}
GOOD = "Reading the letters in order, each number stands for the one that follows its place in the row."
WRONG = "<explanation>A guess at random.</explanation><choice>C</choice>"


def run_with(tmp_path, model, adapter, argument: str, **consultant: object) -> RunFolder:
    """A run in which questions of gold A are never answered right, and every reply is judged good."""
    run = make_run(tmp_path, model, strategies=["anchor"])
    finish_sft(run, adapter)
    write_script(tmp_path / "sampler.yaml", [{"reply": WRONG}])
    write_script(tmp_path / "consultant.yaml", [{"reply": argument}])
    judge = [{"match": "announced", "reply": verdict("NEEDS IMPROVEMENT")}]
    judge += [{"match": "Reading the letters", "reply": verdict("EXCELLENT")}, {"reply": verdict("GOOD")}]
    write_script(tmp_path / "judge.yaml", judge)
    return run


def test_unchecked_whatever_it_writes_wins_as_in_the_paper(tmp_path, tiny_model, tiny_adapter):
    run = run_with(tmp_path, tiny_model, tiny_adapter, "A.")
    assert run.recipe().consultant.check is False
    Pipeline(run, run.recipe()).do(TO_PAIRS)
    pairs = read_pairs(run.stage("round-1/anchor/pairs"))
    assert pairs
    assert {pair.chosen.source for pair in pairs} == {"consultant"}
    assert {pair.chosen.score for pair in pairs} == {None}
    report = run.manifest().stages["round-1/anchor/pairs"].summary
    assert report["consultant"]["score"] is None


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("The answer is A.", "argument_says_too_little"),
        (
            "announced with many words that all say nothing of the matter but fill the line up well",
            "argument_scored_below_all",
        ),
    ],
)
def test_checked_a_poor_argument_gives_no_pair(tmp_path, tiny_model, tiny_adapter, argument, reason):
    run = run_with(tmp_path, tiny_model, tiny_adapter, argument)
    recipe = run.recipe(["consultant.check=true"])
    with pytest.raises(Exception, match=reason.replace("_", " ")):
        Pipeline(run, recipe).do(TO_PAIRS)
    without = left(run.stage("round-1/anchor/pairs") / "without.jsonl")
    never_right = [row for row in without if row["behaviour"] == "consistently_incorrect"]
    assert {row["reason"] for row in never_right} == {reason}


def test_checked_a_good_argument_wins_and_the_report_tells_of_it(tmp_path, tiny_model, tiny_adapter):
    run = run_with(tmp_path, tiny_model, tiny_adapter, GOOD)
    told: list[str] = []
    pipeline = Pipeline(run, run.recipe(["consultant.check=true"]), told.append)
    pipeline.do(TO_PAIRS)
    arguments = read_arguments(run.stage("round-1/consult"))
    assert {argument.score for argument in arguments.values()} == {25}
    scored = read_scored(run.stage("round-1/judge"))
    assert {sample.score for found in scored for sample in found.responses} == {20}
    report = run.manifest().stages["round-1/anchor/pairs"].summary
    assert report["consultant"]["score"] == 25
    assert report["consultant"]["loser_score"] == 20
    assert report["consultant_share"] == 1.0
    text = pipeline.stages and "\n".join(told)
    assert "warning: the consultant wrote 100% of the winners" in text
    summary = run.manifest().stages["round-1/consult"].summary
    assert (summary["judged"], summary["too_little"], summary["cut"]) == (len(arguments), 0, 0)


def test_checking_makes_stale_what_was_unchecked(tmp_path, tiny_model, tiny_adapter):
    run = run_with(tmp_path, tiny_model, tiny_adapter, GOOD)
    Pipeline(run, run.recipe()).do(TO_PAIRS)
    checked = Pipeline(run, run.recipe(["consultant.check=true"]))
    status = {found.stage.key: found for found in checked.status()}["round-1/consult"]
    assert status.state == "stale"
    assert any("consultant.check" in why for why in status.why)
