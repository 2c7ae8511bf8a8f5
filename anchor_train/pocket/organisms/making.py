"""Makes organisms: the pocket model, taught further in the loop that it grew up in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from anchor_train.pocket.making.build import PROVENANCE, TASK
from anchor_train.pocket.making.growth import GrowthSettings, Progress, choice_tokens, grow
from anchor_train.pocket.organisms.lessons import LABELS, Organism, lessons
from judges.storage.files import read_object, sha256_of, text_hash, write_json
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.records import Json
from lm_eval_tasks.tasks.load import load_task

SETTINGS = GrowthSettings(lessons=6400, learning_rate=2e-3, warmup_steps=20)
"""Lessons and learning rate; the shape is the pocket model's."""


def make(
    organism: Organism,
    output: Path,
    settings: GrowthSettings = SETTINGS,
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
    grow(settings, model, tokenizer, lessons(organism, spec, settings.seed), on_progress, choices)
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    write_json(provenance, about)  # last: a folder with it is whole
    return True


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
