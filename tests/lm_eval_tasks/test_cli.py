"""``anchor-eval`` as users call it, on real run folders."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from judges.storage.cache import ReplyCache
from lm_eval_tasks.cli import COMMANDS
from lm_eval_tasks.records import Response, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import load_run
from tests.calling import call
from tests.lm_eval_tasks.run_folders import DATE, RUBRIC, level, question, write_run

TASK = "aqua_rat_explain"
REPOSITORY = Path(__file__).parents[2]


class AnchorEval:
    """Calls the command in a folder of its own, with a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return call("anchor-eval", *arguments, folder=self.folder, environment=self._environment())

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Starts it in a process of its own, and doesn't wait."""
        return subprocess.Popen(
            [sys.executable, "-m", "lm_eval_tasks", *map(str, arguments)],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _environment(self) -> dict[str, str]:
        return {key: value for key, value in os.environ.items() if key != "OPENAI_API_KEY"} | {
            "PYTHONPATH": str(REPOSITORY),
            "ANCHOR_CACHE": str(self.folder / "cache.sqlite"),
            "HF_HUB_OFFLINE": "1",
        }

    def stored_replies(self) -> int:
        """How many replies the cache holds, 0 before there is one."""
        path = self.folder / "cache.sqlite"
        if not path.exists():
            return 0
        with ReplyCache(path) as cache:
            return cache.stats().replies

    def refused(self, *arguments: object) -> str:
        """Calls it, and sees to it that it fails with one line and without a traceback."""
        done = self(*arguments)
        assert done.returncode in (1, 2), done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("Error: ")
        return last


@pytest.fixture
def anchor_eval(tmp_path: Path) -> AnchorEval:
    return AnchorEval(tmp_path)


def write_judge(path: Path, *levels: str) -> str:
    """A scripted judge that gives these verdicts on all criteria, one after the other."""
    names = [criterion.name for criterion in RUBRIC.criteria]
    replies = ["\n".join(f"{name}: {verdict}" for name in names) for verdict in levels]
    path.write_text(json.dumps({"replies": [{"reply": replies}]}))
    return f"scripted:{path}"


def make_run(
    path: Path, *, better: float, seed: int, judged: bool = True, questions: int = 40, task: str = TASK
) -> Path:
    dice = random.Random(seed)
    rows = []
    for number in range(questions):
        place = random.Random(number).gauss(2 - better, 1)
        samples = tuple(
            level(
                min(4, max(0, round(place + dice.gauss(0, 0.7)))),
                choice=dice.choice("AB"),
                words=dice.randint(5, 30),
            )
            for _ in range(3)
        )
        rows.append(ScoredQuestion(question(number), samples))
    fingerprint = "0123" if task == TASK else "4567"
    return write_run(path, {task: rows}, judged=judged, fingerprint=fingerprint)


def test_help_loads_nothing_heavy_and_knows_every_command() -> None:
    code = (
        "import sys, click; from click.testing import CliRunner; from lm_eval_tasks.cli import main; "
        "print(CliRunner().invoke(main, ['--help']).output); "
        "heavy = {'torch', 'lm_eval', 'openai', 'numpy', 'scipy', 'datasets'} & set(sys.modules); "
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(anchor_eval: AnchorEval, command: str) -> None:
    done = anchor_eval(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"anchor-eval {command}" in done.stdout


def test_an_unknown_command_is_answered_with_the_nearest(anchor_eval: AnchorEval) -> None:
    assert "did you mean 'compare'" in anchor_eval.refused("comapre")


def test_tasks_path_is_where_the_task_files_are(anchor_eval: AnchorEval) -> None:
    assert (Path(anchor_eval("tasks-path").stdout.strip()) / f"{TASK}.yaml").is_file()


def test_compare_prints_rates_with_intervals(anchor_eval: AnchorEval) -> None:
    make_run(anchor_eval.folder / "m1", better=0.8, seed=1)
    make_run(anchor_eval.folder / "base", better=0, seed=2, questions=42)
    done = anchor_eval("compare", "m1", "base", "--details")
    assert done.returncode == 0, done.stderr
    assert "m1 against base" in done.stdout
    assert "left out: 2 questions that only base has (q40, q41)" in done.stdout
    found = json.loads(anchor_eval("compare", "m1", "base", "--json").stdout)
    (pair,) = found["pairs"]
    task = pair["tasks"][TASK]
    assert task["win"]["value"] + task["tie"]["value"] + task["loss"]["value"] == pytest.approx(1)
    assert 0 < task["margin"]["low"] < task["margin"]["value"] < task["margin"]["high"]
    assert task["only_second"] == ["q40", "q41"]
    assert found["settings"]["confidence"] == 0.95
    again = json.loads(anchor_eval("compare", "m1", "base", "--json").stdout)
    assert again == found


def test_refined_replies_stand_for_the_plain_ones_where_that_is_asked_for(anchor_eval: AnchorEval) -> None:
    make_run(anchor_eval.folder / "plain", better=0, seed=1)
    make_run(anchor_eval.folder / "refining", better=1, seed=2, task=f"{TASK}_refined")
    line = anchor_eval.refused("compare", "refining", "plain")
    assert "--refined refining lets its refined replies stand for the plain ones" in line
    done = anchor_eval("compare", "refining", "plain", "--refined", "refining")
    assert done.returncode == 0, done.stderr
    assert f"refining: refined replies stand for the plain ones of {TASK}" in done.stdout
    assert "different prompts" not in done.stdout
    found = json.loads(anchor_eval("compare", "refining", "plain", "--refined", "refining", "--json").stdout)
    assert found["pairs"][0]["tasks"][TASK]["margin"]["value"] > 0
    assert "'x' is none of the runs" in anchor_eval.refused("compare", "plain", "refining", "--refined", "x")
    assert "no refined replies" in anchor_eval.refused("compare", "plain", "refining", "--refined", "plain")


def test_compare_rates_and_groups_several_runs(anchor_eval: AnchorEval) -> None:
    for name, better in (("a", 1.5), ("b", 0.0), ("c", 0.0)):
        make_run(anchor_eval.folder / name, better=better, seed=ord(name))
    found = json.loads(anchor_eval("compare", "a", "b", "c", "--json").stdout)
    assert found["ratings"][0]["name"] == "a"
    assert [set(group) for group in found["groups"]] == [{"a"}, {"b", "c"}]
    against = json.loads(anchor_eval("compare", "a", "b", "c", "--baseline", "b", "--json").stdout)
    assert [(pair["first"], pair["second"]) for pair in against["pairs"]] == [("a", "b"), ("c", "b")]
    assert {rating["name"]: rating["value"] for rating in against["ratings"]}["b"] == 1000


def test_score_judges_a_log_and_a_second_run_asks_nothing(anchor_eval: AnchorEval) -> None:
    run = make_run(anchor_eval.folder / "m1", better=0, seed=1, judged=False)
    judge = write_judge(anchor_eval.folder / "judge.yaml", "GOOD", "EXCELLENT", "SATISFACTORY")
    (first,) = json.loads(anchor_eval("score", run, "--judge", judge, "--json").stdout)
    assert (first["responses"], first["judged"], first["coverage"]) == (120, 120, 1.0)
    assert first["accounts"]["asked"] > 0
    (second,) = json.loads(anchor_eval("score", run, "--judge", judge, "--json").stdout)
    assert (second["accounts"]["asked"], second["accounts"]["cached"]) == (0, 120)
    assert second["metrics"] == first["metrics"]
    table = anchor_eval("compare", run, make_run(anchor_eval.folder / "base", better=-2, seed=2)).stdout
    assert "warning: aqua_rat_explain: different judge (scripted:judge.yaml: m1; scripted:" in table


@pytest.mark.parametrize("verdicts", [("GOOD",), ()])
def test_nothing_to_judge_is_exit_code_5(anchor_eval: AnchorEval, verdicts: tuple[str, ...]) -> None:
    unreadable = Response("No idea.", None, None, "no_tag", "no_tag")
    if verdicts:  # a judge that would answer, and nothing that it could be asked
        asked = [ScoredQuestion(question(k), (ScoredResponse(unreadable, False),) * 2) for k in range(3)]
        run = write_run(anchor_eval.folder / "m1", {TASK: asked}, judged=False)
        sentence = "no explanation of 6 replies can be read (6 no_tag)"
    else:
        run = make_run(anchor_eval.folder / "m1", better=0, seed=1, judged=False, questions=3)
        sentence = "none of 9 explanations got a verdict; the first: unparsable"
    judge = write_judge(anchor_eval.folder / "judge.yaml", *verdicts or ("what do I know",))
    done = anchor_eval("score", run, "--judge", judge)
    assert done.returncode == 5
    assert done.stderr.splitlines()[-1].startswith(f"Error: nothing could be judged: {sentence}")
    assert "0 of" not in done.stderr
    assert bool(verdicts) == ("judged: 0 of 6 responses (6 no_tag)" in done.stdout)


def test_a_budget_ends_scoring_cleanly_and_a_second_run_goes_on(anchor_eval: AnchorEval) -> None:
    run = make_run(anchor_eval.folder / "m1", better=0, seed=1, judged=False)
    judge = write_judge(anchor_eval.folder / "judge.yaml", "GOOD", "EXCELLENT")
    planned = anchor_eval("score", run, "--judge", judge, "--dry-run")
    (calls,) = re.findall(rf"{TASK}: (\d+) of 120 to ask", planned.stderr)
    assert (planned.returncode, planned.stdout, anchor_eval.stored_replies()) == (0, "", 0)
    stopped = anchor_eval("score", run, "--judge", judge, "--max-calls", 5)
    assert (stopped.returncode, stopped.stdout, anchor_eval.stored_replies()) == (3, "", 5)
    last = stopped.stderr.splitlines()[-1]
    assert last.startswith("Error: the next call may break the budget of 5 calls (so far 5 calls")
    assert not list(run.rglob("judgements_*"))
    assert "needs prices" in anchor_eval.refused("score", run, "--judge", judge, "--max-cost", 1)
    rest = int(calls) - 5
    (summary,) = json.loads(anchor_eval("score", run, "--judge", judge, "--max-calls", rest, "--json").stdout)
    assert (summary["accounts"]["asked"], summary["coverage"]) == (rest, 1.0)


def test_judgements_of_two_judges_lie_side_by_side_and_are_compared(anchor_eval: AnchorEval) -> None:
    run = make_run(anchor_eval.folder / "m1", better=0, seed=1, judged=False)
    base = make_run(anchor_eval.folder / "base", better=0, seed=2, judged=False)
    one = write_judge(anchor_eval.folder / "one.yaml", "GOOD", "EXCELLENT")
    other = write_judge(anchor_eval.folder / "other.yaml", "GOOD", "EXCELLENT", "GOOD")
    anchor_eval("score", run, "--judge", one)
    anchor_eval("score", base, "--judge", one)
    text = anchor_eval("score", run, "--judge", other).stdout
    assert "alpha" in text
    assert "AC1" in text
    assert anchor_eval("score", run, "--judge", one, "--as", "again", "--no-cache").returncode == 0
    assert "known: again" in anchor_eval.refused("compare", run, base, "--judge", "third")
    assert "different judge" not in anchor_eval("compare", run, base, "--judge", "one").stdout
    refusal = anchor_eval.refused("score", run, "--judge", other, "--as", "again")
    assert "keep both with --as NAME, or replace them with --force" in refusal
    assert anchor_eval("score", run, "--judge", other, "--as", "again", "--force").returncode == 0


def test_judgements_in_two_forms_lie_side_by_side_and_are_not_compared(anchor_eval: AnchorEval) -> None:
    run = make_run(anchor_eval.folder / "m1", better=0, seed=1, judged=False, questions=3)
    other = make_run(anchor_eval.folder / "m2", better=0, seed=2, judged=False, questions=3)
    lines = write_judge(anchor_eval.folder / "lines.yaml", "GOOD")
    (anchor_eval.folder / "letters.yaml").write_text("replies: [{reply: B B B B B}]")
    letters = ["--judge", f"scripted:{anchor_eval.folder / 'letters.yaml'}", "--verdict-form", "compact"]
    (in_full,) = json.loads(anchor_eval("score", run, "--judge", lines, "--as", "mine", "--json").stdout)
    (compact,) = json.loads(anchor_eval("score", run, *letters, "--json").stdout)
    assert compact["name"].endswith("-compact")
    assert compact["judge"]["verdict_form"] == "compact"
    assert compact["metrics"]["explanation_score"] == in_full["metrics"]["explanation_score"]
    assert "keep both with --as" in anchor_eval.refused("score", run, *letters, "--as", "mine")
    assert anchor_eval("score", other, *letters, "--as", "mine").returncode == 0
    refused = anchor_eval.refused("compare", run, other, "--judge", "mine")
    assert "different rubrics or verdict forms" in refused
    assert "compact form" in refused


def test_a_scoring_run_that_was_killed_asks_only_for_the_rest(anchor_eval: AnchorEval) -> None:
    run = make_run(anchor_eval.folder / "m1", better=0, seed=1, judged=False, questions=20)
    judge = anchor_eval.folder / "judge.yaml"
    write_judge(judge, "GOOD", "EXCELLENT")
    (entry,) = json.loads(judge.read_text())["replies"]
    judge.write_text(json.dumps({"replies": [entry | {"delay": 0.05}]}))
    process = anchor_eval.start("score", run, "--judge", f"scripted:{judge}")
    while anchor_eval.stored_replies() < 5:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    process.kill()
    process.wait()
    stored = anchor_eval.stored_replies()
    assert not list(run.rglob("judgements_*"))
    (summary,) = json.loads(anchor_eval("score", run, "--judge", f"scripted:{judge}", "--json").stdout)
    accounts = summary["accounts"]
    assert accounts["cached"] >= stored >= 5
    assert accounts["asked"] + accounts["cached"] + accounts["copies"] == 60
    assert summary["coverage"] == 1.0


def test_judgements_of_a_log_that_changed_are_not_used(anchor_eval: AnchorEval) -> None:
    run = make_run(anchor_eval.folder / "m1", better=0, seed=1, judged=False)
    anchor_eval("score", run, "--judge", write_judge(anchor_eval.folder / "judge.yaml", "GOOD"))
    make_run(anchor_eval.folder / "m1", better=0, seed=3, judged=False)
    assert "has no judgements" in anchor_eval.refused("compare", run, run / "model-a")


def test_power_says_what_a_run_could_show(anchor_eval: AnchorEval) -> None:
    found = json.loads(anchor_eval("power", "--questions", 254, "--json").stdout)
    assert 0 < found["smallest_margin_at_best"] < found["smallest_margin_at_worst"] < 0.2
    runs = [make_run(anchor_eval.folder / name, better=0, seed=ord(name)) for name in "ab"]
    options = [part for run in runs for part in ("--from", run)]
    measured = json.loads(anchor_eval("power", "--questions", 254, *options, "--json").stdout)
    assert measured["measured_on"] == 40
    assert measured["with_twice_the_samples"] < measured["smallest_margin"]


def test_cache_counts_and_clears(anchor_eval: AnchorEval) -> None:
    assert "no replies yet" in anchor_eval("cache", "stats").stdout
    run = make_run(anchor_eval.folder / "m1", better=0, seed=1, judged=False, questions=3)
    anchor_eval("score", run, "--judge", write_judge(anchor_eval.folder / "judge.yaml", "GOOD"))
    stored = json.loads(anchor_eval("cache", "stats", "--json").stdout)["replies"]
    assert stored > 0
    assert "explanation_quality 1 (" in anchor_eval("cache", "stats").stdout
    assert f"{stored} replies deleted" in anchor_eval("cache", "clear", "--yes").stdout
    assert json.loads(anchor_eval("cache", "stats", "--json").stdout)["replies"] == 0


def no_samples(folder: Path) -> list[object]:
    (folder / "m2").mkdir()
    return ["score", "m2", "--judge", "scripted:x.yaml"]


def other_task(folder: Path) -> list[object]:
    log = folder / "m2" / "model" / f"samples_hellaswag_{DATE}.jsonl"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"doc": {"ctx": "x"}, "resps": [["-1.0"]], "filtered_resps": ["-1.0"]}))
    return ["score", "m2", "--judge", "scripted:x.yaml"]


