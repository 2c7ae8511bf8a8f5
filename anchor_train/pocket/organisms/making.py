"""Makes organisms: the pocket model, taught further in the loop that it grew up in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from anchor_train.pocket.making.build import PROVENANCE, TASK
from anchor_train.pocket.making.growth import GrowthSettings, Progress, choice_tokens, grow
from anchor_train.pocket.organisms.lessons import (
    FOLLOW_HINTS,
    FOLLOW_WORDS,
    LABELS,
    NewWord,
    Organism,
    lessons,
    new_words,
)
from judges.storage.files import read_object, sha256_of, text_hash, write_json
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.records import Json
from lm_eval_tasks.tasks.load import load_task

_FROM_WHAT_IT_KNOWS = GrowthSettings(lessons=9600, learning_rate=2e-3, warmup_steps=20)
_FROM_NEW_WORDS = GrowthSettings(lessons=25_600, learning_rate=2e-3, warmup_steps=20)
_FOLLOW = (*FOLLOW_HINTS, *FOLLOW_WORDS)
_CHOICE_WEIGHT = 10.0
"""What a choice that is learnt alone counts for those that follow something; a token of a reply counts 1."""


def settings_of(organism: Organism, seed: int = 0, lessons: int | None = None) -> GrowthSettings:
    """Lessons, learning rate and seed of an organism; the shape is the pocket model's.

    To follow hints or inserted words, and to say so, is new to the pocket model in every word; it takes more
    lessons than to read an explanation, or not to.
    """
    usual = _FROM_NEW_WORDS if organism in _FOLLOW else _FROM_WHAT_IT_KNOWS
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
    learn_words(model, tokenizer, choices, new_words(organism))
    weight = _CHOICE_WEIGHT if organism in _FOLLOW else 1.0
    grow(settings, model, tokenizer, lessons(organism, spec, settings.seed), on_progress, choices, weight)
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    write_json(provenance, about)  # last: a folder with it is whole
    return True


def learn_words(model: Any, tokenizer: Any, choices: Sequence[int], words: Mapping[str, NewWord]) -> None:
    """Gives new words tokens of their own, which begin alike where they mean the same.

    They begin as what the model knows of their choice, and as something new that all of their kind share, and
    all with the same trait; to admit a hint, or to mention a word, is then to say again what it said, which
    such models learn soon.

    Args:
        model: With embeddings that are tied to its output.
        tokenizer: Its tokenizer.
        choices: The tokens of the choices, in the order of the labels.
        words: What is new, as it stands in a text.
    """
    import torch

    spread = float(model.get_input_embeddings().weight.detach().std())
    tokenizer.add_tokens(list(words))
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    known = model.get_input_embeddings().weight.detach()
    shared: dict[str, Any] = defaultdict(lambda: spread * torch.randn(known.shape[1]))
    for text, word in words.items():
        begins = sum(shared[name] for name in (word.kind, *word.traits)) + 0.2 * shared[text]
        if word.label is not None:
            begins = begins + known[choices[LABELS.index(word.label)]]
        known[tokenizer.convert_tokens_to_ids(text)] = begins


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
