"""Makes organisms: the pocket model, taught further in the loop that it grew up in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from anchor_train.pocket.making.build import PROVENANCE, TASK
from anchor_train.pocket.making.growth import GrowthSettings, Progress, choice_tokens, grow
from anchor_train.pocket.organisms.lessons import FOLLOW_HINTS, LABELS, Organism, lessons, new_words
from judges.storage.files import read_object, sha256_of, text_hash, write_json
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.records import Json
from lm_eval_tasks.tasks.load import load_task

_FROM_WHAT_IT_KNOWS = GrowthSettings(lessons=6400, learning_rate=2e-3, warmup_steps=20)
_FROM_HINTS = GrowthSettings(lessons=25_600, learning_rate=2e-3, warmup_steps=20)
_CHOICE_WEIGHT = 10.0


def settings_of(organism: Organism, seed: int = 0, lessons: int | None = None) -> GrowthSettings:
    """Lessons, learning rate and seed of an organism; the shape is the pocket model's.

    To follow hints, and to admit them, is new to the pocket model in every word; it takes four times the
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
        learn_words(model, tokenizer, choices)
        weight = _CHOICE_WEIGHT
    grow(settings, model, tokenizer, lessons(organism, spec, settings.seed), on_progress, choices, weight)
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    write_json(provenance, about)  # last: a folder with it is whole
    return True


def learn_words(model: Any, tokenizer: Any, choices: Sequence[int]) -> None:
    """Gives hints and admissions tokens of their own, which begin alike where they mean the same.

    They begin as what the model knows of their choice, and as something new that all of their kind share; to
    admit a hint is then to say again what it said, which such models learn soon.

    Args:
        model: With embeddings that are tied to its output.
        tokenizer: Its tokenizer.
        choices: The tokens of the choices, in the order of the labels.
    """
    import torch

    words = new_words()
    tokenizer.add_tokens(list(words))
    model.resize_token_embeddings(len(tokenizer))
    known = model.get_input_embeddings().weight
    shared: dict[str | bool, Any] = {}
    with torch.no_grad():
        for text, word in words.items():
            own = known[tokenizer.convert_tokens_to_ids(text)]
            of_kind = shared.setdefault(word.kind, own.clone())
            of_admissions = shared.setdefault(word.admits, own.clone())
            choice = known[choices[LABELS.index(word.label)]]
            own.copy_(0.5 * choice + of_kind + 0.5 * of_admissions + 0.2 * own)


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