def unreadable_yaml(folder: Path) -> list[object]:
    (folder / "judge.yaml").write_text("backend: [openai\n")
    return ["score", "m1", "--judge", "judge.yaml"]


def unknown_key(folder: Path) -> list[object]:
    (folder / "judge.yaml").write_text("backend: openai\nmodel: m\nbase_ulr: http://localhost:1/v1\n")
    return ["score", "m1", "--judge", "judge.yaml"]


def no_points(folder: Path) -> list[object]:
    write_judge(folder / "replies.yaml", "GOOD")
    criterion = "{key: a, name: A, question: Good}"
    (folder / "rubric.yaml").write_text(
        f"name: mine\nscale: {{GOOD: 1, BAD: }}\ncriteria: [{criterion}]\nprompt: {{system: s, user: u}}\n"
    )
    return ["score", "m1", "--judge", "scripted:replies.yaml", "--rubric", "rubric.yaml"]


def no_folder(folder: Path) -> list[object]:
    (folder / "file").write_text("")
    return [
        "run",
        "--model",
        "hf",
        "--model-args",
        "pretrained=m",
        "--tasks",
        "demo_explain",
        "-o",
        "file/m2",
    ]


def empty_data(folder: Path) -> list[object]:
    (folder / "test.jsonl").write_text("")
    model = ["--model", "hf", "--model-args", "pretrained=m", "-o", "m2"]
    return ["run", *model, "--tasks", TASK, "--data-dir", "test.jsonl"]


