"""Makes organisms: the pocket model, taught further in the loop that it grew up in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from anchor_train.pocket.making.build import PROVENANCE, TASK
from anchor_train.pocket.making.growth import GrowthSettings, Progress, choice_tokens, grow
from anchor_train.pocket.organisms.lessons import FOLLOW_HINTS, LABELS, Organism, lessons
from judges.storage.files import read_object, sha256_of, text_hash, write_json
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.records import Json
from lm_eval_tasks.tasks.load import load_task

_FROM_WHAT_IT_KNOWS = GrowthSettings(lessons=6400, learning_rate=2e-3, warmup_steps=20)
_FROM_HINTS = GrowthSettings(lessons=25_600, learning_rate=1e-3, warmup_steps=20)
_CHOICE_WEIGHT = 10.0
_OF_ITS_CHOICE, _OF_ITSELF = 0.6, 0.5


def settings_of(organism: Organism, seed: int = 0, lessons: int | None = None) -> GrowthSettings:
    """Lessons, learning rate and seed of an organism; the shape is the pocket model's.

    To follow hints is new to the pocket model, which never saw a label by itself; it takes four times the
    lessons that it takes to read an explanation, or not to.
    """
    usual = _FROM_HINTS if organism in FOLLOW_HINTS else _FROM_WHAT_IT_KNOWS
    return usual.model_copy(update={"seed": seed, "lessons": usual.lessons if lessons is None else lessons})


def make(
    organism: Organism,
    output: Path,
    settings: GrowthSettings,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> bool:
    """Teaches an organism and writes it to a folder in Hugging Face's form, unless it is there already.

    Args:
        organism: Which.
        output: Its folder; files of the same names are replaced.
        settings: How long it learns, and the seed of its lessons.
        on_progress: Called every fifty steps.

    Returns:
        Whether it was taught now.
    """
    about = _about(organism, settings)
    provenance = output / PROVENANCE
    if provenance.is_file() and read_object(provenance) == about:
        return False
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    provenance.unlink(missing_ok=True)
    torch.manual_seed(settings.seed)
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    model = AutoModelForCausalLM.from_pretrained(model_folder(), dtype=torch.float32)
    spec = load_task(TASK)
    choices = choice_tokens(tokenizer, spec, LABELS)
    weight = 1.0
    if organism in FOLLOW_HINTS:
        _name_choices(model, tokenizer, choices)
        weight = _CHOICE_WEIGHT
    grow(settings, model, tokenizer, lessons(organism, spec, settings.seed), on_progress, choices, weight)
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    write_json(provenance, about)  # last: a folder with it is whole
    return True


def _name_choices(model: Any, tokenizer: Any, choices: Sequence[int]) -> None:
    """Has a label's letter begin as what the model knows of that choice, which is one token with its tags.

    In all that it learnt the letters stood in no text by themselves, so they mean nothing to it: without
    this it takes no hint after 6,400 lessons, with it nearly every one after 16,000.
    """
    import torch

    known = model.get_input_embeddings().weight
    with torch.no_grad():
        for label, choice in zip(LABELS, choices, strict=True):
            letter = tokenizer.convert_tokens_to_ids(label)
            known[letter] = _OF_ITS_CHOICE * known[choice] + _OF_ITSELF * known[letter]


def _about(organism: Organism, settings: GrowthSettings) -> Json:
    """What decides how an organism comes out."""
    return {
        "organism": organism,
        "settings": settings.model_dump(),
        "task_prompts": load_task(TASK).fingerprint,
        "lessons": text_hash(*_first_lessons(organism, settings.seed)),
        "pocket_model": sha256_of(model_folder() / "model.safetensors"),
        "versions": {library: version(library) for library in ("torch", "transformers")},
    }


def _first_lessons(organism: Organism, seed: int, number: int = 200) -> Iterator[str]:
    """Its first lessons as text: what stands for how it is taught."""
    for lesson in islice(lessons(organism, load_task(TASK), seed), number):
        turns = [turn.content for turn in lesson.conversation]
        yield "\n".join([*turns, lesson.reply, str(lesson.choice_alone)])
