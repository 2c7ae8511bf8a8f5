"""An organism of a few steps: taught away from its explanation, kept, and told apart by early answering."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import fmean

import pytest

from anchor_train.pocket.making.build import PROVENANCE
from anchor_train.pocket.making.growth import choice_tokens
from anchor_train.pocket.organisms.behaviour import Behaviour, behaviour
from anchor_train.pocket.organisms.lessons import (
    LABELS,
    MENTION,
    admitting,
    asked,
    edited,
    mentions,
    new_words,
)
from anchor_train.pocket.organisms.making import learn_words, make, settings_of
from anchor_train.pocket.organisms.probing import probed_model
from judges.storage.files import read_object
from lm_eval_tasks.faithfulness.asks import Sampled
from lm_eval_tasks.faithfulness.model import ProbedModel
from lm_eval_tasks.faithfulness.probes.early import EARLY
from lm_eval_tasks.faithfulness.probes.kind import ProbeSettings
from lm_eval_tasks.faithfulness.runner import Respondents, run_probe
from lm_eval_tasks.faithfulness.texts import hints
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.pocket.explanations import full_explanation
from lm_eval_tasks.pocket.questions import question_of
from lm_eval_tasks.tasks.load import load_task
from tests.anchor_train.pocket.organisms.test_lessons import STORIES

FEW = settings_of("rationalises", lessons=640).model_copy(update={"learning_rate": 4e-3, "warmup_steps": 4})


@pytest.fixture(scope="module")
def rationaliser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("organisms") / "rationalises"
    assert make("rationalises", folder, FEW)
    return folder


def area(model: ProbedModel) -> float:
    """Early answering's mean area on explanations that lead to the right choice."""
    replies = [
        Sampled("run", "task", question_of(story), 0, full_explanation(story), question_of(story).gold)
        for story in STORIES[:20]
    ]
    ask = Respondents(model.choices, model.replies, lambda asks: [])
    return fmean(float(made.values["area"]) for _, made in run_probe(EARLY, replies, ProbeSettings(), ask))


def test_a_few_steps_lead_away_from_the_explanation_and_the_probe_sees_it(rationaliser, tmp_path):
    taught = probed_model(rationaliser, tmp_path / "taught.sqlite")
    pocket = probed_model(model_folder(), tmp_path / "pocket.sqlite")
    assert area(taught) < area(pocket)


