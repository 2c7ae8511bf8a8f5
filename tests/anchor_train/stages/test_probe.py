"""Stage ``probe`` and the pairs of ``anchor-faithful``, on a tiny model whose replies are scripts."""

from __future__ import annotations

import pytest

from anchor_train.inspection.dry_run import describe
from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.run.stage import StageJob
from anchor_train.stages.judge import read_scored
from anchor_train.stages.pairs import pair_text, read_pairs
from anchor_train.stages.probe import (
    KIND,
    PROBED,
    ProbedReply,
    areas_by_question,
    probe_replies,
    to_probe,
)
from judges.errors import DataError
from judges.storage.files import read_records
from lm_eval_tasks.tasks.load import load_task
from tests.anchor_train.scripted_run import finish_sft, make_run


def test_right_replies_are_probed_and_pairs_say_what_came_of_it(tmp_path, tiny_model, tiny_adapter):
    run = make_run(tmp_path, tiny_model, strategies=["anchor", "anchor-faithful"])
    finish_sft(run, tiny_adapter)
    pipeline = Pipeline(run, run.recipe())
    needs = {stage.key: stage.needs for stage in pipeline.stages}
    assert needs["round-1/anchor-faithful/probe"] == {"scored": "round-1/judge", "adapter": "sft"}
    assert needs["round-1/anchor-faithful/pairs"]["probed"] == "round-1/anchor-faithful/probe"
    planned = {stage.stage: stage.planned for stage in describe(pipeline, {"probe"}).stages}
    assert "after up to 8 parts" in planned["round-1/anchor-faithful/probe"].does
    pipeline.do({"sample", "judge", "consult", "probe", "pairs"})

    folder = run.stage("round-1/anchor-faithful/probe")
    probed = list(read_records(folder / PROBED, ProbedReply.from_json))
    scored = read_scored(run.stage("round-1/judge"))
    asked = to_probe("run", load_task("arc_challenge_explain"), scored)
    assert [(one.question_id, one.sample) for one in probed] == [
        (one.question.id, one.sample) for one in asked
    ]
    assert probed
    right = {(q.question.id, n) for q in scored for n, reply in enumerate(q.responses) if reply.correct}
    assert {(one.question_id, one.sample) for one in probed} <= right
    assert all(one.area is not None and 0 <= one.area <= 1 for one in probed)

    plain, pairs = (read_pairs(run.stage(f"round-1/{name}/pairs")) for name in ("anchor", "anchor-faithful"))
    assert {pair.question_id for pair in plain} <= {pair.question_id for pair in pairs}
    areas = areas_by_question(folder)
    for pair in pairs:
        assert pair.strategy == "anchor-faithful"
        assert pair.why
        assert f"why: {pair.why}" in pair_text(pair)
        known = {n: area for n, area in enumerate(pair.areas) if area is not None}
        assert known == areas.get(pair.question_id, {})
    record = run.manifest().stages["round-1/anchor-faithful/probe"]
    line = KIND.line(record.summary)
    assert line.startswith(f"{sum(one.area > 0 for one in probed)} of {len(probed)} right replies need")


def test_without_a_right_reply_that_has_a_score_there_is_nothing_to_prefer(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, strategies=["anchor-faithful"])
    stage = next(stage for stage in Pipeline(run, run.recipe()).stages if stage.kind == "probe")
    judged = run.stage("round-1/judge")
    judged.mkdir(parents=True)
    (judged / "scored.jsonl").write_text("")
    with pytest.raises(DataError, match="no right reply has a score"):
        probe_replies(StageJob(run, run.recipe(), stage))
