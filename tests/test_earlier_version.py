"""What an earlier version wrote is read as before: runs, judgements, caches, trainings, recipes, task files.

Everything goes through the two command lines: nothing here depends on where modules are.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from judges.models.precision import fast_bfloat16
from tests.calling import call

FIXTURES = Path(__file__).resolve().parent / "fixtures" / "earlier_version"
MODEL_DATE = 1767225600  # 2026-01-01T00:00:00Z
ORACLE = "pocket-oracle-ground-truth-explanation-quality"
TOKENS = ("prompt_tokens", "completion_tokens", "cached_prompt_tokens")
STAGES = {
    *("questions", "sft", "round-1/sample", "round-1/judge", "round-1/consult"),
    *("round-1/rank/pairs", "round-1/rank/dpo", "round-1/anchor/pairs", "round-1/anchor/dpo"),
    *("round-1/aft-detached/groups", "round-1/aft-detached/align"),
    *("round-1/staple/discover", "round-1/staple/cluster", "round-1/staple/train"),
    *(
        f"evaluate/{model}/{step}"
        for model in ("base", "sft", "rank", "anchor", "aft-detached", "staple")
        for step in ("generate", "score")
    ),
    "evaluate/table",
}

pytestmark = pytest.mark.timeout(900)


def anchor_eval(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``anchor-eval``, which must succeed."""
    return succeeding("anchor-eval", folder, *arguments)


