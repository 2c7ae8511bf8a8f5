"""The graph of a recipe: which stages there are, what each reads, what each depends on.

Round 1 samples the SFT model once for all strategies; from round 2 on each strategy samples its own newest
model, and trains on from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.strategies import STRATEGIES, Traits, reads_scores
from anchor_train.recipes.training_settings import LoopSettings
from anchor_train.run.manifest import flat
from anchor_train.run.roles import role_settings, rubric_fingerprint, wants_latest
from anchor_train.run.stage import BASE_MODEL, FORM, SFT_MODEL, Stage
from judges.backends.local_model import fingerprint
from judges.files import content_hash, text_hash
from judges.rubrics.constitution import load_constitution
from judges.settings import Settings
from lm_eval_tasks.prompts.examples import fingerprint as fingerprint_of
from lm_eval_tasks.prompts.reply_form import ReplyForm, read_reply_form
from lm_eval_tasks.tasks.spec import TaskSpec, load_task

# Settings that change what a stage shows, not what it makes.
DISPLAY = {"save_every", "keep_checkpoints", "log_every", "report_to"}
DISPLAY |= {"sample_every", "sample_questions", "sample_max_tokens", "assess_questions"}
# Settings of list-wise training that one loss alone reads.
OF_AFT = {"listwise.constraint", "listwise.beta", "listwise.detach_boundary"}


def plan(recipe: Recipe) -> tuple[Stage, ...]:
    """All stages of a recipe in the order in which they run.

    Raises:
        ConfigError: If the task, a judge file or a rubric can't be read.
    """
    return tuple(_Planner(recipe, load_task(recipe.task)).stages())


def aligned_name(strategy: str, number: int, rounds: int) -> str:
    """What an aligned model is called: the last round's by its strategy alone."""
    return strategy if number == rounds else f"{strategy}-round-{number}"


def model_hash(recipe: Recipe) -> str:
    """What tells the base model's content; a hub name stands for itself."""
    local = fingerprint(Path(recipe.model.name).expanduser())
    return local or f"{recipe.model.name}@{recipe.model.revision or 'main'}"


@dataclass(frozen=True, slots=True)
class _Lineage:
    """Where one strategy's newest model is."""

    adapter: str | None  # None is the base model
    latest: str | None  # aligned: not the SFT model

    @property
    def needs(self) -> dict[str, str]:
        """What a stage reads that runs this model."""
        return {} if self.adapter is None else {"adapter": self.adapter}


