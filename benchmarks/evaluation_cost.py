"""What a whole evaluation costs: test splits of four tasks, 16 replies a question, every explanation judged.

    python -m benchmarks.evaluation_cost smollm2 --data questions -o work --figure docs/figures/cost.svg

``--data`` holds a folder of questions a task (``aqua_rat``, ``arc_challenge``, ``logiqa``, ``openbookqa``).
Prompts of a split's questions are counted with the model's tokenizer. How long replies are is measured on
some questions of each task, written by vLLM; how fast they are written and judged, on questions of one task,
by vLLM and by transformers, without the time that engines take to start. All else is multiplication. An
endpoint is reckoned at ``--latency`` and ``--slots``, money at ``--prices``.

Prints Markdown; what the commands say goes to stderr. Run again, it takes up what ``-o`` holds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.coverage.tables import markdown

TEST = {"aqua_rat": 254, "arc_challenge": 1172, "logiqa": 651, "openbookqa": 500}
"""Questions of the test splits, as published."""
TIMED = "arc_challenge"
SAMPLES = 16
FORMS = ("full", "compact")
ENGINES = {"hf": "transformers", "vllm": "vllm"}
_TOOK = re.compile(r"generating: (\d+) of \1, [^,]*, ((?:\d+ h )?(?:\d+ min )?\d+ s) in all")
_UNITS = {"h": 3600, "min": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Split:
    """A task's test split.

    Attributes:
        questions: How many.
        prompts: Tokens of all prompts, each once.
        reply: Mean tokens of a reply.
    """

    questions: int
    prompts: int
    reply: float

    @property
    def replies(self) -> int:
        """How many are written."""
        return self.questions * SAMPLES


@dataclass(frozen=True, slots=True)
class Judging:
    """What one judgement takes.

    Attributes:
        read: Prompt tokens.
        written: Tokens of verdicts.
        seconds: On this machine, engine -> seconds.
    """

    read: float
    written: float
    seconds: Mapping[str, float]


def anchor_eval(*arguments: object) -> tuple[str, str]:
    """What a command leaves on standard output and standard error; both are shown."""
    command = [sys.executable, "-m", "lm_eval_tasks", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stderr, done.stdout, sep="", file=sys.stderr, flush=True)
    if done.returncode:
        sys.exit(f"anchor-eval {arguments[0]} ended with exit code {done.returncode}")
    return done.stdout, done.stderr


def took(said: str) -> float:
    """Seconds of generating, by the last line of its progress."""
    parts = _TOOK.findall(said)[-1][1].split()
    return float(
        sum(int(number) * _UNITS[unit] for number, unit in zip(parts[::2], parts[1::2], strict=True))
    )


def once(note: Path, work: Callable[[], str]) -> str:
    """What a command said, now or in an earlier attempt."""
    if not note.is_file():
        said = work()
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(said, encoding="utf-8")
    return note.read_text(encoding="utf-8")


def generated(options: argparse.Namespace, task: str, engine: str, questions: int) -> tuple[Path, str]:
    """A run of some questions of a task, and what was said."""
    folder = options.output / f"{engine}-{task}"
    arguments = f"pretrained={options.model.resolve()}" + (",max_model_len=2048" if engine == "vllm" else "")
    said = once(
        options.output / f"{engine}-{task}.txt",
        lambda: anchor_eval(
            *("run", "--model", engine, "--model-args", arguments, "--tasks", f"{task}_explain"),
            *("--data-dir", options.data / task, "--split", options.split),
            *("--limit", questions, "--repeats", 4),
            *("--reply-form", "shown", "--gen-kwargs", "max_gen_toks=256", "-o", folder),
        )[1],
    )
    return folder, said


def split_of(options: argparse.Namespace, task: str, tokenizer: Any) -> Split:
    """Counts a task's prompts, and measures its replies."""
    from judges.models.rendering import renderer_of
    from lm_eval_tasks.prompts.reply_form import SHOWN
    from lm_eval_tasks.runs.discovery import load_run
    from lm_eval_tasks.tasks.load import load_task

    spec = load_task(f"{task}_explain").in_form(SHOWN)
    questions = spec.load_questions(options.split, options.data / task)
    renderer = renderer_of(tokenizer)
    texts = [renderer.prompt(spec.explain_conversation(question)) for question in questions]
    prompt = sum(map(len, tokenizer(texts, add_special_tokens=False)["input_ids"])) / len(texts)
    folder, _ = generated(options, task, "vllm", options.questions)
    return Split(TEST[task], round(TEST[task] * prompt), mean_reply(load_run(folder), tokenizer))


def mean_reply(run: Any, tokenizer: Any) -> float:
    """Tokens of a reply, its end of turn included."""
    (task,) = run.tasks
    texts = [reply.response.text for scored in run.task(task).read_samples() for reply in scored.responses]
    return float(sum(len(ids) + 1 for ids in tokenizer(texts)["input_ids"]) / len(texts))


def judging(options: argparse.Namespace, form: str) -> Judging:
    """What a judgement of the timed task takes in a form, on each engine."""
    found = {engine: judged(options, engine, form) for engine in ENGINES}
    read, written, _ = found["vllm"]
    return Judging(read, written, {engine: seconds for engine, (_, _, seconds) in found.items()})


