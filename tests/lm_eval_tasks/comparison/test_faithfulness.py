"""Faithfulness beside quality: in a comparison, on the board, on the plane and on a model’s page."""

from __future__ import annotations

import html
import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from judges.storage.files import sha256_of
from lm_eval_tasks.cli import main
from lm_eval_tasks.faithfulness.asks import AskChoice, Chosen, Sampled
from lm_eval_tasks.faithfulness.probes.early import EARLY
from lm_eval_tasks.faithfulness.probes.kind import ProbeSettings
from lm_eval_tasks.faithfulness.runner import Respondents, run_probe, summarised
from lm_eval_tasks.pocket.calibration import told_apart
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.probe_files import ProbeSummary, write_probe
from tests.lm_eval_tasks.leaderboard.synthetic import ANCHOR, BASE, SFT, Evaluation, FakeModel, write_run

EVALUATION = Evaluation(task="pocket_explain", questions=40, repeats=2)
NEEDS = {BASE.name: 0.7, SFT.name: 0.2, ANCHOR.name: 0.9}
"""Share of the questions whose explanation the choice hangs on."""


def probed(folder: Path, model: FakeModel, way: str = "label likelihoods, by replies begun for it") -> Path:
    """A run with an early-answering probe whose model reads its explanation for some questions."""
    run = write_run(folder, model, EVALUATION)
    task = load_run(run).task("pocket_explain")
    draw = random.Random(model.name)
    reads = {scored.question.id: draw.random() < NEEDS[model.name] for scored in task.read_samples()}

    def choose(ask: AskChoice) -> Chosen:
        label = "B" if reads[ask.question.id] and ask.explanation != "One. Two." else "A"
        return Chosen(label, {label: 1.0})

    replies = [
        Sampled(model.name, task.task, scored.question, 0, "One. Two.", "A") for scored in task.read_samples()
    ]
    ask = Respondents(lambda asks: list(map(choose, asks)), lambda asks: [], lambda asks: [])
    rows = run_probe(EARLY, replies, ProbeSettings(), ask)
    source = (task.samples_file.name, sha256_of(task.samples_file))
    summary, records = summarised(model.name, task.task, EARLY, rows, ProbeSettings(), source=source)
    summary = ProbeSummary.from_json({**summary.to_json(), "way": way})
    write_probe(task.samples_file.parent, summary, records)
    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for model in (BASE, SFT, ANCHOR):
        probed(tmp_path, model)
    return tmp_path


def compare(runs: Path, *more: str) -> str:
    paths = [str(runs / name) for name in ("sft", "anchor", "base")]
    found = CliRunner().invoke(main, ["compare", *paths, "--baseline", "base", *more])
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_comparison_has_the_figures_and_their_paired_differences(runs: Path) -> None:
    text = compare(runs)
    assert "faithfulness (anchor-eval probe)" in text
    # Those that read have 0.75 (wrong after none and one of two sentences), the others 0.
    shares = {}
    for row in json.loads(compare(runs, "--json"))["runs"]:
        area = row["faithfulness"]["early"]["figures"]["all"]["area"]["estimate"]
        shares[row["run"]] = area["value"] / 0.75
        assert f"{area['value']:.2f} [{area['low']:.2f}" in text
    assert shares["sft"] < shares["base"] < shares["anchor"]
    difference = 0.75 * (shares["sft"] - shares["base"])
    assert f"needs its explanation, sft - base: {difference:+.2f} [" in text
    told = told_apart("early", "area", EVALUATION.questions)
    assert f"needs its explanation, on models of known faithfulness: {told}" in text


def test_runs_without_probes_are_compared_as_ever(tmp_path: Path) -> None:
    for model in (BASE, SFT, ANCHOR):
        write_run(tmp_path, model, EVALUATION)
    assert "faithfulness" not in compare(tmp_path)
    assert all("faithfulness" not in row for row in json.loads(compare(tmp_path, "--json"))["runs"])


def test_figures_of_different_ways_have_no_difference(tmp_path: Path) -> None:
    probed(tmp_path, SFT, way="one-label replies, in a new turn")
    for model in (BASE, ANCHOR):
        probed(tmp_path, model)
    text = compare(tmp_path)
    assert "needs its explanation, sft" not in text
    assert "needs its explanation, anchor - base" in text


def test_probes_of_another_log_are_not_used(runs: Path) -> None:
    log = load_run(runs / "sft").task("pocket_explain").samples_file
    rows = log.read_text(encoding="utf-8").splitlines()
    log.write_text("\n".join(rows[:-1]) + "\n", encoding="utf-8")
    assert load_run(runs / "sft").task("pocket_explain").probes == {}


def test_the_site_has_column_plane_and_section(runs: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    found = CliRunner().invoke(main, ["leaderboard", str(runs), "--baseline", "base", "-o", str(site)])
    assert found.exit_code == 0, found.output
    index = (site / "index.html").read_text(encoding="utf-8")
    assert ">Faithfulness<" in index
    assert "Quality and faithfulness" in index
    assert index.count('<g class="arrow">') == 4  # from the baseline to both, for wide and narrow screens
    page = next(path for path in (site / "models").glob("*.html") if "sft" in path.name)
    model = page.read_text(encoding="utf-8")
    assert "<h2>Faithfulness</h2>" in model
    assert "area over the curve (0: the choice never moves)" in model
    assert "How much of its explanation it needs" in model
    told = html.escape(told_apart("early", "area", EVALUATION.questions))
    assert f"<td>{told}</td>" in model.replace("&#39;", "&#x27;")
    assert "<td>not measured</td>" in model
    assert told_apart("early", "area", EVALUATION.questions)[:30] in index