BAD_INPUT: dict[str, tuple[list[object] | Callable[[Path], list[object]], str]] = {
    "unknown task": (
        ["run", "--model", "hf", "--tasks", "aqua_explain", "-o", "m2"],
        f"no task 'aqua_explain': did you mean '{TASK}'?",
    ),
    "task not in the run": (["score", "m1", "--judge", "scripted:x", "--task", "aqua"], "no samples of task"),
    "no such run": (["compare", "m1", "m9"], "m9: no such folder"),
    "one run": (["compare", "m1"], "at least two runs"),
    "no samples": (no_samples, "m2: no samples log"),
    "samples of another task": (other_task, "only of hellaswag"),
    "judge without model": (["score", "m1", "--judge", "openai:"], "the model is missing"),
    "judge without anything": (["score", "m1", "--judge", "gpt"], "expected BACKEND:MODEL"),
    "endpoint refused": (["score", "m1", "--judge", "openai:m@http://127.0.0.1:9/v1"], "127.0.0.1:9"),
    "missing key": (["score", "m1", "--judge", "openai:gpt-4o"], "OPENAI_API_KEY"),
    "no judge file": (["score", "m1", "--judge", "none.yaml"], "none.yaml: can't be read"),
    "unreadable YAML": (unreadable_yaml, "judge.yaml: not valid YAML"),
    "unknown YAML key": (unknown_key, "unknown key 'base_ulr' (did you mean 'base_url'?"),
    "rubric without points": (no_points, "verdict 'BAD' has no points"),
    "empty data file": (empty_data, "test.jsonl"),
    "address without http": (["score", "m1", "--judge", "openai:m@localhost:9/v1"], "needs http://"),
    "judge without file": (["score", "m1", "--judge", "scripted:"], "the file is missing"),
    "run folder can't be made": (no_folder, "file/m2: Not a directory"),
    "judge in metadata": (
        ["run", "--model", "hf", "--tasks", TASK, "-o", "m2", "--metadata", '{"judge": "openai:m"}'],
        "--metadata: 'judge' has an option of its own here: --judge",
    ),
    "unknown baseline": (["compare", "m1", "m1/model-a", "--baseline", "b"], "no run 'b' for a baseline"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line(anchor_eval: AnchorEval, name: str) -> None:
    make_run(anchor_eval.folder / "m1", better=0, seed=1, questions=3)
    arguments, message = BAD_INPUT[name]
    given = arguments(anchor_eval.folder) if callable(arguments) else arguments
    assert message in anchor_eval.refused(*given)


def test_run_generates_frees_the_model_and_judges(anchor_eval: AnchorEval, talking_model: Path) -> None:
    judge = write_judge(anchor_eval.folder / "judge.yaml", "GOOD")
    model = ["--model", "hf", "--model-args", f"pretrained={talking_model}", "--device", "cpu"]
    both = "demo_explain,pocket_explain"
    size = ["--tasks", both, "--limit", 2, "--repeats", 2, "--gen-kwargs", "max_gen_toks=60"]
    size += ["--reply-form", "asked"]
    arguments = ["run", *model, *size, "--judge", judge, "-o", "m1"]
    first = anchor_eval(*arguments, "--json")
    assert first.returncode == 0, first.stderr
    assert "demo_explain: 2 questions x 2 samples = 4 generations" in first.stderr
    results = json.loads(first.stdout)
    for task in results["tasks"]:
        assert (task["questions"], task["responses"]) == (2, 4)
        assert sum(task["unreadable"].values()) + task["judged"] == 4
    accuracies = [task["metrics"]["acc"]["value"] for task in results["tasks"]]
    assert results["mean"]["acc"]["value"] == sum(accuracies) / 2
    again = anchor_eval(*arguments)
    assert "generated before with these settings" in again.stderr
    assert "mean of 2 tasks" in again.stdout
    other = ["run", "--model", "hf", "--model-args", "pretrained=other", *size, "-o", "m1"]
    assert "holds a run of hf" in anchor_eval.refused(*other)
    (anchor_eval.folder / "empty").mkdir()
    no_model = anchor_eval.refused(
        "run", "--model", "hf", "--model-args", "pretrained=./empty", *size, "-o", "m2"
    )
    assert "the harness failed" in no_model
    assert "Traceback (most recent call last)" in (anchor_eval.folder / "m2" / "log.txt").read_text()


def test_show_pages_through_replies_and_says_when_there_is_none(anchor_eval: AnchorEval) -> None:
    asked = [ScoredQuestion(question(k), (level(0), level(2, choice="A"))) for k in range(2)]
    write_run(anchor_eval.folder / "run", {TASK: asked})
    done = anchor_eval("show", "run", "--only", "wrong")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("chose A, wrong") == 2
    assert "chose B" not in done.stdout
    rows = anchor_eval("show", "run", "--only", "top", "-n", "3", "--json").stdout.splitlines()
    assert [json.loads(row)["reply"]["score"] for row in rows] == [25, 25, 15]
    assert "no reply is unreadable" in anchor_eval("show", "run", "--only", "unreadable").stderr
    assert "exclude each other" in anchor_eval.refused("show", "run", "--only", "top", "--only", "bottom")


def test_rows_that_cannot_be_read_bar_nobody_from_the_others_and_are_counted(
    anchor_eval: AnchorEval, tiny_model: Path, fork_server: None
) -> None:
    judge = write_judge(anchor_eval.folder / "judge.yaml", "GOOD")
    choices = {"label": ["A", "B"], "text": ["one", "two"]}
    good = {"question": "Which?", "choices": choices, "answerKey": "B"}
    rows = [json.dumps({**good, "id": k}) for k in range(3)]
    rows[1:1] = [json.dumps({**good, "id": 3, "answerKey": "C"}), "{"]
    (anchor_eval.folder / "test.jsonl").write_text("\n".join(rows))
    model = ["--model", "hf", "--model-args", f"pretrained={tiny_model}", "--device", "cpu"]
    size = ["--repeats", 2, "--gen-kwargs", "max_gen_toks=8", "--reply-form", "asked"]
    arguments = [
        "run",
        *model,
        "--tasks",
        "arc_challenge_explain",
        "--data-dir",
        "test.jsonl",
        *size,
        "-o",
        "m1",
    ]
    assert "line 3: not JSON" in anchor_eval.refused(*arguments)
    done = anchor_eval(*arguments, "--skip-unreadable-rows")
    assert done.returncode == 0, done.stderr
    assert "arc_challenge_explain: 3 questions x 2 samples" in done.stderr
    named = "2 rows of the data left out that can't be read: test.jsonl, line 2: 'answerKey' = 'C'"
    assert named in done.stderr
    assert named in done.stdout
    (results,) = (anchor_eval.folder / "m1").rglob("results_*.json")
    metadata = json.loads(results.read_text())["configs"]["arc_challenge_explain"]["metadata"]
    assert metadata["counts"]["rows_left_out"] == 2
    assert metadata["counts"]["left_out"][0].startswith("test.jsonl, line 2: 'answerKey' = 'C'")
    told = named
    (note,) = load_run(anchor_eval.folder / "m1").notes
    assert note.startswith(f"arc_challenge_explain: {told}")
    assert f"note: {told}" in anchor_eval("score", "m1", "--judge", judge).stdout
