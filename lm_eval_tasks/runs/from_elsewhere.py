"""Explanations that no run of ours made, as a run: other models' outputs, texts that people wrote, data sets.

A file of rows becomes a run folder in the harness's own layout, so that everything that works on runs works
on it: judging, comparing, pages. Where the rows name no choices the questions are open: their explanations
are judged, and nothing is right or wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from judges.errors import ConfigError, DataError
from judges.storage.files import read_object, replacing, sha256_of, write_json, write_records
from lm_eval_tasks.questions.layouts import Layout, RowError, read_row, text_of
from lm_eval_tasks.questions.load import content_id
from lm_eval_tasks.questions.rows import read_rows
from lm_eval_tasks.records import Question, Response, ScoredQuestion, ScoredResponse, UnreadableReason
from lm_eval_tasks.replies.choices import read_choice

TASK_FILE = "task.yaml"
_INTRODUCTION = "You will see a question."
_OPEN_QUESTION = """\
{% if context -%}
Context:
{{ context }}

{% endif -%}
Question:
{{ question }}"""


@dataclass(frozen=True, slots=True)
class Fields:
    """What of a row is what; a dotted name reaches into nested mappings.

    Attributes:
        question: The question.
        explanations: Each of them one explanation; an empty one is unreadable, and counted.
        id: The question's own identifier; without one it is a hash of what the question says.
        context: A passage to read first.
        choices: The choices, in any form that tasks know; without them questions are open.
        gold: The right choice, as label.
        choice: The choice that goes with the explanation, as label or text.
        reference: A good explanation or answer; judges see it whose rubric shows ``reference``.
    """

    question: str
    explanations: tuple[str, ...]
    id: str | None = None
    context: str | None = None
    choices: str | None = None
    gold: str | None = None
    choice: str | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("choices", "gold", "choice") if getattr(self, name) is not None]
        if len(given) not in (0, 3):
            missing = [name for name in ("choices", "gold", "choice") if name not in given]
            needed = " and ".join(f"--{name}-field" for name in missing)
            raise ConfigError(
                f"--{given[0]}-field needs {needed}: with choices an answer is right or wrong; leave all "
                "three out for open questions"
            )


def run_of_explanations(file: Path, fields: Fields, folder: Path, *, task: str, model: str) -> Path:
    """Makes a run of a file's explanations; the same file with the same fields again changes nothing.

    Rows that ask the same question (by id; else by what it says) are samples of one question.

    Args:
        file: JSON Lines, JSON, CSV or Parquet.
        fields: What of a row is what.
        folder: The run folder; made if absent.
        task: What to call the task; runs are compared task by task.
        model: Who wrote the explanations.

    Returns:
        The samples log.

    Raises:
        ConfigError: If the folder holds something else.
        DataError: Naming the first rows that can't be read.
    """
    task = task_name(task)
    named = asdict(fields)
    if fields.reference is None:
        del named["reference"]  # folders of before there was this field are still known
    asked = {"file": sha256_of(file), "fields": named, "task": task, "model": model}
    asked = json.loads(json.dumps(asked))
    holder = folder / (re.sub(r"[^A-Za-z0-9._-]+", "__", model).strip(".") or "model")
    known = _log_of(folder, asked)
    if known is not None:
        return known
    scored = _scored(file, fields)
    date = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S.%f")
    log = holder / f"samples_{task}_{date}.jsonl"
    holder.mkdir(parents=True, exist_ok=True)
    _write_task(folder / TASK_FILE, task, is_open=fields.choices is None)
    repeats = max(len(one.responses) for one in scored)
    metadata = {"version": 1, "config_source": f"../{TASK_FILE}", "explanations": asked}
    write_json(
        holder / f"results_{date}.json",
        {
            "model_name": model,
            "versions": {task: 1},
            "configs": {task: {"task": task, "repeats": repeats, "metadata": metadata}},
        },
    )
    write_records(log, (_logged(number, one) for number, one in enumerate(scored)))
    return log


def task_name(name: str) -> str:
    """A name that can stand in file names, ending as the names of explanation tasks do."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").lower() or "explanations"
    return plain if plain.endswith("_explain") else f"{plain}_explain"


