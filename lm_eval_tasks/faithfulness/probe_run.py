"""Probes of a whole run: which model is asked, in which form, what it will take; then the probes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from judges.config import load_backend
from judges.errors import ConfigError, DataError
from judges.output.notices import tell
from judges.storage.files import Json, read_object
from lm_eval_tasks.faithfulness.asks import Sampled
from lm_eval_tasks.faithfulness.model import Begun, Labels, ProbedModel
from lm_eval_tasks.faithfulness.probes.kind import ProbeKind, ProbeSettings
from lm_eval_tasks.faithfulness.probes.registry import probes_of
from lm_eval_tasks.faithfulness.runner import probe_task, sampled_replies, work_of
from lm_eval_tasks.faithfulness.writer import Writer
from lm_eval_tasks.harness.arguments import parse_arguments, plain_generation
from lm_eval_tasks.harness.engines.apart import answer, ask
from lm_eval_tasks.harness.engines.kinds import LENGTHS, VLLM
from lm_eval_tasks.harness.engines.models import open_model
from lm_eval_tasks.harness.generation import MANIFEST, GenerationRequest, check_arguments, resolved
from lm_eval_tasks.json_records import JsonRecord
from lm_eval_tasks.prompts.reply_form import ASKED, ReplyForm, read_reply_form
from lm_eval_tasks.runs.discovery import Run, TaskRun, load_run
from lm_eval_tasks.runs.probe_files import ProbeSummary
from lm_eval_tasks.runs.under_way import REPLIES
from lm_eval_tasks.tasks.load import find_tasks
from lm_eval_tasks.tasks.spec import TaskSpec

_CHARACTERS = 4
"""Of a token, about: for what is said before there is a tokenizer."""


@dataclass(frozen=True, slots=True)
class ProbeRequest(JsonRecord):
    """What a user asks for.

    Attributes:
        kinds: Probes.
        settings: Of the probes.
        model: Kind of model; None for the run's own.
        model_args: Its arguments; None for the run's own.
        writer: As ``judges.config.load_backend`` takes it; None for nobody.
        limit: Most questions a task; None for all.
        samples: Most replies a question.
        tasks: Only these tasks; none for all.
        include_path: Folder with the user's own task files.
        labels: How choices are asked for.
        begun: How explanations are put into the model's mouth.
        batch_size: As the harness takes it.
        device: As the harness takes it.
        thinking_tokens: Room for a thought; None for as much as the run's replies had.
    """

    kinds: tuple[str, ...]
    settings: ProbeSettings = field(default_factory=ProbeSettings)
    model: str | None = None
    model_args: str | None = None
    writer: str | None = None
    limit: int | None = 100
    samples: int = 1
    tasks: tuple[str, ...] = ()
    include_path: str | None = None
    labels: Labels = "auto"
    begun: Begun = "auto"
    batch_size: str | None = None
    device: str | None = None
    thinking_tokens: int | None = None


@dataclass(frozen=True)
class PlannedTask:
    """A task with the replies that are probed.

    Attributes:
        run: The task of the run.
        spec: The task, in the form that the run was asked in.
        replies: What is probed.
    """

    run: TaskRun
    spec: TaskSpec
    replies: list[Sampled]


@dataclass(frozen=True)
class Plan:
    """What will be done, checked before a model is loaded.

    Attributes:
        run: The run.
        probes: The probes.
        tasks: The tasks.
        request: What was asked for, the model's kind and arguments filled in.
        generated: The settings that the run was generated with; empty if nothing tells.
        notes: What a reader of the results should know.
    """

    run: Run
    probes: tuple[ProbeKind, ...]
    tasks: tuple[PlannedTask, ...]
    request: ProbeRequest
    generated: Mapping[str, Any]
    notes: tuple[str, ...]

    @property
    def model_name(self) -> str:
        """The model that is asked, as the harness takes it."""
        return f"{self.request.model} {self.request.model_args or ''}".strip()

    def estimate(self) -> Iterator[str]:
        """What it takes, a line a probe and task."""
        for task in self.tasks:
            generation = _generation(task, self.generated, str(self.request.model))
            room = next(int(generation[name]) for name in LENGTHS if name in generation)
            for probe in self.probes:
                yield f"{task.run.task}, {probe.name}: {_said(task, probe, self.request.settings, room)}"


def plan(run: Run, request: ProbeRequest) -> Plan:
    """Checks everything that can be checked before a model is loaded.

    Raises:
        ConfigError: If the model isn't known, a probe needs a writer, or an argument is wrong.
        DataError: If the run has no replies to probe.
    """
    settings = replace(request.settings, writer=request.writer is not None)
    request = replace(request, settings=settings)
    probes = probes_of(request.kinds, writer=settings.writer)
    generated = _generated(run)
    request, notes = _with_model(run, request, generated)
    chosen = [run.task(name) for name in request.tasks] if request.tasks else list(run.tasks.values())
    plain, notes_of_tasks = _plain(chosen, request)
    sources = {task.task: task.source for task in plain if task.source is not None}
    specs = find_tasks([task.task for task in plain], request.include_path, sources)
    tasks = []
    for task, spec in zip(plain, specs, strict=True):
        form = read_reply_form(task.reply_form or "asked", f"{task.task}: reply form of the run")
        spec = spec.in_form(form if isinstance(form, ReplyForm) else ASKED)
        if task.prompt_fingerprint not in (None, spec.fingerprint):
            raise ConfigError(
                f"{run.name}: its model was asked {task.task} with other prompts ({task.prompt_fingerprint}, "
                f"now {spec.fingerprint}): a probe would ask it something else"
            )
        replies = sampled_replies(
            run.name, spec, task.read_samples(), limit=request.limit, samples=request.samples
        )
        tasks.append(PlannedTask(task, spec, replies))
    return Plan(run, tuple(probes), tuple(tasks), request, generated, (*notes, *notes_of_tasks))


def run_probes(planned: Plan) -> list[ProbeSummary]:
    """Loads the model, asks, and writes what was found, probe by probe.

    Answers are on disk as they come: after any kind of stop it goes on from there. vLLM starts processes of
    its own, which outlive one that is killed: it is loaded in a process that takes them along.
    """
    if planned.request.model != VLLM:
        return _run_probes(planned)
    run = planned.run
    dates = {task.date for task in run.tasks.values()}
    question = {
        "run": str(run.path),
        "name": run.name,
        "date": dates.pop() if len(dates) == 1 else None,
        "request": planned.request.to_json(),
    }
    found = ask("lm_eval_tasks.faithfulness.probe_run", question, "the probing process")
    return [ProbeSummary.from_json(row) for row in found["summaries"]]


def main(arguments: list[str] | None = None) -> int:
    """Probes in a process of its own; what was found is left beside the request, or an error."""
    return answer(arguments, _probed)


def _probed(question: Json) -> Json:
    run = replace(load_run(question["run"], date=question["date"]), name=question["name"])
    planned = plan(run, ProbeRequest.from_json(question["request"]))
    return {"summaries": [summary.to_json() for summary in _run_probes(planned)]}


def _run_probes(planned: Plan) -> list[ProbeSummary]:
    request = planned.request
    model_args = parse_arguments(request.model_args, "--model-args")
    answers = planned.run.path / REPLIES
    with ExitStack() as closing:
        writer = None
        if request.writer is not None:
            backend = closing.enter_context(load_backend(request.writer))
            writer = Writer(backend, answers)
        opened = open_model(
            str(request.model),
            model_args,
            replies=answers,
            seed=int(planned.generated.get("seed", 1234)),
            batch_size=request.batch_size,
            device=request.device,
        )
        found = []
        for task in planned.tasks:
            model = ProbedModel(
                opened,
                str(request.model),
                model_args,
                task.spec,
                _generation(task, planned.generated, str(request.model)),
                templated=planned.generated.get("apply_chat_template"),
                replies=answers,
                labels=request.labels,
                begun=request.begun,
                thinking_tokens=int(
                    planned.generated.get("thinking_tokens", 0)
                    if request.thinking_tokens is None
                    else request.thinking_tokens
                ),
            )
            for probe in planned.probes:
                tell(f"{task.run.task}, {probe.name}: {model.way}")
                found.append(
                    probe_task(
                        planned.run.name,
                        task.run,
                        probe,
                        task.replies,
                        request.settings,
                        model,
                        planned.model_name,
                        writer,
                        planned.notes,
                    )
                )
    return found


def _generated(run: Run) -> dict[str, Any]:
    """What a run was generated with: as ``anchor-eval run`` notes it, else as the harness does."""
    manifest = run.path / MANIFEST
    if manifest.is_file():
        return dict(read_object(manifest).get("request", {}))
    task = next(iter(run.tasks.values()))
    path = task.samples_file.with_name(f"results_{task.date}.json")
    results = read_object(path) if path.is_file() else {}
    config = results.get("config")
    if not isinstance(config, Mapping) or not isinstance(config.get("model"), str):
        return {}
    seed = config.get("random_seed")
    found = {"model": config["model"], "seed": seed if isinstance(seed, int) else None}
    if "chat_template" in results:
        found["apply_chat_template"] = bool(results["chat_template"])
    for name in ("model_args", "gen_kwargs"):
        given = config.get(name)
        found[name] = json.dumps(given) if isinstance(given, Mapping) else given
    return {name: value for name, value in found.items() if value is not None}


def _with_model(
    run: Run, request: ProbeRequest, generated: Mapping[str, Any]
) -> tuple[ProbeRequest, list[str]]:
    """The request with the run's own model where none is named, and a note where another one is."""
    notes = []
    own = (generated.get("model"), generated.get("model_args"))
    if request.model is None:
        if own[0] is None:
            raise ConfigError(
                f"{run.path}: nothing tells which model wrote this run; give --model and --model-args"
            )
        args = own[1] if request.model_args is None else request.model_args
        request = replace(request, model=str(own[0]), model_args=str(args or ""))
    asked = resolved(GenerationRequest(str(request.model), request.model_args or "", ()))
    check_arguments(asked)
    request = replace(request, model=asked.model, model_args=asked.model_args)
    if own[0] is not None and (request.model, request.model_args) != own:
        notes.append(
            f"the run was generated by {own[0]} {own[1]}; asked was {request.model} {request.model_args}"
        )
    return request, notes


