"""What a recipe needs of this machine, seen before anything is paid for: libraries, trackers, LoRA ranks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from anchor_train.pipeline.plan import graph
from anchor_train.recipes.config import Recipe
from anchor_train.recipes.section_settings import RoleBackend
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.training_settings import LoopSettings
from anchor_train.run.roles import is_file, is_own_model, role_settings
from judges.backends.vllm.adapters import ADAPTER_RANKS
from judges.errors import AnchorError
from judges.settings import nearest
from lm_eval_tasks.tracking.target import read_target

# transformers' name of a tracker -> the libraries of which it takes the first that is there.
TRACKERS: Mapping[str, tuple[str, ...]] = {
    "azure_ml": ("azureml",),
    "clearml": ("clearml",),
    "codecarbon": ("codecarbon",),
    "comet_ml": ("comet_ml",),
    "dagshub": ("dagshub",),
    "dvclive": ("dvclive",),
    "flyte": ("flytekit",),
    "kubeflow": ("kubeflow",),
    "mlflow": ("mlflow",),
    "neptune": ("neptune",),
    "swanlab": ("swanlab",),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
# Attention implementations that need a library of their own.
ATTENTION: Mapping[str, str] = {
    "flash_attention_2": "flash_attn",
    "flash_attention_3": "flash_attn_interface",
}
KNOWN_ATTENTION = ("eager", "sdpa", "flex_attention", *ATTENTION)
# How the names of optimisers begin that come with a library.
OPTIMISERS: Mapping[str, str] = {
    "adamw_bnb": "bitsandbytes",
    "adamw_8bit": "bitsandbytes",
    "paged_": "bitsandbytes",
    "lion_8bit": "bitsandbytes",
    "lion_32bit": "bitsandbytes",
    "ademamix": "bitsandbytes",
    "rmsprop_bnb": "bitsandbytes",
    "galore": "galore_torch",
    "apollo": "apollo_torch",
    "lomo": "lomo_optim",
    "adalomo": "lomo_optim",
    "grokadamw": "grokadamw",
    "schedule_free": "schedulefree",
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
}
# Engine -> library, and the extra of this package that brings it.
_ENGINES: Mapping[str, tuple[str, str]] = {"vllm": ("vllm", "vllm"), "transformers": ("torch", "hf")}


def lacking(recipe: Recipe) -> Iterator[str]:
    """What isn't there of what the recipe asks for, and what an engine can't do; a line each."""
    yield from _trackers(recipe)
    yield from _engines(recipe)
    yield from _model(recipe)
    yield from _lora(recipe)


def trainings(recipe: Recipe) -> dict[str, LoopSettings]:
    """Section of the recipe -> settings, of the trainings that this run does."""
    found: dict[str, LoopSettings] = {"sft": recipe.sft}
    for name in recipe.strategies:
        section = STRATEGIES[recipe.strategy_of(name)].section
        settings = getattr(recipe.as_of(name), section)
        where = f"variants.{name}.{section}" if name in recipe.variants else section
        found[where] = getattr(settings, "train", settings)
    return found


def _trackers(recipe: Recipe) -> Iterator[str]:
    if recipe.track is not None and find_spec(kind := read_target(recipe.track, "track").kind) is None:
        yield f"track: {kind} is not installed: pip install 'anchored-explanations[track]'"
    for section, settings in trainings(recipe).items():
        for name in settings.report_to:
            if name in ("all", "none"):
                continue
            libraries = TRACKERS.get(name)
            if libraries is None:
                yield f"{section}.report_to: no tracker {name!r}: {nearest(name, TRACKERS)}"
            elif not any(find_spec(library) for library in libraries):
                yield f"{section}.report_to: {name} is not installed: pip install {libraries[0]}"
        optimiser = settings.optimiser.name
        for begin, library in OPTIMISERS.items():
            if optimiser.startswith(begin) and find_spec(library) is None:
                yield (
                    f"{section}.optimiser.name {optimiser!r}: {library} is not installed: "
                    f"pip install {library.replace('_', '-')}"
                )
                break


def _engines(recipe: Recipe) -> Iterator[str]:
    asked = {stage.kind for stage in graph(recipe)}
    roles: dict[str, RoleBackend] = {"sampler.backend": recipe.sampler.backend}
    roles["evaluate.judge"] = recipe.evaluate.judge
    if "judge" in asked:
        roles["judge"] = recipe.judge
    if "consult" in asked:
        roles["consultant.backend"] = recipe.consultant.backend
    if "discover" in asked:
        roles["staple.discover.backend"] = recipe.staple.discover.backend
    needed: dict[str, str] = {}
    for name, given in roles.items():
        kind = _kind(recipe, given)
        if kind is not None:
            needed.setdefault(kind, "engine" if is_own_model(given) else name)
    if recipe.evaluate.engine is not None:
        kind = "vllm" if recipe.evaluate.engine == "vllm" else "transformers"
        needed.setdefault(kind, "evaluate.engine")
    for kind, name in needed.items():
        library, extra = _ENGINES.get(kind, ("", ""))
        if library and find_spec(library) is None:
            yield f"{name}: {kind} is not installed: pip install 'anchored-explanations[{extra}]'"
    if recipe.executor not in (None, "local") and find_spec("ray") is None:
        yield "executor: ray is not installed: pip install 'anchored-explanations[ray]'"


def _kind(recipe: Recipe, given: RoleBackend) -> str | None:
    """The kind of backend behind a role; None if it can't be told, which is said elsewhere."""
    if is_own_model(given):
        return str(recipe.engine["backend"])
    if isinstance(given, str) and not is_file(given):
        return given.partition(":")[0]
    try:
        values: Any = role_settings(given)
    except AnchorError:
        return None
    found = values.get("backend") if isinstance(values, Mapping) else None
    return found if isinstance(found, str) else None


def _model(recipe: Recipe) -> Iterator[str]:
    model = recipe.model
    if model.load_in_4bit and find_spec("bitsandbytes") is None:
        yield (
            "model.load_in_4bit: bitsandbytes is not installed: "
            "pip install 'anchored-explanations[qlora]', or set it to false"
        )
    kind = model.attention
    if kind is None or "/" in kind:  # a kernel of the hub
        return
    if kind not in KNOWN_ATTENTION:
        yield f"model.attention: no {kind!r}: {nearest(kind, KNOWN_ATTENTION)}"
    elif kind in ATTENTION and find_spec(ATTENTION[kind]) is None:
        yield f"model.attention {kind}: {ATTENTION[kind]} is not installed here; sdpa needs nothing"


def _lora(recipe: Recipe) -> Iterator[str]:
    lora = recipe.sft.lora
    if lora is None and recipe.model.load_in_4bit:
        yield "model.load_in_4bit: 4-bit weights are frozen, and sft.lora: null trains them; give an adapter"
    uses = recipe.engine["backend"] == "vllm" or recipe.evaluate.engine == "vllm"
    if lora is None or not uses:
        return
    if lora.r > ADAPTER_RANKS[-1]:
        yield f"sft.lora.r {lora.r}: vLLM serves ranks up to {ADAPTER_RANKS[-1]}; engine: transformers any"
    given = recipe.engine.get("max_lora_rank")
    if isinstance(given, int) and lora.r > given:
        yield f"engine.max_lora_rank {given}: less than sft.lora.r {lora.r}; left out, it follows the rank"
    if lora.use_dora:
        yield "sft.lora.use_dora: vLLM can't serve it; engine: transformers can"
    if lora.modules_to_save:
        yield "sft.lora.modules_to_save: vLLM can't serve them; engine: transformers can"
