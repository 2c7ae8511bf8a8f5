"""Pocket questions: their answers, worked out a second time from the words alone, and their splits."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from typing import get_args

import pytest

from judges.errors import ConfigError
from lm_eval_tasks.pocket.dataset import SIZES, splits
from lm_eval_tasks.pocket.questions import Mix, draw_stories, question_of, questions, split_of
from lm_eval_tasks.pocket.stories import read_story
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TASKS

STORIES = [
    story for mix in get_args(Mix) for story in itertools.islice(draw_stories("train", seed=3, mix=mix), 200)
]


def amount_told(text: str) -> int:
    """Reads a story like a careful pupil: sentence by sentence, by its verbs."""
    amounts: list[int] = []
    for sentence in re.split(r"(?<=\.) ", text):
        number = int(found.group()) if (found := re.search(r"\d+", sentence)) else 0
        if sentence.startswith(("Each box", "One ")) or (not amounts and " has " in sentence):
            amounts = [number, number]
        elif "doubles" in sentence:
            amounts[-1] += amounts[-1]
        elif "fills" in sentence or "orders" in sentence:
            amounts[-1] = sum([amounts[-1]] * number)
        elif "pays" in sentence:
            amounts[-1] = number - amounts[-1]
        elif "together" in sentence:
            amounts[-1] += amounts[0]
        elif sentence.startswith("That is"):
            amounts[-1] -= number if " more " in sentence else -number
        elif re.search(r"loses|gives|fewer than", sentence):
            amounts[-1] -= number
        elif re.search(r"buys|finds|Sending|more than", sentence):
            amounts[-1] += number
    return amounts[-1]


def in_range(amount: int, text: str) -> bool:
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    if "less than" in text:
        return amount < numbers[0]
    return amount >= numbers[0] if "or more" in text else numbers[0] <= amount <= numbers[1]


def test_gold_is_the_one_range_that_holds_the_amount_told() -> None:
    for story in STORIES:
        question = question_of(story)
        amount = amount_told(question.question)
        fitting = [choice.label for choice in question.choices if in_range(amount, choice.text)]
        assert fitting == [question.gold], question


def test_what_is_written_is_what_is_read() -> None:
    for story in STORIES:
        read = read_story(story.text)
        assert read is not None
        assert (read.text, read.steps) == (story.text, story.steps)


@pytest.mark.parametrize(
    "text", ["", "How many?", "Mia has 7 apples. How many apples?", "Mia has 7 apples. She left. Why?"]
)
def test_other_texts_are_no_stories(text: str) -> None:
    assert read_story(text) is None


def test_answers_are_balanced_and_lengths_follow_the_mix() -> None:
    labels = Counter(question.gold for question in questions("train", 1000))
    assert set(labels) == set("ABCDE")
    assert min(labels.values()) > 130
    steps = {
        mix: [len(s.steps) for s in itertools.islice(draw_stories("test", 0, mix), 100)] for mix in MIXES
    }
    assert set(steps["easy"]) == {1, 2}
    assert set(steps["mixed"]) == {1, 2, 3, 4}
    assert set(steps["hard"]) == {2, 3, 4}


MIXES = ("easy", "mixed", "hard")


def test_seeds_give_streams_and_splits_share_no_story() -> None:
    assert questions("train", 50, seed=1) == questions("train", 80, seed=1)[:50]
    assert questions("train", 50, seed=1) != questions("train", 50, seed=2)
    stories = {
        split: [story for seed in (0, 1) for story in itertools.islice(draw_stories(split, seed), 120)]
        for split in ("corpus", "train", "validation", "test")
    }
    for split, found in stories.items():
        assert all(split_of(story) == split for story in found)
    texts = [{story.text for story in found} for found in stories.values()]
    for one, other in itertools.combinations(texts, 2):
        assert not one & other


def test_a_stream_is_what_it_was_when_its_questions_were_first_asked() -> None:
    assert [question.id for question in questions("test", 3)] == [
        "pocket-ae5aebb90046",
        "pocket-3b5900be3d8b",
        "pocket-0e03d6cd7f93",
    ]
    hard = questions("validation", 2, seed=4, mix="hard")
    assert [question.id for question in hard] == ["pocket-291be69e40a4", "pocket-b74a0a7affd2"]


def test_the_task_has_the_splits_of_the_generator() -> None:
    task = load_task("pocket_explain")
    loaded = {split: task.load_questions(split) for split in ("train", "validation", "test")}
    assert {split: len(found) for split, found in loaded.items()} == SIZES
    assert loaded["validation"] == questions("validation", SIZES["validation"])


def test_options_of_the_data_set_are_checked() -> None:
    made = splits(pocket_seed=4, pocket_mix="hard", pocket_sizes={"train": 5, "test": 7}, version=1)
    assert {split: len(rows) for split, rows in made.items()} == {"train": 5, "validation": 200, "test": 7}
    with pytest.raises(ConfigError, match="did you mean 'hard'"):
        splits(pocket_mix="hrad")
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        splits(pocket_sizes={"trian": 5})


def test_the_harness_gets_the_same_questions() -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    task = manager.load(["pocket_explain"])["tasks"]["pocket_explain"]
    expected = questions("test", SIZES["test"])
    assert [doc["id"] for doc in task.test_docs()] == [question.id for question in expected]