def _plain(chosen: Sequence[TaskRun], request: ProbeRequest) -> tuple[list[TaskRun], list[str]]:
    """The tasks whose replies are one explanation and one choice; a note on the others."""
    plain = [task for task in chosen if not task.task.endswith("_refined")]
    refined = [task.task for task in chosen if task not in plain]
    if not plain:
        raise DataError(
            f"{', '.join(refined)}: refined replies hold two explanations; probes ask about plain tasks"
        )
    return plain, [
        f"left aside, since refined replies hold two explanations: {', '.join(refined)}"
    ] if refined else []


def _generation(task: PlannedTask, generated: Mapping[str, Any], model: str) -> dict[str, Any]:
    own = task.spec.generation.model_dump()
    given = plain_generation(parse_arguments(generated.get("gen_kwargs"), "gen_kwargs"), model)
    return {**own, "until": list(own["until"]), **given}


def _said(task: PlannedTask, probe: ProbeKind, settings: ProbeSettings, room: int) -> str:
    work = work_of(probe, task.replies, settings)
    labels = max(len(sampled.question.labels) for sampled in task.replies)
    questions = {sampled.question.id: sampled.question for sampled in task.replies}
    prompt = sum(
        len(turn.content)
        for question in questions.values()
        for turn in task.spec.asked_conversation(question)
    ) // len(questions)
    parts = [f"{len(questions)} questions"]
    if work.choices:
        tokens = (work.choices * prompt + work.characters) // _CHARACTERS
        parts.append(
            f"{work.choices} choices of {labels} labels each (about {_thousands(tokens)} tokens to read, "
            "for each label where labels are several tokens)"
        )
    if work.replies:
        read = work.replies * prompt // _CHARACTERS
        most = work.replies * room
        parts.append(
            f"{work.replies} replies (about {_thousands(read)} tokens to read, "
            f"at most {_thousands(most)} to write)"
        )
    if work.writer:
        parts.append(f"at most {work.writer} requests to the writer")
    return ", ".join(parts)


def _thousands(number: int) -> str:
    if number < 10_000:
        return str(number)
    return f"{number / 1e6:.1f} million" if number >= 1_000_000 else f"{number // 1000}k"


if __name__ == "__main__":
    sys.exit(main())