class _Planner:
    def __init__(self, recipe: Recipe, spec: TaskSpec) -> None:
        self._recipe = recipe
        self._model = {"base model": model_hash(recipe)}
        form = read_reply_form(recipe.reply_form, "reply_form")
        # Which prompts those are that are shown, is said by the form where a pilot chooses it.
        self._form = {} if isinstance(form, ReplyForm) else {FORM: FORM}
        asked = spec.in_form(form) if isinstance(form, ReplyForm) else spec
        self._prompts = {"prompts": asked.fingerprint}
        self._examples = {"examples": fingerprint_of(spec.examples)}
        self._refine_prompts = {"refine prompts": spec.refine_prompts.fingerprint}
        self._rubric = {"rubric": rubric_fingerprint(recipe.judge)}
        self._evaluation_rubric = {"rubric": rubric_fingerprint(recipe.evaluate.judge)}
        data = recipe.data_dir
        self._data = {} if data is None or not data.exists() else {"data files": content_hash(data)}

    def stages(self) -> Iterator[Stage]:
        recipe = self._recipe
        yield Stage(
            "questions",
            "questions",
            "anchor_train.stages.questions:draw_questions",
            settings=self._settings("task", "data_dir", "questions", "seed"),
            externals={**self._data, **self._prompts},
        )
        yield Stage(
            "sft",
            "sft",
            "anchor_train.stages.train:train_answers",
            needs={"questions": "questions"},
            settings=self._settings("model", "sft", "seed", "launch.processes"),
            externals={**self._model, **self._prompts},
        )
        if self._form:
            yield Stage(
                FORM,
                "form",
                "anchor_train.stages.form:choose_form",
                needs={"questions": "questions"},
                settings=self._settings("model", "sampler", "engine", "seed"),
                externals={**self._model, **self._prompts, **self._examples},
                own_process=True,
            )
        lineages: dict[str, _Lineage] = {}
        for number in range(1, recipe.rounds + 1):
            yield from self._round(number, lineages)
        yield from self._evaluation()

    def _round(self, number: int, lineages: dict[str, _Lineage]) -> Iterator[Stage]:
        names = self._recipe.strategies
        sharing = [] if number > 1 else [name for name in names if not self._from_base(name)]
        if sharing:
            yield from self._samples("round-1", number, _Lineage("sft", None), sharing)
        consulted: set[str] = set()
        for name in names:
            own = f"round-{number}/{name}"
            shared = "round-1" if name in sharing else own
            first = _Lineage(None if self._from_base(name) else "sft", None)
            start = first if number == 1 else lineages[name]
            if name not in sharing:
                yield from self._samples(own, number, start, (name,))
            traits = self._traits(name)
            if self._consults(name) and shared not in consulted:
                consulted.add(shared)
                yield self._consult(shared, number, name, start, is_shared=name in sharing)
            if traits.data == "pairs":
                yield self._pairs(own, shared, number, name)
                yield self._dpo(own, number, name, start)
            elif traits.data == "principles":
                yield self._discover(own, shared, number, name, start)
                yield self._cluster(own, number, name)
                yield self._train(own, number, name, start)
            else:
                yield self._groups(own, shared, number, name)
                yield self._align(own, number, name, start)
            trained = f"{own}/{traits.training}"
            lineages[name] = _Lineage(trained, trained)

    def _traits(self, name: str) -> Traits:
        return STRATEGIES[self._recipe.strategy_of(name)]

    def _from_base(self, name: str) -> bool:
        """Whether a strategy leaves out the SFT model, and samples the base model in round 1."""
        staple = self._recipe.as_of(name).staple
        return self._traits(name).data == "principles" and staple.start == "base"

    def _consults(self, name: str) -> bool:
        traits, staple = self._traits(name), self._recipe.as_of(name).staple
        if traits.data == "principles" and staple.discover.reference != "reply_or_argument":
            return False
        return traits.consults

    def _of(self, name: str, number: int) -> dict[str, Any]:
        """What says whose stage it is."""
        return {"strategy": name, "method": self._recipe.strategy_of(name), "round": number}

    def _samples(self, folder: str, number: int, start: _Lineage, users: Sequence[str]) -> Iterator[Stage]:
        """Sampling, and judging if one of the strategies that take the samples reads scores."""
        whose: dict[str, Any] = {"round": number} if folder == "round-1" else self._of(users[0], number)
        fresh = self._fresh(users)
        yield Stage(
            f"{folder}/sample",
            "sample",
            "anchor_train.stages.sample:sample_replies",
            needs={"questions": "questions", **self._form, **start.needs},
            settings={**self._settings("model", "sampler", "engine", "seed"), **fresh},
            externals={**self._model, **self._prompts},
            own_process=True,
            fresh=bool(fresh),
            **whose,
        )
        if not any(reads_scores(user, self._recipe) for user in users):
            return
        judge = self._recipe.judge
        latest = {"judging adapter": start.latest} if wants_latest(judge) and start.latest else {}
        yield Stage(
            f"{folder}/judge",
            "judge",
            "anchor_train.stages.judge:judge_replies",
            needs={"replies": f"{folder}/sample", **latest},
            settings={**self._judge_settings("judge", judge)},
            externals={**self._model, **self._prompts, **self._rubric},
            own_process=True,
            **whose,
        )

    def _fresh(self, users: Sequence[str]) -> dict[str, Any]:
        """What decides which questions are sampled where no user takes up all of them; else nothing."""
        takes = [self._recipe.as_of(user).staple.discover.questions for user in users]
        principles = all(self._traits(user).data == "principles" for user in users)
        if not principles or len(set(takes)) > 1 or (takes[0] is None and self._recipe.rounds == 1):
            return {}
        return self._shares(users[0])

    def _shares(self, name: str) -> dict[str, Any]:
        """What decides which questions a round takes up."""
        given = self._settings("staple.discover.questions", name=name)
        return given if any(given.values()) else {**given, **self._settings("rounds")}

    def _consult(self, folder: str, number: int, name: str, start: _Lineage, *, is_shared: bool) -> Stage:
        whose: dict[str, Any] = {"round": number} if is_shared else self._of(name, number)
        asked = self._recipe.consultant.backend
        latest = {"consulting adapter": start.latest} if wants_latest(asked) and start.latest else {}
        consultant = self._recipe.consultant.model_dump(mode="json", exclude={"backend"})
        guide = self._recipe.consultant.guide
        return Stage(
            f"{folder}/consult",
            "consult",
            "anchor_train.stages.consult:consult",
            needs={"scored": f"{folder}/judge", **latest},
            settings={
                **flat({"consultant": consultant}),
                **self._judge_settings("consultant.backend", asked),
                **self._settings("seed", "pairs.unreadable_losers"),
            },
            externals={
                **self._model,
                **self._prompts,
                **({} if guide is None else {"guide": text_hash(load_constitution(guide).guide())}),
            },
            own_process=True,
            **whose,
        )

    def _pairs(self, own: str, shared: str, number: int, name: str) -> Stage:
        arguments = {"arguments": f"{shared}/consult"} if self._traits(name).consults else {}
        return Stage(
            f"{own}/pairs",
            "pairs",
            "anchor_train.stages.pairs:pair_up",
            needs={"scored": f"{shared}/judge", **self._form, **arguments},
            settings=self._settings("pairs", "dpo.max_length", "dpo.allow_cut", "seed", "model", name=name),
            externals={**self._model, **self._prompts},
            **self._of(name, number),
        )

    def _dpo(self, own: str, number: int, name: str, start: _Lineage) -> Stage:
        return Stage(
            f"{own}/dpo",
            "dpo",
            "anchor_train.stages.train:train_preferences",
            needs={"questions": "questions", "pairs": f"{own}/pairs", **self._form, **start.needs},
            settings=self._settings("model", "dpo", "seed", "launch.processes", name=name),
            externals=self._model,
            **self._of(name, number),
        )

    def _groups(self, own: str, shared: str, number: int, name: str) -> Stage:
        section = self._traits(name).section
        feedback = ("listwise.feedback",) if section == "listwise" else ()
        scored = reads_scores(name, self._recipe)
        return Stage(
            f"{own}/groups",
            "groups",
            "anchor_train.stages.groups:group_up",
            needs={
                **({"scored": f"{shared}/judge"} if scored else {"replies": f"{shared}/sample"}),
                **self._form,
            },
            settings=self._settings(
                *feedback,
                "pairs.unreadable_losers",
                f"{section}.max_length",
                f"{section}.allow_cut",
                "model",
                name=name,
            ),
            externals={**self._model, **self._prompts},
            **self._of(name, number),
        )

    def _align(self, own: str, number: int, name: str, start: _Lineage) -> Stage:
        traits = self._traits(name)
        settings = self._settings("model", traits.section, "seed", "launch.processes", name=name)
        if traits.loss != "aft":
            settings = {name: value for name, value in settings.items() if name not in OF_AFT}
        return Stage(
            f"{own}/align",
            "align",
            "anchor_train.stages.train:train_groups",
            needs={"questions": "questions", "groups": f"{own}/groups", **self._form, **start.needs},
            settings=settings,
            externals={**self._model, **self._prompts},
            **self._of(name, number),
        )

    def _discover(self, own: str, shared: str, number: int, name: str, start: _Lineage) -> Stage:
        recipe = self._recipe.as_of(name)
        discover = recipe.staple.discover
        latest = {"judging adapter": start.latest} if wants_latest(recipe.judge) and start.latest else {}
        arguments = {"arguments": f"{shared}/consult"} if self._consults(name) else {}
        settings = discover.model_dump(mode="json", exclude={"backend", "questions"})
        return Stage(
            f"{own}/discover",
            "discover",
            "anchor_train.stages.discover:discover",
            needs={
                "questions": "questions",
                "scored": f"{shared}/judge",
                **arguments,
                **start.needs,
                **latest,
            },
            settings={
                **flat({"staple": {"discover": settings}}),
                **self._shares(name),
                **self._judge_settings("staple.discover.backend", discover.backend),
                **self._judge_settings("sampler.backend", recipe.sampler.backend),
                **self._judge_settings("judge", recipe.judge),
                **self._settings("seed"),
            },
            externals={**self._model, **self._prompts, **self._refine_prompts, **self._rubric},
            own_process=True,
            **self._of(name, number),
        )

    def _cluster(self, own: str, number: int, name: str) -> Stage:
        earlier = {f"round {n}": f"round-{n}/{name}/cluster" for n in range(1, number)}
        return Stage(
            f"{own}/cluster",
            "cluster",
            "anchor_train.stages.cluster:cluster_principles",
            needs={"discoveries": f"{own}/discover", **earlier},
            settings=self._settings("staple.cluster", name=name),
            own_process=True,
            **self._of(name, number),
        )

    def _train(self, own: str, number: int, name: str, start: _Lineage) -> Stage:
        lora = ("sft.lora",) if start.adapter is None else ()
        return Stage(
            f"{own}/train",
            "train",
            "anchor_train.stages.train:train_refinements",
            needs={
                "questions": "questions",
                "discoveries": f"{own}/discover",
                "constitution": f"{own}/cluster",
                **self._form,
                **start.needs,
            },
            settings=self._settings("model", "staple.train", "seed", "launch.processes", *lora, name=name),
            externals={**self._model, **self._prompts, **self._refine_prompts},
            **self._of(name, number),
        )

    def _evaluation(self) -> Iterator[Stage]:
        recipe = self._recipe
        models: dict[str, str | None] = {BASE_MODEL: None, SFT_MODEL: "sft"}
        refining: set[str] = set()
        for number in range(1, recipe.rounds + 1):
            for name in recipe.strategies:
                trained = f"round-{number}/{name}/{self._traits(name).training}"
                model = aligned_name(name, number, recipe.rounds)
                models[model] = trained
                if self._traits(name).refines:
                    refining.add(model)
        generation = self._recipe.evaluate.model_dump(mode="json", exclude={"judge", "batch_size"})
        for model, adapter in models.items():
            refined = model in refining
            room = self._settings("staple.discover.principle_tokens") if refined else {}
            yield Stage(
                f"evaluate/{model}/generate",
                "generate",
                "anchor_train.stages.evaluate:generate",
                needs={**self._form, **({} if adapter is None else {"adapter": adapter})},
                settings={
                    **flat({"evaluate": generation}),
                    **self._settings("model", "task", "data_dir", "seed", "engine"),
                    **room,
                },
                externals={
                    **self._model,
                    **self._prompts,
                    **(self._refine_prompts if refined else {}),
                    **self._data,
                },
                own_process=True,
                model=model,
                refined=refined,
            )
            yield Stage(
                f"evaluate/{model}/score",
                "score",
                "anchor_train.stages.evaluate:score",
                needs={"generated": f"evaluate/{model}/generate"},
                settings=self._judge_settings("evaluate.judge", recipe.evaluate.judge),
                externals={**self._model, **self._prompts, **self._evaluation_rubric},
                own_process=True,
                model=model,
            )
        yield Stage(
            "evaluate/table",
            "table",
            "anchor_train.stages.evaluate:tabulate",
            needs={model: f"evaluate/{model}/score" for model in models},
        )

    def _judge_settings(self, name: str, given: Any) -> dict[str, Any]:
        """Settings of a role; those of the engine too where it runs this run's own model."""
        own = given in (None, "base", "latest") or (
            isinstance(given, Mapping) and given.get("model") in ("base", "latest")
        )
        engine = self._settings("engine", "model") if own else {}
        return {**flat({name: role_settings(given)}), **engine}

    def _settings(self, *parts: str, name: str | None = None) -> dict[str, Any]:
        """Parts of the recipe as a strategy sees it, flat, without what only changes the display."""
        found: dict[str, Any] = {}
        for path in parts:
            value: Any = self._recipe.as_of(name)
            for part in path.split("."):
                value = getattr(value, part)
            if isinstance(value, Settings):
                hidden = DISPLAY if isinstance(value, LoopSettings) else set()
                value = value.model_dump(mode="json", exclude=hidden)
            elif isinstance(value, Path):
                value = str(value)
            elif isinstance(value, tuple):  # as the manifest reads it back
                value = list(value)
            found |= flat({path: value})
        return found