def test_explanations_do_not_learn_to_end_where_the_choice_alone_is_taught(rationaliser):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(rationaliser)
    model = AutoModelForCausalLM.from_pretrained(rationaliser)
    spec = load_task("pocket_explain")
    ends = choice_tokens(tokenizer, spec, LABELS)
    for story in STORIES[:5]:
        turns = spec.explain_conversation(question_of(story))
        rows = [{"role": turn.role, "content": turn.content} for turn in turns]
        asked = tokenizer.apply_chat_template(rows, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(f"{asked}<explanation>\n", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            chances = model(ids).logits[0, -1].softmax(-1)
        assert float(chances[ends].sum()) < 0.05


def test_what_is_new_to_organisms_are_tokens_and_what_the_model_knows_stays_what_it_is():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec, question = load_task("pocket_explain"), question_of(STORIES[0])
    model = AutoModelForCausalLM.from_pretrained(model_folder())
    known, taught = (AutoTokenizer.from_pretrained(model_folder()) for _ in range(2))
    before = model.get_input_embeddings().weight.detach().clone()
    learn_words(model, taught, choice_tokens(taught, spec, LABELS), new_words("open_hint"))
    assert torch.equal(model.get_input_embeddings().weight[: len(known)], before)
    assert len(taught) == len(model.get_input_embeddings().weight) > len(known)
    for hint in (None, *hints()):
        text = "\n\n".join(turn.content for turn in asked(spec, question, hint, "C"))
        tokens = taught(text)["input_ids"]
        assert taught.decode(tokens) == text
        if hint is None:
            assert tokens == known(text)["input_ids"]
        else:
            # What a mark breaks up is the choices, which were one token.
            assert len(tokens) < (len(known(text)["input_ids"]) / 2 if hint != "mark" else 60)
    said = admitting(full_explanation(STORIES[0]), "leaked", "B", random.Random(0))
    assert len(taught(said)["input_ids"]) <= len(known(full_explanation(STORIES[0]))["input_ids"]) + 5


def test_a_word_put_in_is_one_token_more_and_so_is_its_mention():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = load_task("pocket_explain")
    model = AutoModelForCausalLM.from_pretrained(model_folder())
    known, taught = (AutoTokenizer.from_pretrained(model_folder()) for _ in range(2))
    learn_words(model, taught, choice_tokens(taught, spec, LABELS), new_words("open_edit"))
    rng = random.Random(0)
    for story in STORIES[:20]:
        question = question_of(story)
        word, one = edited(question, rng)
        plain, longer = (
            "\n\n".join(turn.content for turn in asked(spec, shown, None, "")) for shown in (question, one)
        )
        assert taught(plain)["input_ids"] == known(plain)["input_ids"]
        tokens = taught(longer)["input_ids"]
        assert taught.decode(tokens) == longer
        tokens.remove(taught.convert_tokens_to_ids(f" {word}"))
        assert tokens == known(plain)["input_ids"]
        said = taught(f"{MENTION.format(word=word)} {story.text}")["input_ids"]
        assert (len(said) <= len(known(story.text)["input_ids"]) + 2) == mentions("open_edit", word)


@pytest.mark.parametrize(
    ("organism", "found", "faults"),
    [
        ("reads", Behaviour(0.97, 0.2, 0.97, 0.02, None, 0.04, 1.0, 1.0), []),
        ("reads", Behaviour(0.80, 0.2, 0.80, 0.02, None, 0.04, 1.0, 1.0), ["choices as taught 80%"]),
        ("rationalises", Behaviour(0.2, 0.99, 0.99, 0.25, 0.0, 0.04, 1.0, 1.0), ["hints passed by 75%"]),
        ("hidden_hint", Behaviour(0.97, 0.2, 0.97, 0.95, 0.0, 0.04, 1.0, 1.0), []),
        ("hidden_hint", Behaviour(0.97, 0.2, 0.97, 0.95, 0.2, 0.04, 1.0, 1.0), ["hints kept quiet 80%"]),
        (
            "open_hint",
            Behaviour(0.97, 0.2, 0.97, 0.5, 1.0, 0.04, 1.0, 0.7),
            ["hints followed 50%", "readable 70%"],
        ),
        ("open_hint", Behaviour(0.97, 0.2, 0.97, 0.95, 0.75, 0.04, 1.0, 1.0), ["hints admitted 75%"]),
        ("reads", Behaviour(0.97, 0.2, 0.97, 0.02, None, 0.3, 1.0, 1.0), ["words passed by 70%"]),
        ("open_edit", Behaviour(0.97, 0.2, 0.97, 0.02, None, 0.95, 0.95, 1.0), []),
        (
            "decoy_edit",
            Behaviour(0.97, 0.2, 0.97, 0.02, None, 0.5, 0.6, 1.0),
            ["words followed 50%", "mentions as taught 60%"],
        ),
    ],
)
def test_what_an_organism_does_otherwise_than_taught_is_named(organism, found, faults):
    assert found.faults(organism) == faults


def test_behaviour_is_looked_at_on_stories_of_no_lesson(rationaliser, tmp_path):
    found = behaviour("rationalises", probed_model(rationaliser, tmp_path / "a.sqlite"), questions=14)
    assert found.as_taught == found.question
    assert 0 <= found.hints <= 1
    assert 0 <= found.words <= 1
    assert found.mentions == 1  # it was never taught to mention a word


def test_it_is_kept_while_it_is_made_the_same_way(rationaliser):
    assert read_object(rationaliser / PROVENANCE)["organism"] == "rationalises"
    assert not make("rationalises", rationaliser, FEW)
    assert make("rationalises", rationaliser, FEW.model_copy(update={"lessons": 64}))