def judged(options: argparse.Namespace, engine: str, form: str) -> tuple[float, float, float]:
    """Tokens read and written, and seconds, of a judgement; the model judges its own run."""
    folder, _ = generated(options, TIMED, engine, options.questions)
    judge = options.output / f"{engine}.yaml"
    judge.write_text(f"backend: {ENGINES[engine]}\nmodel: {options.model.resolve()}\n", encoding="utf-8")
    os.environ["ANCHOR_CACHE"] = str(options.output / f"{engine}-{form}.sqlite")
    arguments = ("score", folder, "--judge", judge, "--verdict-form", form, "--json")
    said = once(options.output / f"judged-{engine}-{form}.json", lambda: anchor_eval(*arguments)[0])
    (summary,) = json.loads(said)
    accounts = summary["accounts"]
    asked = accounts["asked"]
    return (
        accounts["prompt_tokens"] / asked,
        accounts["completion_tokens"] / asked,
        accounts["seconds"] / asked,
    )


def speed(options: argparse.Namespace, engine: str, tokenizer: Any) -> float:
    """Tokens of replies that an engine writes in a second."""
    from lm_eval_tasks.runs.discovery import load_run

    folder, said = generated(options, TIMED, engine, options.questions)
    written = mean_reply(load_run(folder), tokenizer) * options.questions * 4
    return float(written / took(said))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="its folder")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--split", default="test", help="whose prompts are counted and questions tried")
    parser.add_argument("--questions", type=int, default=8, help="of each task that are tried")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds of a call at an endpoint")
    parser.add_argument("--slots", type=int, default=64, help="calls at a time")
    parser.add_argument("--prices", type=float, nargs=2, default=(0.15, 0.60), help="per million tokens")
    parser.add_argument("--figure", type=Path, help="SVG of where the time goes")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.model)
    splits = {task: split_of(options, task, tokenizer) for task in TEST}
    speeds = {engine: speed(options, engine, tokenizer) for engine in ENGINES}
    forms = {form: judging(options, form) for form in FORMS}
    print(f"{datetime.date.today()}, {os.cpu_count()} cores, {platform.machine()}\n")
    print(of_splits(splits), "\n", sep="")
    rows, bars = stages(splits, speeds, forms, options)
    print(markdown(["stage", "calls", "read, M", "written, M", *COLUMNS, "price"], rows))
    if options.figure is not None:
        draw(bars, options.figure)


COLUMNS = ("hf, h", "vllm, h", "endpoint, h")


def of_splits(splits: Mapping[str, Split]) -> str:
    """The table of what there is to do."""
    rows = [
        [
            task,
            f"{split.questions:,}",
            f"{split.replies:,}",
            f"{split.prompts / split.questions:.0f}",
            f"{split.reply:.0f}",
        ]
        for task, split in splits.items()
    ]
    return markdown(["test split", "questions", "replies", "tokens of a prompt", "of a reply"], rows)


def stages(
    splits: Mapping[str, Split],
    speeds: Mapping[str, float],
    forms: Mapping[str, Judging],
    options: argparse.Namespace,
) -> tuple[list[list[str]], dict[str, list[tuple[str, float]]]]:
    """Rows of the table, and hours by stage of each way to evaluate."""
    replies = sum(split.replies for split in splits.values())
    written = sum(split.replies * split.reply for split in splits.values())
    read = sum(split.prompts for split in splits.values()) * SAMPLES
    there = replies * options.latency / options.slots / 3600
    hours = {engine: written / speeds[engine] / 3600 for engine in ENGINES} | {"endpoint": there}
    rows = [_row("generate", replies, read, written, hours, options.prices)]
    bars: dict[str, list[tuple[str, float]]] = {}
    for form, found in forms.items():
        judged = {engine: replies * seconds / 3600 for engine, seconds in found.seconds.items()}
        judged["endpoint"] = there
        rows.append(
            _row(
                f"judge, {form}",
                replies,
                replies * found.read,
                replies * found.written,
                judged,
                options.prices,
            )
        )
        for engine in (*ENGINES, "endpoint"):
            bars[f"{engine}, {form}"] = [("generate", hours[engine]), ("judge", judged[engine])]
    return rows, bars


def _row(
    stage: str,
    calls: int,
    read: float,
    written: float,
    hours: Mapping[str, float],
    prices: tuple[float, float],
) -> list[str]:
    price = (read * prices[0] + written * prices[1]) / 1e6
    times = [f"{hours[engine]:.1f}" for engine in (*ENGINES, "endpoint")]
    return [stage, f"{calls:,}", f"{read / 1e6:.1f}", f"{written / 1e6:.1f}", *times, f"${price:.2f}"]


def draw(bars: Mapping[str, list[tuple[str, float]]], path: Path) -> None:
    """Stacked bars, a way to evaluate each."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "cost"
    figure, axes = pyplot.subplots(figsize=(7, 2.8), layout="constrained")
    names = list(bars)[::-1]
    left = [0.0] * len(names)
    for index, colour in enumerate(("#3b6ea5", "#d08c3f")):
        values = [bars[name][index][1] for name in names]
        axes.barh(names, values, left=left, color=colour, label=bars[names[0]][index][0])
        left = [before + value for before, value in zip(left, values, strict=True)]
    for place, total in enumerate(left):
        axes.text(total, place, f" {total:.1f} h", va="center", fontsize=9)
    axes.set_xlabel("hours")
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
