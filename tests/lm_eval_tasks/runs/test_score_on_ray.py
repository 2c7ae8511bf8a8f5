"""``anchor-eval score --executor ray``: the same judgements as without, and nothing said by Ray."""

from __future__ import annotations

import json

import pytest

from benchmarks.kills.victims import write_log
from tests.judges.endpoint import Endpoint
from tests.lm_eval_tasks.test_cli import AnchorEval, anchor_eval
from tests.lm_eval_tasks.test_keys import judge_file

__all__ = ["anchor_eval"]

RAY = ("--executor", "ray", "--workers", 2)


def test_workers_without_ray_are_refused(anchor_eval: AnchorEval) -> None:
    run = write_log(anchor_eval.folder / "run", 8)
    said = anchor_eval("score", run, "--judge", "openai:m@http://localhost:1/v1", "--workers", 2)
    assert said.returncode == 2
    assert "--workers goes with --executor ray" in said.stderr


@pytest.mark.engine
@pytest.mark.timeout(400)
def test_judgements_are_those_of_one_process(anchor_eval: AnchorEval) -> None:
    pytest.importorskip("ray")
    with Endpoint() as endpoint:
        judge = judge_file(anchor_eval.folder, endpoint)
        found = []
        for name, options in (("here", ("--no-cache",)), ("there", ("--no-cache", *RAY))):
            run = write_log(anchor_eval.folder / name, 48)
            done = anchor_eval("score", run, "--judge", judge, "--json", *options)
            assert done.returncode == 0, done.stderr
            assert "ray" not in done.stderr.replace("/", " ").lower().split()
            summary = json.loads(done.stdout)[0]
            assert summary["accounts"]["asked"] == summary["accounts"]["requests"] == 48
            rows = [json.loads(line) for line in next(run.rglob("judgements_*.jsonl")).open()]
            found.append((summary["metrics"], rows))
    assert found[0][0] == found[1][0]
    for here, there in zip(found[0][1], found[1][1], strict=True):
        scores = [[response["score"] for response in row["responses"]] for row in (here, there)]
        assert scores[0] == scores[1]
