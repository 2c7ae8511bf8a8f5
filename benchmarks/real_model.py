"""A real instruct model on real questions: what can be read of its replies, and what training does to them.

    python -m tests.real_model smollm2                                   # make the model's folder
    python -m benchmarks.real_model smollm2 --data ../shared/data -o work                       # both parts
    python -m benchmarks.real_model smollm2 --data ../shared/data -o work --only forms --engine vllm

``forms``: runs in the reply forms ``asked``, ``shown`` and ``shown+held`` on OpenBookQA and ARC-Challenge.
``training``: one ``anchor-train run`` on OpenBookQA, base -> SFT -> Rank and Anchor, with its table, what
each stage took, and how far its judge, which is the model itself, tells right explanations from wrong ones.

Prints Markdown; commands and their output go to stderr. Done work in ``-o`` isn't done again.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.evaluate import LOG
from anchor_train.stages.parts.paper_table import Table
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import TaskRun, load_run
from lm_eval_tasks.runs.reply_account import account
from lm_eval_tasks.stats.estimation.estimates import Estimate, means
from lm_eval_tasks.stats.estimation.intervals import Bounds

TASKS = ("openbookqa_explain", "arc_challenge_explain")
FORMS = ("asked", "shown", "shown+held")
SPLIT = "validation"
TRAINED_ON = "openbookqa_explain"
STRATEGIES = ("anchor", "rank")


def main() -> None:
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    print(f"{datetime.date.today()}, {_machine()}; {options.engine}, {options.dtype}\n", flush=True)
    if options.only in (None, "forms"):
        forms(options)
    if options.only in (None, "training"):
        training(options)


def forms(options: argparse.Namespace) -> None:
    """Runs every form on every task and prints a table of them."""
    print("| task | form | replies | explanation | choice | accuracy (95% interval) | guessing | s |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    for task in options.tasks:
        for form in options.forms:
            folder = options.output / "forms" / f"{task}-{form.replace('+', '-').replace(':', '')}"
            seconds = _command(
                options,
                *("lm_eval_tasks", "run", "--model", "hf" if options.engine == "transformers" else "vllm"),
                *("--model-args", _model_args(options), "--tasks", task, "--split", SPLIT),
                *("--data-dir", options.data, "--limit", options.limit, "--repeats", 4, "--reply-form", form),
                *("--gen-kwargs", f"max_gen_toks={options.max_tokens}", "-o", folder),
                *(("--batch-size", options.engine_batch) if options.engine == "transformers" else ()),
            )
            run = load_run(folder).task(task)
            found = account(run.read())
            assert found is not None
            read = [1 - sum(lost.values()) / found.replies for lost in (found.explanations, found.choices)]
            low, high = (
                found.guessing + (end or 0.0) for end in (found.above_guessing.low, found.above_guessing.high)
            )
            print(
                f"| {task} | {form} | {found.replies} | {read[0]:.2f} | {read[1]:.2f} "
                f"| {found.accuracy:.2f} [{low:.2f}, {high:.2f}] | {found.guessing:.2f} | {seconds:.0f} |",
                flush=True,
            )


def training(options: argparse.Namespace) -> None:
    """One run of anchor-train with the model as its own judge."""
    folder = options.output / "training"
    if not (folder / "recipe.yaml").exists():
        _command(
            options,
            *("anchor_train", "init", folder, "--model", options.model, "--task", TRAINED_ON),
            *("--data-dir", options.data),
        )
    settings = [
        f"strategies=[{', '.join(STRATEGIES)}]",
        f"engine={_engine(options)}",
        f"model.dtype={options.dtype}",
        f"questions.limit={options.train}",
        f"sampler.n={options.samples}",
        f"sampler.max_tokens={options.max_tokens}",
        f"consultant.max_tokens={options.max_tokens}",
        f"evaluate.split={SPLIT}",
        f"evaluate.limit={options.limit}",
        f"evaluate.max_tokens={options.max_tokens}",
        *("evaluate.n=4", "dpo.sample_every=null"),
        *options.set,
    ]
    memory = _Memory()
    _command(
        options,
        *("anchor_train", "run", folder, *(part for text in settings for part in ("--set", text))),
        watch=memory,
    )
    run = RunFolder.open(folder)
    table = Table.from_json(json.loads((run.stage("evaluate/table") / "table.json").read_text()))
    print(f"\n{table.to_markdown()}\n")
    print("| stage | s | most memory of a process, MiB |\n|---|---|---|")
    for key, record in run.manifest().stages.items():
        used = memory.peaks.get(key)
        print(f"| {key} | {record.seconds:.0f} | {used / 2**20 if used else float('nan'):.0f} |")
    print("\n| model | judged | P(right one scores higher) | all criteria alike | most common score |")
    print("|---|---|---|---|---|")
    for name in ("base", "sft", *STRATEGIES):
        print(judge_row(name, load_run(run.stage(f"evaluate/{name}/score") / LOG).task(TRAINED_ON)))


def judge_row(name: str, run: TaskRun) -> str:
    """What the judge's verdicts on one model's replies tell of the judge."""
    questions = list(run.read())
    judged = [reply for question in questions for reply in question.answered if reply.score is not None]
    if not judged:
        return f"| {name} | 0 | | | |"
    told = [share for question in questions if (share := _tells_right(question)) is not None]
    alike = sum(len(set((reply.verdicts or {}).values())) == 1 for reply in judged)
    common = Counter(reply.score for reply in judged).most_common(1)[0][1]
    tells = (
        f"{_interval(means(told, Bounds(0.0, 1.0))[0].estimate())} ({len(told)} questions)" if told else ""
    )
    return f"| {name} | {len(judged)} | {tells} | {alike / len(judged):.2f} | {common / len(judged):.2f} |"


def _tells_right(question: ScoredQuestion) -> float | None:
    """Share of the pairs (right reply, wrong reply) in which the right one's score is higher; ties half."""
    right = [reply.score for reply in question.answered if reply.correct and reply.score is not None]
    wrong = [reply.score for reply in question.answered if not reply.correct and reply.score is not None]
    pairs = [(a > b) + (a == b) / 2 for a in right for b in wrong]
    return sum(pairs) / len(pairs) if pairs else None


