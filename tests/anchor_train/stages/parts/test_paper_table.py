"""Table 1 from judged runs, against counting pairs one by one."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from anchor_train.pipeline.pipeline import Pipeline
from anchor_train.stages.evaluate import JUDGEMENTS, beside_of, harness_model, tabulate
from anchor_train.stages.parts.paper_table import Table, table_of
from judges.config import load_judge
from judges.errors import NothingJudgedError
from lm_eval_tasks.records import Response, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.tasks.load import load_task
from tests.anchor_train.scripted_run import make_run, verdict, write_script
from tests.lm_eval_tasks.run_folders import question, write_run

TASK = "arc_challenge_explain"
LEVELS = {"poor": "UNSATISFACTORY", "fair": "SATISFACTORY", "fine": "GOOD", "best": "EXCELLENT"}
# Explanation and choice of two replies to each of three questions; B is right.
BASE = [[("fair", "B"), ("fair", "A")], [("fine", "B"), ("poor", "B")], [("best", "A"), ("fine", "A")]]
BETTER = [[("fine", "B"), ("fair", "B")], [("best", "B"), ("best", "B")], [("best", "B"), ("odd", "C")]]


def judged(folder: Path, replies: list[list[tuple[str, str]]]) -> TaskRun:
    questions = [
        ScoredQuestion(question(number), tuple(_reply(word, choice) for word, choice in of_question))
        for number, of_question in enumerate(replies)
    ]
    write_run(folder, {TASK: questions}, judged=False)
    entries = [{"match": word, "reply": verdict(level)} for word, level in LEVELS.items()]
    script = write_script(folder / "judge.yaml", [*entries, {"reply": "no verdict"}])
    with load_judge(script, cache=None) as judge:
        score_task(load_run(folder).task(TASK), load_task(TASK), judge, name=JUDGEMENTS, progress=False)
    return load_run(folder, judge=JUDGEMENTS).task(TASK)


def _reply(word: str, choice: str) -> ScoredResponse:
    if word == "mute":
        return ScoredResponse(Response("It is so.", None, None, "no_tag", "no_tag"), correct=False)
    text = f"<explanation>{word}</explanation><choice>{choice}</choice>"
    return ScoredResponse(Response(text, word, choice), choice == "B")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Table:
    folder = tmp_path_factory.mktemp("table")
    runs = {"base": judged(folder / "base", BASE), "anchor": judged(folder / "anchor", BETTER)}
    return table_of(runs, "base")


def test_win_tie_and_loss_are_those_of_all_pairs(table):
    rank = {name: place for place, name in enumerate(LEVELS)}
    shares = []
    for own, other in zip(BETTER, BASE, strict=True):
        mine = [rank[word] for word, _ in own if word in rank]
        theirs = [rank[word] for word, _ in other]
        pairs = [(a, b) for a in mine for b in theirs]
        shares.append(
            [sum(a > b for a, b in pairs), sum(a == b for a, b in pairs), sum(a < b for a, b in pairs)]
        )
        shares[-1] = [count / len(pairs) for count in shares[-1]]
    win, tie, loss = (statistics.fmean(column) for column in zip(*shares, strict=True))
    row = table.rows[1]
    assert (row.win, row.tie, row.loss) == pytest.approx((win, tie, loss))
    assert row.margin == pytest.approx(win - loss)
    assert row.margin_low is not None
    assert row.margin_high is not None
    assert row.margin_low <= row.margin <= row.margin_high


def test_accuracy_comes_with_the_spread_over_the_passes(table):
    base, better = table.rows
    assert base.accuracy == pytest.approx(3 / 6)
    assert base.accuracy_spread == pytest.approx(statistics.stdev([2 / 3, 1 / 3]))
    assert better.accuracy == pytest.approx(5 / 6)
    assert (base.win, base.margin) == (None, None)


def test_what_is_unjudged_is_counted(table):
    assert [(row.judged, row.responses) for row in table.rows] == [(6, 6), (5, 6)]


def test_the_table_for_people_cards_and_machines(table):
    text = table.to_text()
    assert "arc_challenge_explain, 3 questions x 2 replies, judge scripted" in text
    assert "50.0 ± 23.6" in text
    assert table.to_markdown().count("\n") == 3
    assert Table.from_json(table.to_json()) == table


NOTHING = [[("mute", ""), ("mute", "")]] * 3
LITTLE = [[("fine", "A"), ("mute", "")], *NOTHING[1:]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, TaskRun]:
    folder = tmp_path_factory.mktemp("runs")
    replies = {"base": NOTHING, "sft": BASE, "anchor": BETTER, "little": LITTLE}
    return {name: judged(folder / name, found) for name, found in replies.items()}


def test_a_base_that_cannot_be_judged_is_said_and_the_comparison_with_sft_stands_beside_it(runs):
    found = table_of({name: runs[name] for name in ("base", "sft", "anchor")}, "base", "sft")
    assert found.compares
    text = found.to_text()
    told = "nothing to compare with base (base: 0 of 6 judged): no question has judged replies of both: sft"
    assert told in text
    assert "against sft" in text
    beside = {row.model: row for row in found.beside_rows}
    alone = table_of({"sft": runs["sft"], "anchor": runs["anchor"]}, "sft")
    assert beside["anchor"].margin == alone.rows[1].margin is not None
    assert beside["anchor"].compared == 3
    assert beside["sft"].margin is None
    assert "nothing to compare with sft" in text, "of the base model"
    assert Table.from_json(found.to_json()) == found
    for line in text.splitlines():
        if line.startswith("| base") or line.startswith("base "):
            assert "-" in line
    markdown = found.to_markdown()
    assert "Against `sft`:" in markdown
    assert "nothing to compare with base" in markdown


def test_a_comparison_on_few_questions_says_on_how_many(runs):
    found = table_of({"base": runs["little"], "anchor": runs["anchor"]}, "base")
    assert found.rows[1].compared == 1
    assert "little to compare with base (base: 1 of 6 judged): anchor on 1 of 3 questions" in found.to_text()


def test_a_table_that_compares_nothing_says_so(runs):
    found = table_of({"base": runs["base"], "sft": runs["sft"]}, "base")
    assert not found.compares
    assert found.why_empty().startswith(
        "no table could be made: no question has judged replies of base and of another model "
        "(judged: base 0 of 6, sft 6 of 6)"
    )


def test_any_model_may_be_the_baseline(runs):
    found = table_of({name: runs[name] for name in ("base", "sft", "anchor")}, "anchor", "base")
    assert [row.margin is None for row in found.rows] == [True, False, True]
    assert "in %, against anchor" in found.to_text()


def test_what_fine_tuning_learnt_is_said_unless_it_is_the_papers(runs):
    models = {"base": runs["sft"], "sft": runs["anchor"]}
    assert "sft.target" not in table_of(models, "base").to_text()
    told = table_of(models, "base", sft_target="rationale").to_text()
    assert "fine-tuning learnt the data set's rationales in the reply's form (sft.target: rationale)" in told


def test_the_run_ends_in_one_line_if_there_is_no_table(tmp_path, tiny_model):
    run = make_run(tmp_path, tiny_model, strategies=["rank"])
    pipeline = Pipeline(run, run.recipe())
    stage = next(stage for stage in pipeline.stages if stage.kind == "table")
    for key in stage.needs.values():
        judged(run.stage(key) / "log", NOTHING)
    run.stage(stage.key).mkdir(parents=True)
    with pytest.raises(NothingJudgedError, match="no table could be made"):
        tabulate(pipeline.job(stage))


@pytest.mark.parametrize(
    ("baseline", "models", "beside"),
    [
        ("base", ["base", "sft", "anchor"], "sft"),
        ("base", ["base", "sft"], None),
        ("sft", ["base", "sft", "anchor"], "base"),
        ("anchor", ["base", "sft", "anchor"], "base"),
    ],
)
def test_what_stands_beside_the_baseline(baseline, models, beside):
    assert beside_of(baseline, models) == beside


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_the_harness_gets_the_model_as_the_recipe_says(tmp_path, tiny_model, engine):
    own = {"max_model_len": 99, "engine_args": {"block_size": 16}} if engine == "vllm" else {}
    run = make_run(tmp_path, tiny_model, engine={"backend": engine, **own})
    recipe = run.recipe(["model.chat_template_kwargs={enable_thinking: false}"])
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 24}', encoding="utf-8")
    kind, arguments = harness_model(recipe, adapter, tmp_path)
    assert arguments["pretrained"] == str(tiny_model)
    assert arguments["chat_template_args"] == {"enable_thinking": False}
    if engine == "vllm":
        assert (kind, arguments["max_model_len"], arguments["max_lora_rank"]) == ("vllm", 99, 32)
        assert arguments["block_size"] == 16
        assert arguments["lora_local_path"] == str(adapter)
    else:
        assert (kind, arguments["peft"]) == ("hf", str(adapter))
    assert "peft" not in harness_model(run.recipe(), None, tmp_path)[1]


def test_a_template_of_the_recipe_reaches_the_harness(tmp_path, tiny_model):
    from transformers import AutoTokenizer

    template = tmp_path / "chat.jinja"
    template.write_text("{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    run = make_run(tmp_path, tiny_model)
    _, arguments = harness_model(run.recipe([f"model.chat_template={template}"]), None, tmp_path)
    assert AutoTokenizer.from_pretrained(arguments["tokenizer"]).chat_template == template.read_text()
