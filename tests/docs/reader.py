"""What a reader of the pages has: a folder with runs, a judge, a model and a training, and programs to call.

The programs are the real ones. ``CHANGES`` and the functions below it are all that is done otherwise than the
pages say, so that a block takes a second here and needs neither a hub nor a GPU.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml
from packaging.requirements import Requirement

from anchor_train.cli import main as anchor_train
from judges import load_judge
from lm_eval_tasks.cli import main as anchor_eval
from lm_eval_tasks.harness.generation import MANIFEST, GenerationRequest
from lm_eval_tasks.people.statements import draw
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.pocket.writer import written
from lm_eval_tasks.records import Question, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.runs.judging.rescoring import score_task
from lm_eval_tasks.tasks.load import find_tasks, load_task
from tests.anchor_train.scripted_run import verdict
from tests.docs.blocks import ROOT, Block, block_with
from tests.docs.shell import Done, Program, as_there, command
from tests.judges.endpoint import GOOD_FORM, Endpoint, Handler
from tests.lm_eval_tasks.lean_lm_eval import lean
from tests.lm_eval_tasks.pocket_runs import TASK, Explainer, write_pocket_run
from tests.lm_eval_tasks.run_folders import reply, write_run

FIXTURES = ROOT / "tests" / "fixtures"
CHANGES = (
    # Every server of a page is one server here, at a port of its own.
    (r"https?://(localhost:\d+|gateway\.example|NAME\.openai\.azure\.com)(?=/)", "{endpoint}"),
    # An engine starts in half a minute; what is asked of it is the same.
    (r"--model vllm\b", "--model hf"),
)
"""Pattern -> what stands in its place in a block that is run."""
EXPLAINERS = (
    Explainer("m1", slips=0.1, bare=0.1),
    Explainer("m2", slips=0.2, bare=0.3),
    Explainer("base", slips=0.4, bare=0.9),
)
COPIES = {"old": "base", "new": "m1", "mine": "m1", "plain": "m2"}
"""Runs that pages name by what they are to a reader -> the run that they hold."""


def make_folder(folder: Path, model: Path) -> Path:
    """The folder, with everything that some page says its reader has.

    Args:
        folder: Made here.
        model: A language model that answers in the form of the tasks.
    """
    runs = folder / "runs"
    runs.mkdir(parents=True)
    task = load_task(TASK)
    size = {"questions": 40, "samples": 2, "fingerprint": task.fingerprint}
    checkpoints = [Explainer(f"step-{step}", slips=0.4 - step / 2000) for step in (200, 400)]
    with load_judge("pocket-oracle:ground-truth", cache=None) as judge:
        for explainer in (*EXPLAINERS, *checkpoints):
            below = runs / "training" if explainer in checkpoints else runs
            run = write_pocket_run(below, explainer, **size)
            request = GenerationRequest("pocket", "", (TASK,), repeats=2)
            (run / MANIFEST).write_text(json.dumps({"request": asdict(request)}), encoding="utf-8")
            score_task(load_run(run).task(TASK), task, judge, progress=False)
    for name, of in COPIES.items():
        shutil.copytree(runs / of, runs / name)
    shutil.copytree(runs / "base", folder / "baseline")
    _judge(folder)
    for name in ("MODEL", "smollm2", *(f"out/checkpoint-{step}" for step in (200, 400, 600))):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(model)
    _explanations(folder)
    _animals(folder / "animals")
    _training(folder)
    return folder


def _judge(folder: Path) -> None:
    """judge.yaml: it likes calculations with their reasons, which some models give more often than others."""
    replies = [
        {"match": r", so \d", "reply": verdict("EXCELLENT")},
        {"match": r"\d = \d", "reply": verdict("NEEDS IMPROVEMENT")},
        {"reply": verdict("GOOD")},
    ]
    (folder / "script.yaml").write_text(yaml.safe_dump({"replies": replies}), encoding="utf-8")
    (folder / "judge.yaml").write_text("backend: scripted\nreplies: script.yaml\n", encoding="utf-8")


def _explanations(folder: Path) -> None:
    """What others wrote, in the files and under the names that the pages have."""
    texts = ("Water expands when it freezes.", "Because it is cold.")
    rows = [{"question": "Why does ice float on water?", "why": text} for text in texts]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "theirs.jsonl").write_text(lines, encoding="utf-8")
    table = "".join(f"{row['question']},{row['why']}\n" for row in rows)
    (folder / "theirs.csv").write_text(f"question,why\n{table}", encoding="utf-8")
    people = f"q,first,second\n{rows[0]['question']},Ice is light.,Its molecules stand apart.\n"
    (folder / "people.csv").write_text(people, encoding="utf-8")


def _animals(folder: Path) -> None:
    """The data set of one's own that docs/tasks.md describes, from its blocks."""
    folder.mkdir()
    page = "docs/tasks.md"
    (folder / "test.jsonl").write_text(block_with(page, '"Bats are mammals."').text, encoding="utf-8")
    for name in ("animals_explain", "animals_explain_refined"):
        text = block_with(page, f"task: {name}\n").text
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def _questions(folder: Path) -> Path:
    """A few questions in the layout of AQuA-RAT, which pages train on."""
    folder.mkdir()
    for split, numbers in (("train", range(16)), ("validation", range(100, 103))):
        rows = [
            {
                "question": f"What is {number} + 1?",
                "options": [f"{label}){number + place}" for place, label in enumerate("ABCDE")],
                "rationale": f"{number} and one more is {number + 1}.",
                "correct": "B",
            }
            for number in numbers
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    return folder


def _training(folder: Path) -> None:
    """A finished training, as an earlier version left it, and its base model: see that fixture's own page."""
    shutil.copytree(FIXTURES / "earlier_version" / "training", folder / "my-run")
    shutil.copytree(model_folder(), folder / "pocket-model")
    for adapter in folder.glob("my-run/**/adapter"):
        shutil.copy(model_folder() / "tokenizer.json", adapter)
    for log in folder.glob("my-run/evaluate/*/generate/log"):
        shutil.copytree(log, log.parents[1] / "score" / "log", dirs_exist_ok=True)


_FEW = {"probe": ("--limit", "4"), "audit": ("-n", "5"), "doctor": ("--quick",)}
"""Commands that ask a dozen things of each reply, or import every library -> options that make it less."""


class Reader:
    """Runs blocks in copies of the folder.

    Args:
        original: What ``make_folder`` made.
        endpoint: The server of ``CHANGES``.
        place: Where copies go.
    """

    def __init__(self, original: Path, endpoint: Endpoint, place: Path) -> None:
        self._original = original
        self._endpoint = endpoint
        self._place = place

    def folder_for(self, block: Block) -> Path:
        """A copy of the folder with the runs that the block names, without what it makes."""
        folder = self._place / re.sub(r"\W+", "-", str(block))
        runs = {"m1", "base", *re.findall(r"runs/([\w-]+)", block.text)}
        trained = "my-run" in block.text

        def left_out(where: str, names: list[str]) -> set[str]:
            if Path(where) == self._original / "runs":
                return set(names) - runs
            return set() if trained else {"my-run", "pocket-model"}

        shutil.copytree(self._original, folder, symlinks=True, ignore=left_out)
        for made in made_by(block.text):
            for path in folder.glob(re.sub(r"\$\w+", "*", made)):
                shutil.rmtree(path)
        with as_there(folder):
            self._before(self.script(block))
        return folder

    def _before(self, script: str) -> None:
        """What a reader who comes to this block has done by then."""
        if "human" in script and "--ratings" not in script:
            self._do("annotate", "runs/m1", "runs/base", "-n", "120", "-o", "page")
            for run in ("runs/m1", "runs/base"):
                self._do("score", run, "--judge", "judge.yaml", "--as", "cheap")
                self._do("score", run, "--ratings", "page/ratings-ann.jsonl")
        if "--checkpoints" in script and "demo_explain" in script:
            shutil.rmtree("runs/base")
            model = ("--model", "hf", "--model-args", "pretrained=MODEL")
            self._do("run", *model, "--tasks", "demo_explain", "--judge", "judge.yaml", "-o", "runs/base")
        if "chromium" in script:
            self._do("leaderboard", "runs/", "--baseline", "base", "-o", "site/")
            Path("docs/figures").mkdir(parents=True)
        if judge := re.search(r'"judge": "([^"]+)", "baseline": "runs/base"', script):
            shutil.rmtree("runs/base")
            _base_of_all_tasks(Path("runs/base"))
            self._do("score", "runs/base", "--judge", judge[1])

    def _do(self, *arguments: str) -> None:
        done = self._anchor_eval(list(arguments))
        assert done.code == 0, done.stderr

    def script(self, block: Block) -> str:
        """The block with ``CHANGES``."""
        text = block.text
        for pattern, instead in CHANGES:
            text = re.sub(pattern, instead.format(endpoint=self._endpoint.url.removesuffix("/v1")), text)
        return text

    def programs(self, block: Block) -> dict[str, Program]:
        """Ours, and those that do nothing in this block."""
        ours: dict[str, Program] = {
            "anchor-eval": self._anchor_eval,
            "anchor-train": self._anchor_train,
            "lm_eval": _lm_eval,
            "pip": _pip,
        }
        return {**ours, **dict.fromkeys(block.but_for, lambda arguments: Done())}

    def _anchor_eval(self, arguments: list[str]) -> Done:
        program = command(anchor_eval)
        name = arguments[0]
        if name == "view":
            return _until_ctrl_c(lambda: program(arguments))
        if name == "run":
            return program([*arguments, *_small(arguments)])
        if name in _FEW:
            return program([*arguments, *_FEW[name]])
        done = program(arguments)
        if name == "annotate":
            _people_rate(Path(arguments[arguments.index("-o") + 1]))
        return done

    def _anchor_train(self, arguments: list[str]) -> Done:
        program = command(anchor_train)
        if arguments[0] == "init" and "--data-dir" not in arguments:
            return program([*arguments, "--data-dir", str(_questions(Path("questions")))])
        if arguments[0] == "publish":  # the base model of this training is a folder, which the hub can't name
            return program([*arguments, "--base-model", "ORG/BASE"])
        run = Path("my-run")
        if arguments[0] == "run" and not (run / "manifest.json").exists():
            # What was set up is planned in full, and trained elsewhere: tests/anchor_train/test_docs.py.
            done = program([*arguments, "--dry-run", "--set", "engine=transformers"])
            if done.code == 0:
                shutil.rmtree(run)
                shutil.copytree(self._original / run, run)
            return program(arguments) if done.code == 0 else done
        return program(arguments)


def made_by(script: str) -> list[str]:
    """What a script makes: what its options for output name, and runs of a training that it begins."""
    options = re.findall(r"(?:\s-o|--output_path|--screenshot)[ =](\S+)", script)
    return [*options, *re.findall(r"anchor-train init (\S+)", script)]


def _base_of_all_tasks(run: Path) -> None:
    """A run of the four tasks on questions of files."""
    for number, spec in enumerate(find_tasks(["self_explanation"])):
        questions = spec.load_questions("test", FIXTURES / "questions" / "original")[:2]
        rows = [
            ScoredQuestion(one, tuple(_chose(one, label) for label in one.labels[:2])) for one in questions
        ]
        date = f"2025-03-0{number + 1}T10-00-00.000000"
        write_run(run, {spec.name: rows}, date=date, judged=False, fingerprint=spec.fingerprint)


def _chose(question: Question, label: str) -> ScoredResponse:
    return replace(reply(None, choice=label), correct=label == question.gold)


def _small(arguments: list[str]) -> list[str]:
    """Two questions and two replies each; questions from files where they would come from the hub."""
    size = ["--limit", "2", *([] if "--repeats" in arguments else ["--repeats", "2"])]
    task = arguments[arguments.index("--tasks") + 1]
    own = "--include-path" in arguments or task in ("demo_explain", "pocket_explain")
    return size if own else [*size, "--data-dir", str(FIXTURES / "questions" / "original")]


def _until_ctrl_c(work: Callable[[], Done]) -> Done:
    """Presses Ctrl-C a moment after the start."""
    timer = threading.Timer(1.0, signal.raise_signal, (signal.SIGINT,))
    timer.start()
    try:
        return work()
    finally:
        timer.join()


def _people_rate(folder: Path) -> None:
    """Ann and Ben rate what the page shows of both runs, and export it into its folder."""
    spec = load_task(TASK)
    shown = draw([load_run(Path("runs") / name) for name in ("m1", "base")], {TASK: spec}, 120)
    with load_judge("judge.yaml", cache=None) as judge:
        rubric = judge.rubric
    scale = list(rubric.scale)
    for place, name in enumerate(("ann", "ben")):
        rows = [
            {
                "set": "page",
                "task": TASK,
                "question": one.question_id,
                "statement": one.id,
                "source": one.source,
                "rubric": rubric.fingerprint,
                "annotator": name.title(),
                "verdicts": {
                    criterion.key: scale[(len(one.explanation) // 40 + place * (number % 3 == 0)) % 5]
                    for criterion in rubric.criteria
                },
                "seconds": 12.5,
                "at": "2026-01-01T10:00:00.000Z",
            }
            for number, one in enumerate(shown)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"ratings-{name}.jsonl").write_text(lines, encoding="utf-8")


def _pip(arguments: list[str]) -> Done:
    """Installs nothing: says whether ours has the extras, and whether the others are among those we name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    known = {Requirement(line).name for line in re.findall(r"^[a-z].*$", constraints, re.M)}
    for word in arguments[1:]:
        if word.startswith("-"):
            continue
        asked = Requirement(re.sub(r"^\.(?=\[)", project["name"], word))
        ours = asked.name == project["name"]
        if not ours and asked.name not in known:
            return Done(1, "", f"pip install {word}: not a library that we know\n")
        if ours and (missing := asked.extras - set(project["optional-dependencies"])):
            return Done(1, "", f"pip install {word}: there is no extra {missing}\n")
    return Done()


def _lm_eval(arguments: list[str]) -> Done:
    """The harness's own command line, with a few questions of files in place of the hub's."""
    from lm_eval.__main__ import cli_evaluate

    given = list(arguments)
    metadata: dict[str, object] = {"repeats": 2}
    if "--metadata" in given:
        place = given.index("--metadata")
        metadata |= json.loads(given[place + 1])
        del given[place : place + 2]
    if "animals" not in given:
        metadata["data_dir"] = str(FIXTURES / "questions" / "original")
    more = ["--limit", "2", "--metadata", json.dumps(metadata)]
    said, told = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, lean(), contextlib.redirect_stdout(said):
        patch.setattr(sys, "argv", ["lm_eval", *given, *more])
        with contextlib.redirect_stderr(told):
            cli_evaluate()
    return Done(0, said.getvalue(), told.getvalue())


def play(number: int, body: dict[str, Any], handler: Handler) -> None:
    """Plays every role that pages give a server: writer of probes, judge, evaluated model, reader."""
    turns = [str(turn["content"]) for turn in body["messages"]]
    whole = "\n".join(turns)
    if (answer := written(turns[-1])) is not None:
        handler.reply(answer)
    elif "EXCELLENT" in whole:
        handler.reply(GOOD_FORM)
    elif "<choice>" in whole:
        label = "ABC"[number % 3]
        handler.reply(f"<explanation>\nOnly {label} is left.\n</explanation>\n<choice>\n{label}\n</choice>")
    else:
        handler.reply("no")
