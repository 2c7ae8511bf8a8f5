"""The code of docs/python.md runs as it stands there, from top to bottom in one session."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from anchor_train.pipeline.pipeline import Pipeline
from judges.errors import ConfigError, DataError
from tests.anchor_train.scripted_run import finish_sft, make_run, verdict
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, BASE, RUBRIC, Evaluation, write_run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "python.md"
TASK = Evaluation(questions=12, repeats=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, tiny_adapter: Path) -> Path:
    """What the page says that its reader has."""
    folder = tmp_path_factory.mktemp("reader")
    for name, model in (("m1", ANCHOR), ("base", BASE)):
        write_run(folder / "runs", replace(model, name=name), TASK)
    script = {"replies": [{"match": "cold", "reply": verdict("GOOD")}, {"reply": verdict("EXCELLENT")}]}
    (folder / "script.yaml").write_text(yaml.safe_dump(script))
    (folder / "judge.yaml").write_text(f"backend: scripted\nreplies: {folder / 'script.yaml'}\n")
    run = make_run(folder / "training", tiny_model)
    finish_sft(run, tiny_adapter)
    Pipeline(run, run.recipe()).do({"sample", "judge", "consult", "pairs"})
    (folder / "my-run").symlink_to(run.path)
    return folder


@pytest.fixture(scope="module")
def session(folder: Path) -> dict[str, Any]:
    """The names of a session in which every block of the page has run."""
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 5
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ANCHOR_CACHE", str(folder / "cache.sqlite"))
        for block in blocks:
            exec(compile(block, str(PAGE), "exec"), names)
    return names


def test_a_judge_gives_outcomes_and_scores(session: dict[str, Any]) -> None:
    assert session["scores"] == [5.0, 4.0]


def test_replies_are_a_frame_and_a_data_set_of_the_same_rows(
    session: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    frame, data = session["frame"], session["data"]
    assert len(frame) == len(data) == len(session["run"].replies) == 24
    assert list(frame.columns) == data.column_names
    judged = frame.dropna(subset=["score"])
    criteria = [criterion.key for criterion in RUBRIC.criteria]
    sums = judged[criteria].map(lambda said: float(RUBRIC.scale[said])).sum(axis=1)
    assert judged["score"].tolist() == pytest.approx(sums.tolist())
    assert (frame["right"] == (frame["choice"] == frame["gold"])).all()
    by = "openai:judge-70b@http://localhost:8000/v1"
    assert repr(session["run"]) == f"run m1 of made/m1: pocket_explain; judged by {by}"


def test_a_comparison_prints_shows_and_becomes_a_frame(session: dict[str, Any]) -> None:
    result = session["result"]
    (row,) = result.to_frame().to_dict("records")
    assert (row["first"], row["second"]) == ("m1", "base")
    assert row["win"] + row["tie"] + row["loss"] == pytest.approx(1)
    assert f"{100 * row['win']:.1f}" in str(result)
    assert f"<td>{row['win']:.3f}</td>" in result._repr_html_()
    p_value = "&lt; 0.001" if row["p_value"] < 0.001 else f"{row['p_value']:.3f}"
    assert f"<td>{p_value}</td>" in result._repr_html_()
    assert result.to_json()["pairs"][0]["overall"]["win"]["value"] == row["win"]
    assert session["site"].index.name == "index.html"


def test_explanations_from_elsewhere_are_judged(
    session: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (row,) = session["theirs"].replies
    assert (row["explanation"], row["right"], row["score"]) == ("Water expands when it freezes.", None, 5.0)


def test_pairs_are_what_trl_trains_on(session: dict[str, Any]) -> None:
    pairs = session["pairs"]
    assert len(pairs) > 0
    for row in pairs:
        assert [turn["role"] for turn in row["prompt"]] == ["system", "user"]
        assert row["chosen"][0]["content"] != row["rejected"][0]["content"]
        assert f"<choice>\n{row['gold']}\n</choice>" in row["chosen"][0]["content"].replace(
            f"<choice>{row['gold']}</choice>", f"<choice>\n{row['gold']}\n</choice>"
        )


def test_trls_own_trainer_takes_the_pairs(session: dict[str, Any], tiny_model: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model),
        args=DPOConfig(
            str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=2,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            disable_tqdm=True,
        ),
        train_dataset=session["pairs"],
        processing_class=AutoTokenizer.from_pretrained(tiny_model),
    )
    trainer.train()
    first = trainer.state.log_history[0]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-4), "policy and reference are still one"
    assert first["grad_norm"] > 0


def test_what_is_not_there_is_named(folder: Path) -> None:
    from anchor_train.api import load_pairs
    from lm_eval_tasks.api import compare, score

    (folder / "panel.yaml").write_text("panel: [judge.yaml, openai:other]\n")
    with pytest.raises(ConfigError, match=r"a panel: anchor-eval score .*m1 --judge"):
        score(folder / "runs" / "m1", folder / "panel.yaml")
    with pytest.raises(DataError, match=r"no pairs of strategy 'ancor'.*anchor"):
        load_pairs(folder / "my-run", "ancor")
    with pytest.raises(ConfigError, match="at least two runs"):
        compare(folder / "runs" / "m1")
