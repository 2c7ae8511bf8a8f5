"""Training a real instruct model, from ``init`` to the evaluation: shown the form, it gives pairs.

The judge is a script: what is shown here is that a real model's replies can be read, paired, trained on and
evaluated in one form; what training is worth, and what a judge of this size is worth, is measured elsewhere
(docs/real_model.md).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from anchor_train.cli import main
from anchor_train.records import PreferenceExample
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.evaluate import LOG
from anchor_train.stages.form import form_of
from anchor_train.stages.pairs import read_pairs
from anchor_train.stages.parts.training import EXAMPLES
from anchor_train.stages.sample import read_samples
from judges.storage.files import read_records
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.judging.scoring import read_replies
from tests.anchor_train.scripted_run import ARGUMENT, verdict, write_script

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not os.environ.get("ANCHOR_REAL_MODEL"),
        reason="takes six minutes on two cores: set ANCHOR_REAL_MODEL=1",
    ),
]
QUESTIONS = Path(__file__).resolve().parents[2] / "lm_eval_tasks" / "data" / "test.jsonl"
TRAINED, EVALUATED = 4, 2
SETTINGS = (
    *("reply_form=shown+held", "engine={backend: transformers, batch_size: 12}", "model.dtype=float32"),
    *("sampler.n=2", "sampler.max_tokens=110", "consultant.max_tokens=50", "consultant.check=false"),
    *("sft.max_steps=1", "sft.lora.r=4", "dpo.max_steps=1", "dpo.sample_every=null"),
    *("sft.optimiser.per_device_batch_size=1", "dpo.optimiser.per_device_batch_size=1"),
    *("evaluate.n=2", "evaluate.max_tokens=110", "evaluate.split=test"),
)


def test_from_init_to_the_evaluation_of_a_real_model(real_model: Path, tmp_path: Path) -> None:
    rows = QUESTIONS.read_text(encoding="utf-8").splitlines(keepends=True)
    data = tmp_path / "data"
    data.mkdir()
    (data / "train.jsonl").write_text("".join(rows[:TRAINED]), encoding="utf-8")
    (data / "test.jsonl").write_text("".join(rows[TRAINED : TRAINED + EVALUATED]), encoding="utf-8")
    levels = [verdict(level) for level in ("EXCELLENT", "GOOD", "SATISFACTORY")]
    judge = write_script(tmp_path / "judge.yaml", [{"reply": levels, "order": "seeded"}])
    consultant = write_script(tmp_path / "consultant.yaml", [{"reply": ARGUMENT}])
    folder = tmp_path / "run"
    settings = [*SETTINGS, f"judge={judge}", f"evaluate.judge={judge}", f"consultant.backend={consultant}"]

    def call(*arguments: object) -> str:
        found = CliRunner().invoke(main, [str(argument) for argument in arguments])
        assert found.exit_code == 0, found.stderr[-3000:]
        return found.stdout

    call("init", folder, "--model", real_model, "--task", "demo_explain", "--data-dir", data)
    call("run", folder, "--save-set", *(part for setting in settings for part in ("--set", setting)))

    run = RunFolder.open(folder)
    form = form_of(run, run.recipe())
    assert form is not None
    assert (form.examples, form.held) == (2, True)
    samples = read_samples(run.stage("round-1/sample"))
    replies = [
        reply
        for s in samples
        for reply in read_replies(s.question, [c.text for c in s.completions]).responses
    ]
    assert sum(reply.response.readable for reply in replies) >= len(replies) / 2
    pairs = read_pairs(run.stage("round-1/anchor/pairs"))
    assert pairs
    trained_on = list(read_records(run.stage("round-1/anchor/dpo") / EXAMPLES, PreferenceExample.from_json))
    assert [turn.role for turn in trained_on[0].prompt].count("assistant") == form.examples
    for model in ("base", "sft", "anchor"):
        task = load_run(run.stage(f"evaluate/{model}/generate") / LOG).task("demo_explain")
        assert task.reply_form == str(form)
    table = json.loads((run.stage("evaluate/table") / "table.json").read_text())
    assert {row["model"] for row in table["rows"]} >= {"base", "sft", "anchor"}
    assert table["beside"] == "sft"
    assert all(row["margin"] is not None for row in table["rows"] if row["model"] != "base")
    assert "answered by anchor" in call("show", folder, "--stage", "evaluate/anchor", "-n", "1")
    call("export", folder, "-o", tmp_path / "merged", "--form", "merged")
    card = (tmp_path / "merged" / "README.md").read_text(encoding="utf-8")
    assert "greedily, it writes the adapter's very" in card
