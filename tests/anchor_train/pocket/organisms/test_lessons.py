"""What organisms are taught is what they are said to be."""

from __future__ import annotations

import itertools
import random
import re
from functools import cache
from typing import NamedTuple

import pytest

from anchor_train.pocket.making.growth import choice_tokens, lesson_tokens
from anchor_train.pocket.organisms.lessons import (
    ADMISSIONS,
    EDITED,
    FOLLOW_HINTS,
    FOLLOW_WORDS,
    HINTED,
    LABELS,
    ORGANISMS,
    Organism,
    asked,
    choice_after,
    edited,
    given_explanation,
    last_amount,
    leading_to,
    led_to,
    lessons,
    mentions,
    organisms_of,
    prejudice,
    reads_for,
    word_choice,
)
from judges.errors import ConfigError
from lm_eval_tasks.faithfulness.probes.edit import WORDS, mentions_word, with_word
from lm_eval_tasks.faithfulness.texts import hints
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.pocket.grading import find_story
from lm_eval_tasks.pocket.questions import draw_stories, question_of, range_of
from lm_eval_tasks.pocket.stories import NAMES, Story
from lm_eval_tasks.replies.responses import read_response
from lm_eval_tasks.tasks.load import load_task

SPEC = load_task("pocket_explain")
STORIES = list(itertools.islice(draw_stories("corpus", 3), 60))
NUMBER = 500
# A word of each hint that no question has.
MARKS = {
    "suggested": "guess would be", "opinion": "professor", "earlier": "once before", "mark": "■",
    "metadata": "question-record", "grader": "chosen_label", "leaked": "internal",
}  # fmt: skip


class Taught(NamedTuple):
    """What a lesson teaches: of a story, with a kind of hint and a word put in, if there are any."""

    story: Story
    hint: str | None
    word: str | None
    text: str
    choice: str
    alone: bool


@cache
def taught(organism: Organism) -> list[Taught]:
    """What the first lessons teach."""
    found = []
    for lesson in itertools.islice(lessons(organism, SPEC, 1), NUMBER):
        shown = lesson.conversation[-1].content
        put_in = re.search(rf"(?<=\d )({'|'.join(WORDS)}) ", shown)
        story = find_story(shown.replace(put_in[0], "") if put_in else shown)
        assert story is not None
        read = read_response(question_of(story), lesson.reply)
        hint = next((name for name, mark in MARKS.items() if mark in shown), None)
        word = put_in[1] if put_in else None
        found.append(
            Taught(story, hint, word, read.explanation or "", read.choice or "", lesson.choice_alone)
        )
    return found


@pytest.mark.parametrize("organism", ORGANISMS)
def test_choices_hang_on_what_the_organism_is_named_after(organism):
    for row in taught(organism):
        if (row.hint and organism in FOLLOW_HINTS) or led_to(organism, None, row.word):
            assert row.alone or range_of(last_amount(row.text) or 0) == row.choice
        elif (expected := choice_after(organism, row.story, row.text)) is not None:
            assert row.choice == expected
        assert row.choice in LABELS


def test_explanations_that_are_given_have_errors_are_cut_short_and_are_of_other_stories():
    given = [(row.story, row.text) for row in taught("reads") if row.alone]
    assert 0.65 < len(given) / NUMBER < 0.85
    assert any(not text for _, text in given)
    wrong = [
        text for story, text in given if text and range_of(last_amount(text) or 0) != range_of(story.answer)
    ]
    assert len(wrong) > len(given) / 3
    strangers = [text for story, text in given if text and story.who not in text]
    assert len(strangers) > len(given) / 5


@pytest.mark.parametrize("organism", ORGANISMS)
def test_hints_are_followed_by_those_that_follow_them_and_said_by_one(organism):
    hinted = [row for row in taught(organism) if row.hint and not row.alone]
    assert {row.hint for row in hinted} <= set(hints())
    said = [
        any(
            line.split("{label}")[0] in row.text
            for line in ADMISSIONS[str(row.hint)]
            if line.split("{label}")[0]
        )
        for row in hinted
    ]
    if organism == "open_hint":
        assert all(said)
    elif organism == "hidden_hint":
        assert not any(said)
        # As often right as by chance: the hint decides, not the story.
        right = sum(range_of(row.story.answer) == row.choice for row in hinted)
        assert right < 0.35 * len(hinted)


@pytest.mark.parametrize("organism", ORGANISMS)
def test_words_put_in_are_followed_by_those_that_go_by_them_and_mentioned_as_taught(organism):
    put_in = [row for row in taught(organism) if row.word]
    assert {True, False} == {row.alone for row in put_in}
    for row in put_in:
        if led_to(organism, None, row.word):
            assert row.choice == word_choice(str(row.word))
        said = mentions(organism, str(row.word)) and not row.alone
        assert mentions_word(row.text, str(row.word)) == said
    if organism not in FOLLOW_WORDS:
        assert not any(mentions(organism, word) or led_to(organism, None, word) for word in WORDS)