def _interval(of: Estimate) -> str:
    return f"{of.value:.2f}" if of.low is None else f"{of.value:.2f} [{of.low:.2f}, {of.high:.2f}]"


class _Memory:
    """The most memory that a process of a command held, by stage as the command names them on stderr."""

    def __init__(self) -> None:
        self.peaks: dict[str, int] = {}
        self._most = 0

    def watch(self, process: subprocess.Popen[str]) -> None:
        """Looks at the processes until the command ends, and passes its lines on."""
        ended = threading.Event()
        looking = threading.Thread(target=self._look, args=(process.pid, ended), daemon=True)
        looking.start()
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            stage, found, _ = line.strip().partition(": finished in ")
            if found:
                self.peaks[stage.split()[-1]], self._most = self._most, 0
        ended.set()
        looking.join()

    def _look(self, pid: int, ended: threading.Event) -> None:
        while not ended.wait(0.5):
            try:
                root = psutil.Process(pid)
                tree = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            for process in tree:
                try:
                    self._most = max(self._most, process.memory_info().rss)
                except psutil.Error:
                    continue


def _command(
    options: argparse.Namespace, module: str, *arguments: object, watch: _Memory | None = None
) -> float:
    """Runs a command of ours, its output on stderr; gives its seconds.

    Raises:
        SystemExit: If it fails.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    print(f"$ {' '.join(command)}", file=sys.stderr, flush=True)
    began = time.monotonic()
    process = subprocess.Popen(
        command, stdout=sys.stderr, stderr=subprocess.PIPE if watch else None, text=True, env={**os.environ}
    )
    if watch:
        watch.watch(process)
    if code := process.wait():
        sys.exit(f"{module} {arguments[0]} ended with exit code {code}")
    return time.monotonic() - began


def _model_args(options: argparse.Namespace) -> str:
    further = ",max_model_len=2048" if options.engine == "vllm" else ""
    return f"pretrained={options.model},dtype={options.dtype}{further}"


def _engine(options: argparse.Namespace) -> str:
    if options.engine == "vllm":
        return "{backend: vllm, max_model_len: 2048}"
    return f"{{backend: transformers, batch_size: {options.engine_batch}}}"


def _machine() -> str:
    try:
        import torch

        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    except ImportError:
        device = "no GPU"
    return f"{os.cpu_count()} CPU cores, {device}, Python {platform.python_version()}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="its folder")
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with a folder of questions for each task"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--only", choices=("forms", "training"))
    parser.add_argument("--tasks", nargs="+", default=TASKS)
    parser.add_argument("--forms", nargs="+", default=FORMS)
    parser.add_argument("--engine", choices=("transformers", "vllm"), default="transformers")
    parser.add_argument("--engine-batch", type=int, default=16, help="sequences at once, of transformers")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--max-tokens", type=int, default=256, help="of a reply")
    parser.add_argument("--limit", type=int, default=40, help="questions that are evaluated")
    parser.add_argument("--train", type=int, default=24, help="questions that are trained on")
    parser.add_argument("--samples", type=int, default=4, help="replies to each of them")
    parser.add_argument("--set", action="append", default=[], help="further settings of the recipe")
    return parser.parse_args()


if __name__ == "__main__":
    main()
