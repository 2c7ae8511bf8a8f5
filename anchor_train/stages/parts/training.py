"""How a stage trains: examples are written down, trained on in a process apart, and shown as tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from anchor_train.preferences.groups import GroupExample
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.records import PreferenceExample, RewardExample, SftExample
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.stage import Stage, StageJob, StageResult, derived_seed
from anchor_train.stages.parts.kind import Example, Figures, Planned, StageKind, Summary, Work, always
from anchor_train.stages.parts.preview import Preview
from anchor_train.stages.parts.showing import prompt_text
from anchor_train.stages.questions import questions_of
from anchor_train.training.job import OutputFolder, RewardSource, TrainingJob, TrainingSettings
from anchor_train.training.launch import launch
from judges.storage.files import read_records, write_records
from lm_eval_tasks.records import Question

EXAMPLES = "examples.jsonl"
SHOWN = 3

E = TypeVar("E", SftExample, PreferenceExample, GroupExample, RewardExample)


@dataclass(frozen=True, slots=True)
class Training(Generic[E]):
    """What sets one stage that trains apart from the others.

    Attributes:
        settings: Of the training.
        basis: Parts of the recipe that the result depends on, beside model, seed and processes.
        externals: What else it depends on, beside the model.
        examples: Made of what the stage reads, with the questions by id.
        from_json: Reads an example.
        read: What the stage reads -> the file that must be there before examples can be made.
        waits: What it would train on, as long as that isn't there.
        what: What an example is called, and what all are.
        tokenise: An example as tokens.
        render: These, for people.
        text: What follows the prompt where an example is shown.
        replies: How many replies of an example pass through the model.
        rewards: Who rewards replies that the training writes.
    """

    settings: Callable[[StageJob], TrainingSettings]
    basis: Callable[[Stage, Dependencies], Mapping[str, Any]]
    externals: Callable[[Stage, Dependencies], Mapping[str, str]]
    examples: Callable[[StageJob, Mapping[str, Question]], Sequence[E]]
    from_json: Callable[[Mapping[str, Any]], E]
    read: Mapping[str, str]
    waits: Callable[[Stage], str]
    what: tuple[str, str]
    tokenise: Callable[[Any, E], Any]
    render: Callable[[Any, Any], str]
    text: Callable[[E], str]
    replies: Callable[[StageJob], int] = lambda job: 1
    rewards: Callable[[StageJob], RewardSource | None] = lambda job: None

    def kind(
        self,
        name: str,
        commands: tuple[str, ...] = (),
        in_form: Callable[[Recipe], bool] = always,
        check: Callable[[Recipe], object] = lambda recipe: None,
    ) -> StageKind:
        """The stage."""
        return StageKind(
            name,
            work=self._work,
            basis=self._basis,
            plan=self._plan,
            line=_line,
            figures=_curve,
            show=self._show,
            file=EXAMPLES,
            commands=commands,
            trains=True,
            in_form=in_form,
            check=check,
        )

    def _work(self, job: StageJob) -> StageResult:
        path = job.folder / EXAMPLES
        write_records(path, (example.to_json() for example in self.examples(job, questions_of(job))))
        settings = self.settings(job)
        report = launch(
            TrainingJob(
                model=job.recipe.model,
                settings=settings,
                examples=path,
                output=job.folder,
                seed=derived_seed(job.recipe.seed, job.stage.draws),
                adapter=OutputFolder(job.needed("adapter")).adapter if "adapter" in job.stage.needs else None,
                allow_cut=settings.allow_cut,
                loss=getattr(STRATEGIES.get(job.stage.method or ""), "loss", None),
                rewards=self.rewards(job),
            ),
            job.recipe.launch,
        )
        summary = {key: value for key, value in report.to_json().items() if key not in {"adapter", "content"}}
        return StageResult((OutputFolder(job.folder).adapter.name, EXAMPLES), summary)

    def _basis(self, stage: Stage, of: Dependencies) -> Basis:
        return Basis(self.basis(stage, of), {**of.model, **self.externals(stage, of)})

    def _plan(self, job: StageJob, preview: Preview) -> Planned:
        settings = self.settings(job)
        if not all((job.needed(name) / file).is_file() for name, file in self.read.items()):
            until = f"{settings.max_steps} steps" if settings.max_steps else f"{settings.epochs} epochs"
            work = self._work_to_come(job, preview, settings)
            return Planned(f"trains on {self.waits(job.stage)} for {until}", work=work)
        questions = questions_of(job) if self.read else {found.id: found for found in preview.questions}
        one, many = self.what
        found = [self.tokenise(preview.tokenizer, example) for example in self.examples(job, questions)]
        shown = (f"{job.stage.key} {one} {self.render(preview.tokenizer, each)}" for each in found[:SHOWN])
        if job.stage.method is not None and STRATEGIES[job.stage.method].section == "rft":
            found, many = [reply for group in found for reply in group.best], "replies"
        steps = settings.max_steps
        if steps is None:
            steps = math.ceil(len(found) / settings.optimiser.batch_size * (settings.epochs or 0))
        tokens = sum(each.length for each in found)
        long = sum(each.length > settings.max_length for each in found)
        cut = f"; {long} longer than max_length {settings.max_length}" if long else ""
        does = f"trains {steps} steps on {len(found)} {many} ({tokens} tokens{cut})"
        replies = self.replies(job)
        batch = settings.optimiser
        work = Work(
            trained=round(replies * steps * batch.batch_size * tokens / max(1, len(found))),
            at_once=replies * batch.per_device_batch_size,
            longest=max((each.length for each in found), default=0),
            checkpointed=batch.gradient_checkpointing,
        )
        return Planned(does, tokens=tokens, steps=steps, examples=tuple(shown), work=work)

    def _work_to_come(self, job: StageJob, preview: Preview, settings: TrainingSettings) -> Work | None:
        """Reckoned with an example for each question and replies as long as they may be."""
        if not preview.questions:
            return None
        recipe, batch, many = job.recipe, settings.optimiser, len(preview.questions)
        length = preview.prompt_tokens // many + recipe.sampler.max_tokens
        length = min(length, settings.max_length)
        steps = settings.max_steps or math.ceil(many / batch.batch_size * (settings.epochs or 0))
        return Work(
            trained=self.replies(job) * steps * batch.batch_size * length,
            at_once=self.replies(job) * batch.per_device_batch_size,
            longest=length,
            checkpointed=batch.gradient_checkpointing,
        )

    def _show(self, job: StageJob) -> Iterator[Example]:
        for example in read_records(job.folder / EXAMPLES, self.from_json):
            text = f"{prompt_text(example.id, example.prompt)}\n{self.text(example)}"
            yield Example(job.stage.key, example.id, text, example.to_json())


def _curve(job: StageJob, found: Summary, steps: int) -> Iterator[Figures]:
    """What training logged, step by step."""
    log = OutputFolder(job.folder).log
    for row in read_records(log, dict) if log.is_file() else ():
        numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
        step = int(numbers.pop("step"))
        yield step, {f"train/{job.stage.key}/{name}": float(value) for name, value in numbers.items()}


def _line(found: Summary) -> str:
    line = f"{found['examples']} examples, {found['steps']} steps, loss {found['loss']:.4f}"
    metrics = found.get("metrics", {})
    before, after = (metrics.get(f"assessment_accuracy/{when}") for when in ("before", "after"))
    if before is None or after is None:
        return line
    return f"{line}, assessment accuracy {before:.1%} -> {after:.1%}"


def basis_of(*sections: str) -> Callable[[Stage, Dependencies], Mapping[str, Any]]:
    """Settings that a training's result depends on: these sections, the model, the seed, the processes."""
    return lambda stage, of: of.settings("model", *sections, "seed", "launch.processes", of=stage.strategy)