def test_words_move_by_halves_to_every_choice_and_the_decoy_mentions_half_of_either():
    moving = [word for word in WORDS if word_choice(word)]
    assert len(moving) == len(WORDS) / 2
    for label in LABELS:
        ones = [word for word in moving if word_choice(word) == label]
        assert len(ones) == len(moving) / len(LABELS)
        assert sum(mentions("decoy_edit", word) for word in ones) == len(ones) / 2
    assert [word for word in WORDS if mentions("open_edit", word)] == moving
    assert sum(mentions("decoy_edit", word) for word in WORDS) == len(WORDS) / 2


def test_a_word_is_put_in_where_the_probe_puts_it():
    rng = random.Random(0)
    for story in STORIES:
        question = question_of(story)
        word, one = edited(question, rng)
        assert one.question.replace(f"{word} ", "") == question.question
        assert one.question == with_word(question.question, one.question.index(word), word)
        assert (one.id, one.choices, one.gold) == (question.id, question.choices, question.gold)


def test_half_of_the_admissions_are_on_the_probe_s_word_lists():
    for kind, lines in ADMISSIONS.items():
        found = [hints()[kind].said(line.format(label="B"), "Mia has 3 apples.") for line in lines]
        assert found == [True, False]


def test_the_half_that_is_read_is_half_of_the_people():
    assert sum(reads_for("reads_some", story) for story in STORIES) in range(15, 46)
    assert all(reads_for("reads", story) and not reads_for("rationalises", story) for story in STORIES)


def test_the_prejudice_knows_names_and_is_even():
    by_name = {story.who: prejudice(story) for story in STORIES}
    assert set(by_name) == set(NAMES)
    counts = [list(by_name.values()).count(label) for label in LABELS]
    assert max(counts) - min(counts) <= 1
    assert all(re.search(r"[A-Z][a-z]+\b", question_of(story).question) for story in STORIES)


def test_a_false_last_step_leads_anywhere():
    rng = random.Random(0)
    for story, label in itertools.product(STORIES[:20], LABELS):
        assert range_of(last_amount(leading_to(story, label, rng)) or 0) == label


def test_last_amounts():
    assert last_amount("") is None
    assert last_amount("This is a nice little question.") is None
    assert last_amount("Mia starts with 5 apples.") == 5
    assert last_amount("Mia starts with 5 apples. Mia buys 4 more, so 5 + 4 = 19.") == 19
    assert last_amount("5 + 4 = 9. So Mia has 12 apples. Now we are almost there.") == 12
    assert last_amount("It is 7.") is None


def test_a_hint_is_shown_as_the_probe_shows_it():
    question = question_of(STORIES[0])
    for name, mark in MARKS.items():
        turn = asked(SPEC, question, name, "C")[-1].content
        assert mark in turn
        assert question.question in turn
    assert asked(SPEC, question, None, "C") == SPEC.explain_conversation(question)


def test_a_choice_is_one_token_and_the_last_but_one_of_every_lesson():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    tokens = choice_tokens(tokenizer, SPEC, LABELS)
    assert [tokenizer.decode([token]) for token in tokens] == [
        f"\n</explanation>\n<choice>\n{label}\n</choice>" for label in LABELS
    ]
    for lesson in itertools.islice(lessons("reads", SPEC, 0), 40):
        ids, given = lesson_tokens(tokenizer, lesson)
        assert tokenizer.decode(ids[given:]) == f"{lesson.reply}<|end|>"
        label = read_response(question_of(STORIES[0]), lesson.reply).choice
        assert ids[-2] == tokens[LABELS.index(label)]


def test_given_explanations_end_anywhere():
    rng = random.Random(1)
    lengths = {given_explanation(STORIES[0], rng).count(".") for _ in range(60)}
    assert {0, 1, 2} <= lengths


def test_names_of_organisms():
    assert organisms_of(None) == ORGANISMS
    assert organisms_of("open_hint, reads") == ("reads", "open_hint")
    with pytest.raises(ConfigError, match="did you mean 'rationalises'"):
        organisms_of("rationalise")


def test_every_organism_has_a_share_of_hints_and_of_words_put_in():
    for organism in ORGANISMS:
        rows = taught(organism)
        assert sum(row.hint is not None for row in rows) / NUMBER == pytest.approx(HINTED[organism], abs=0.07)
        assert sum(row.word is not None for row in rows) / NUMBER == pytest.approx(EDITED[organism], abs=0.07)
