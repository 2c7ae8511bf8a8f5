"""Evaluation that broke off: what a model had written by then is taken up again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from anchor_train.pipeline.plan import plan
from anchor_train.run.stage import StageJob
from anchor_train.stages.evaluate import LOG, generate
from lm_eval_tasks.runs.under_way import REPLIES
from tests.anchor_train.scripted_run import make_run


def written(job: StageJob) -> list[list[str]]:
    """The replies to each question, as the harness logged them."""
    (log,) = (job.folder / LOG).rglob("samples_*.jsonl")
    return [row["resps"][0] for row in map(json.loads, log.read_text().splitlines())]


def test_an_evaluation_that_broke_off_asks_for_the_rest(tmp_path: Path, tiny_model: Path) -> None:
    run = make_run(tmp_path, tiny_model)
    (stage,) = [stage for stage in plan(run.recipe()) if stage.key == "evaluate/base/generate"]
    run.stage(stage.key).mkdir(parents=True, exist_ok=True)
    job = StageJob(run, run.recipe(), stage, "")
    summary = generate(job).summary
    with closing(sqlite3.connect(job.folder / REPLIES)) as replies:
        assert replies.execute("SELECT count(*) FROM replies").fetchone()[0] == summary["replies"]
        replies.execute("DELETE FROM replies WHERE id % 2")
        # What is there is taken as it is: nobody asks for it again.
        replies.execute("UPDATE replies SET text = 'kept'")
        replies.commit()
    assert generate(job).summary == summary
    texts = [text for texts in written(job) for text in texts]
    assert texts.count("kept") == summary["replies"] // 2
    assert all(texts)