def anchor_train(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """``anchor-train``, which must succeed."""
    return succeeding("anchor-train", folder, *arguments)


def succeeding(command: str, folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Calls one of the two commands in a folder."""
    environment = os.environ | {"ANCHOR_CACHE": str(folder / "replies.sqlite")}
    done = call(command, *arguments, folder=folder, environment=environment)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def originals(fork_server: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All artifacts as they were written, with the model that they name. Read only."""
    folder = tmp_path_factory.mktemp("earlier") / "all"
    shutil.copytree(FIXTURES, folder)
    model = folder / "pocket-model"
    shutil.copytree(anchor_train(folder, "pocket", "path").stdout.strip(), model)
    for file in model.iterdir():
        os.utime(file, (MODEL_DATE, MODEL_DATE))
    for adapter in folder.glob("training/**/adapter"):
        shutil.copy(model / "tokenizer.json", adapter)
    for log in folder.glob("training/evaluate/*/generate/log"):
        shutil.copytree(log, log.parents[1] / "score" / "log", dirs_exist_ok=True)
    return folder


@pytest.fixture
def work(originals: Path, tmp_path: Path) -> Path:
    """A copy of them for one test."""
    shutil.copytree(originals, tmp_path / "work")
    return tmp_path / "work"


def contents(folder: Path) -> dict[str, bytes]:
    """Path -> content of all files, but for locks."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".lock" and file.name != ".lock"
    }


def flat(settings: dict[str, Any], above: str = "") -> dict[str, str]:
    """Dotted name -> value, in words, of every setting."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        inner = isinstance(value, dict) and value
        found |= flat(value, f"{above}{key}.") if inner else {f"{above}{key}": repr(value)}
    return found


def judged_rows(path: Path) -> list[Any]:
    """Questions with their judged replies, but for whether a judgement came from the cache.

    Tokens that a backend didn't tell were zeros in the earlier version; now they are null.
    """
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for judgement in (response["judgement"] for row in rows for response in row["responses"]):
        if judgement is not None:
            judgement["cached"] = False
            if judgement["prompt_tokens"] in {0, None}:
                judgement |= dict.fromkeys(TOKENS)
    return rows


def figures(text: str) -> dict[str, float]:
    """The figures of a comparison, without the last digits; no intervals, whose method may change."""
    found = json.loads(text)
    figures = {}
    for run in found["runs"]:
        figures |= {f"{run['run']} {name}": run[name]["value"] for name in ("accuracy", "score")}
    for pair in found["pairs"]:
        for task, rates in pair["tasks"].items():
            for name in ("win", "tie", "loss"):
                figures[f"{pair['first']} {pair['second']} {task} {name}"] = rates[name]["value"]
    return {name: round(value, 9) for name, value in figures.items()}


# --- evaluation


def test_compare_gives_the_numbers_that_it_gave(work: Path) -> None:
    done = anchor_eval(work, "compare", "runs/cooler", "runs/base", "--judge", ORACLE, "--json")
    before = figures((work / "compare.json").read_text(encoding="utf-8"))
    assert len(before) == 7
    assert figures(done.stdout) == before


def test_compare_reads_replies_that_refine(work: Path) -> None:
    compared = ("compare", "runs/cooler", "runs/base", "--judge", ORACLE, "--refined", "cooler")
    done = anchor_eval(work, *compared)
    assert "refined replies stand for the plain ones of pocket_explain" in done.stdout


def test_the_leaderboard_shows_old_runs_and_the_models_of_an_old_training(work: Path) -> None:
    made = ("--figures", "none", "--json", "-q")
    # That version could make no site of runs of which fewer than two had all tasks: one task is left.
    for path in (work / "runs").rglob("*_pocket_explain_refined_*"):
        path.unlink()
    shutil.rmtree(work / "training" / "evaluate" / "staple")
    anchor_eval(work, "leaderboard", "runs", "--judge", ORACLE, "--baseline", "base", "-o", "site", *made)
    page = (work / "site" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("base", "cooler", "pocket_explain"))
    anchor_eval(work, "leaderboard", "training", "--training", "training", "-o", "trained", *made)
    page = (work / "trained" / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in ("base", "sft", "rank", "anchor", "aft-detached"))


JUDGES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "by computation": ("base", ("--judge", "pocket-oracle:ground-truth"), ORACLE),
    "in letters": (
        "base",
        ("--judge", "pocket-oracle:ground-truth", "--verdict-form", "compact"),
        f"{ORACLE}-compact",
    ),
    "a local model": (
        "base",
        ("--judge", "transformers:pocket-model"),
        "transformers-pocket-model-explanation-quality",
    ),
    "a file of replies": ("base", ("--judge", "judge.yaml", "--as", "by-script"), "by-script"),
    # Nobody listens at its address any more.
    "an endpoint": (
        "cooler",
        ("--judge", "endpoint.yaml"),
        "openai-served-judge-http-127.0.0.1-8099-v1-explanation-quality",
    ),
}


@pytest.mark.parametrize("judge", JUDGES)
def test_score_finds_every_reply_in_the_old_cache(work: Path, judge: str) -> None:
    run, arguments, name = JUDGES[judge]
    log = work / "runs" / run / "pocket-model"
    before = {path.name: judged_rows(path) for path in log.glob(f"judgements_*_{name}.jsonl")}
    assert before
    summaries = json.loads(anchor_eval(work, "score", f"runs/{run}", *arguments, "--json").stdout)
    assert len(summaries) == len(before)
    for summary in summaries:
        assert summary["name"] == name
        accounts = summary["accounts"]
        assert (accounts["requests"], accounts["asked"]) == (0, 0)
        assert accounts["cached"] + accounts["copies"] == summary["judged"] == summary["responses"] == 6
    assert {path.name: judged_rows(path) for path in log.glob(f"judgements_*_{name}.jsonl")} == before


def test_judgements_that_were_lost_come_back_from_the_cache(work: Path) -> None:
    assert not list((work / "runs" / "cooler").rglob("judgements_*_by-script.*"))
    scored = ("score", "runs/cooler", "--judge", "judge.yaml", "--as", "by-script", "--json")
    summaries = json.loads(anchor_eval(work, *scored).stdout)
    assert [summary["accounts"]["asked"] for summary in summaries] == [0, 0]
    assert [summary["judged"] for summary in summaries] == [6, 6]


def test_the_cache_lists_the_judges_that_filled_it(work: Path) -> None:
    found = json.loads(anchor_eval(work, "cache", "stats", "--json").stdout)
    assert {row["backend"] for row in found["judges"]} == {
        "pocket-oracle:ground-truth",
        "scripted:script-one",
        "transformers:pocket-model",
        "openai:served-judge@http://127.0.0.1:8099/v1",
    }
    assert found["replies"] == found["with_verdict"] > 0


def test_a_run_that_was_generated_is_not_generated_again(work: Path) -> None:
    model = ("--model", "hf", "--model-args", "pretrained=pocket-model,dtype=float32", "--device", "cpu")
    size = ("--tasks", "pocket_explain", "--limit", 3, "--repeats", 2)
    judge = ("--judge", "pocket-oracle:ground-truth", "-o", "runs/base", "--json")
    done = anchor_eval(work, "run", *model, *size, *judge)
    assert "generated before with these settings" in done.stderr
    (task,) = json.loads(done.stdout)["tasks"]
    assert (task["judged"], task["accounts"]["asked"]) == (6, 0)


def test_a_task_file_of_the_users_own_is_still_run(work: Path) -> None:
    model = ("--model", "hf", "--model-args", "pretrained=pocket-model,dtype=float32", "--device", "cpu")
    task = ("--include-path", "animals", "--tasks", "animals_explain", "--limit", 1, "--repeats", 1)
    done = anchor_eval(work, "run", *model, *task, "--gen-kwargs", "max_gen_toks=8", "-o", "m", "--json")
    assert [found["task"] for found in json.loads(done.stdout)["tasks"]] == ["animals_explain"]
    initialised = ("--model", "pocket-model", "--task", "animals/animals_explain.yaml")
    anchor_train(work, "init", "new", *initialised)
    assert "draws 2 questions" in anchor_train(work, "run", "new", "--dry-run").stdout


# --- training


def test_status_finds_every_stage_finished_and_none_stale(work: Path) -> None:
    found = json.loads(anchor_train(work, "status", "training", "--json").stdout)
    assert found["next"] is None
    states = {row["stage"]: (row["state"], row["why"]) for row in found["stages"]}
    assert states == {stage: ("finished", []) for stage in STAGES}
    manifest = json.loads((work / "training" / "manifest.json").read_text())
    assert {row["stage"]: row["summary"] for row in found["stages"]} == {
        key: stage["summary"] for key, stage in manifest["stages"].items()
    }
    assert "everything is finished" in anchor_train(work, "status", "training").stdout


def test_run_does_nothing_again(work: Path) -> None:
    before = contents(work / "training")
    planned = anchor_train(work, "run", "training", "--dry-run")
    assert "at most 0 completions in all" in planned.stdout
    done = anchor_train(work, "run", "training")
    told = [line for line in done.stderr.splitlines() if line.partition(":")[0] in STAGES]
    assert sorted(told) == sorted(f"{stage}: finished" for stage in STAGES)
    after = contents(work / "training")
    # Written at every run, with the settings that this version has beside the earlier ones.
    used_before, used_now = (yaml.safe_load(found.pop("resolved.yaml")) for found in (before, after))
    assert flat(used_before).items() <= flat(used_now).items()
    assert used_now["reply_form"] == "asked"  # as this run began, not the default of today
    assert after == before


def test_retrying_asks_nothing_where_nothing_failed(work: Path) -> None:
    done = anchor_train(work, "run", "training", "--retry-failed")
    assert "asking again" not in done.stderr
    assert "started" not in done.stderr


SHOWN = {
    "questions": "questions/questions.jsonl",
    "sft": "sft/examples.jsonl",
    "sample": "round-1/sample/replies.jsonl",
    "judge": "round-1/judge/scored.jsonl",
    "consult": "round-1/consult/arguments.jsonl",
    "round-1/anchor/pairs": "round-1/anchor/pairs/pairs.jsonl",
    "round-1/rank/pairs": "round-1/rank/pairs/pairs.jsonl",
    "round-1/anchor/dpo": "round-1/anchor/dpo/examples.jsonl",
    "groups": "round-1/aft-detached/groups/groups.jsonl",
    "align": "round-1/aft-detached/align/examples.jsonl",
    "discover": "round-1/staple/discover/discoveries.jsonl",
    "train": "round-1/staple/train/examples.jsonl",
}


@pytest.mark.parametrize("stage", SHOWN)
def test_show_reads_what_each_stage_made(originals: Path, stage: str) -> None:
    shown = anchor_train(originals, "show", "training", "--stage", stage, "-n", 100, "--json")
    made = (originals / "training" / SHOWN[stage]).read_text(encoding="utf-8").splitlines()
    assert len(json.loads(shown.stdout)) == len(made) > 0


def test_show_prints_the_pairs_of_both_strategies_and_the_constitution(originals: Path) -> None:
    text = anchor_train(originals, "show", "training", "--stage", "pairs").stdout
    assert "### round-1/rank/pairs" in text
    assert "### round-1/anchor/pairs" in text
    constitution = anchor_train(originals, "show", "training", "--stage", "cluster", "-n", 9).stdout
    assert "### round-1/staple/cluster" in constitution


def test_another_setting_makes_only_the_stages_stale_that_read_it(originals: Path) -> None:
    changed = ("status", "training", "--set", "dpo.beta=0.2", "--json")
    found = json.loads(anchor_train(originals, *changed).stdout)
    stale = {row["stage"]: row["why"] for row in found["stages"] if row["state"] == "stale"}
    assert stale == {f"round-1/{name}/dpo": ["dpo.beta: 0.1 -> 0.2"] for name in ("rank", "anchor")}


@pytest.mark.skipif(
    fast_bfloat16(), reason="dtype auto was float32 for that run; here it is bfloat16, in which others judge"
)
def test_the_judges_replies_of_a_training_run_are_found_in_its_own_cache(work: Path) -> None:
    manifest = work / "training" / "manifest.json"
    known = json.loads(manifest.read_text())
    summary = known["stages"].pop("round-1/judge")["summary"]
    manifest.write_text(json.dumps(known))
    scored = work / "training" / "round-1" / "judge" / "scored.jsonl"
    before = judged_rows(scored)
    scored.unlink()
    anchor_train(work, "judge", "training")
    again = json.loads(manifest.read_text())["stages"]["round-1/judge"]["summary"]
    assert again["accounts"]["asked"] == 0
    assert again["judged"] == summary["judged"] == 40
    assert judged_rows(scored) == before


def test_an_adapter_is_exported(work: Path) -> None:
    anchor_train(work, "export", "training", "-o", "adapter", "--form", "adapter", "--model", "anchor")
    assert (work / "adapter" / "adapter_model.safetensors").is_file()


def test_the_recipe_that_init_wrote_is_accepted(work: Path) -> None:
    done = anchor_train(work, "run", "initialised", "--dry-run", "--set", "questions.limit=20")
    assert "round-1/anchor/dpo" in done.stdout
    assert "missing" in done.stdout
    assert sorted(path.name for path in (work / "initialised").iterdir()) == ["recipe.yaml"]