def _log_of(folder: Path, asked: Mapping[str, Any]) -> Path | None:
    """The log that was made of the same; None if there is none at all."""
    logs = sorted(folder.rglob("samples_*.jsonl"))
    for log in logs:
        results = log.with_name(f"results_{log.stem[-26:]}.json")
        configs = read_object(results).get("configs", {}) if results.is_file() else {}
        if any(config.get("metadata", {}).get("explanations") == asked for config in configs.values()):
            return log
    if logs:
        raise ConfigError(
            f"{folder}: holds {logs[0].name}, which was made of something else; name a new folder for this "
            "file and these fields"
        )
    return None


def _scored(file: Path, fields: Fields) -> list[ScoredQuestion]:
    found: dict[str, ScoredQuestion] = {}
    problems: list[str] = []
    rows = read_rows(file)
    for row in rows:
        try:
            question = _question(row.values, fields)
            responses = tuple(_response(row.values, name, question, fields) for name in fields.explanations)
        except RowError as error:
            problems.append(f"{row.place}: {error}")
            continue
        before = found.setdefault(question.id, ScoredQuestion(question, ()))
        if before.question != question:
            problems.append(f"{row.place}: another question than before has the id {question.id!r}")
            continue
        if before.question.reference != question.reference:
            problems.append(f"{row.place}: another reference than before for question {question.id!r}")
            continue
        found[question.id] = ScoredQuestion(question, (*before.responses, *responses))
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise DataError(f"{len(problems)} of {len(rows)} rows can't be read: {'; '.join(problems[:3])}{more}")
    if not any(sample.response.explanation for one in found.values() for sample in one.responses):
        raise DataError(f"{file}: no explanation in {', '.join(fields.explanations)}: all are empty")
    return list(found.values())


def _question(row: Mapping[str, Any], fields: Fields) -> Question:
    if fields.choices is not None:
        layout = Layout(
            question=fields.question,
            choices=fields.choices,
            gold=str(fields.gold),
            id=fields.id,
            context=fields.context,
            rationale=fields.reference,
            labels="printed_if_any",
        )
        question = read_row(row, [layout], new_id="")
    else:
        text = text_of(row, fields.question)
        if not text:
            raise RowError(f"{fields.question!r} is empty")
        id_ = text_of(row, fields.id) if fields.id else ""
        context = text_of(row, fields.context) if fields.context else ""
        reference = text_of(row, fields.reference) if fields.reference else ""
        question = Question(id_, text, (), "", context or None, reference or None)
    return question if question.id else replace(question, id=content_id(question))


def _response(row: Mapping[str, Any], name: str, question: Question, fields: Fields) -> ScoredResponse:
    text = text_of(row, name)
    problem: UnreadableReason | None = None if text else "empty_reply"
    if fields.choice is None:
        return ScoredResponse(Response(text, text or None, None, problem), correct=False)
    chosen, unread = read_choice(question.choices, text_of(row, fields.choice))
    return ScoredResponse(Response(text, text or None, chosen, problem, unread), chosen == question.gold)


def _logged(number: int, scored: ScoredQuestion) -> dict[str, Any]:
    """A row as the harness logs it."""
    return {
        "doc_id": number,
        "doc": scored.question.to_json(),
        "target": scored.question.gold,
        "resps": [[sample.response.text for sample in scored.responses]],
        "filtered_resps": [json.dumps(sample.to_json()) for sample in scored.responses],
        "filter": "none",
    }


def _write_task(path: Path, task: str, *, is_open: bool) -> None:
    """The task file that says how a judge is shown these questions."""
    fields = {"question": "question", "choices": "choices", "gold": "gold"}
    prompt = {"introduction": _INTRODUCTION} | ({"question": _OPEN_QUESTION} if is_open else {})
    values = {"task": task, "fields": fields, "prompt": prompt, "metadata": {"version": 1}}
    with replacing(path) as file:
        file.write("# How a judge is shown the questions of this folder; written by anchor-eval score.\n")
        yaml.safe_dump(values, file, sort_keys=False, allow_unicode=True)
