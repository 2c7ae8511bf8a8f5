"""What the pocket model learns from: the real prompts, readable replies, verdicts near the truth."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchor_train.pocket.making.corpus import LESSONS, VERDICT_NOISE, Lesson, lessons
from anchor_train.pocket.making.growth import lesson_tokens
from anchor_train.pocket.making.refinement import FAMILIES
from anchor_train.pocket.making.tokens import END, build_tokenizer
from judges.records import Completion, Judgement, Statement
from judges.rubrics.load import load_rubric
from judges.rubrics.parsing import read_verdicts
from judges.rubrics.prompt import judge_conversation
from lm_eval_tasks.pocket.explanations import full_explanation
from lm_eval_tasks.pocket.grading import find_story, grade
from lm_eval_tasks.pocket.oracle import verdict_lines
from lm_eval_tasks.pocket.questions import question_of
from lm_eval_tasks.replies.responses import read_principle, read_refined, read_response
from lm_eval_tasks.tasks.load import load_task

TASK = load_task("pocket_explain")
RUBRIC = load_rubric()
TAUGHT = list(itertools.islice(lessons(TASK, RUBRIC, seed=7), sum(LESSONS.values()) * 150))
WORDINGS = {wording for family in FAMILIES for wording in family.wordings}
TOKENIZER = build_tokenizer(TASK, RUBRIC)


def of(part: str) -> list[Lesson]:
    return [lesson for lesson in TAUGHT if lesson.part == part]


def test_every_story_gives_lessons_for_all_roles() -> None:
    assert Counter(lesson.part for lesson in TAUGHT) == {part: 150 * n for part, n in LESSONS.items()}


def test_prompts_are_those_of_the_task_and_the_judge() -> None:
    for lesson in TAUGHT[:180]:
        story = find_story(lesson.conversation[-1].content)
        assert story is not None
        question = question_of(story)
        if lesson.part == "explain":
            assert lesson.conversation == TASK.explain_conversation(question)
        elif lesson.part == "answer":
            assert lesson.conversation == TASK.answer_conversation(question)
            assert lesson.reply == TASK.answer_target(question)
        elif lesson.part == "consultant":
            assert lesson.conversation[0] == TASK.consultant_conversation(question)[0]
        elif lesson.part == "principle":
            systems = [TASK.principle_conversation(question, "x", hint)[0] for hint in (None, "x")]
            assert lesson.conversation[0] in systems
            assert read_principle(lesson.reply) in WORDINGS
        elif lesson.part == "refine":
            assert lesson.conversation[0] == TASK.refine_conversation(question, "x", "x")[0]
            assert read_principle(lesson.conversation[1].content) in WORDINGS
        elif lesson.part == "one_go":
            assert lesson.conversation == TASK.refined_explain_conversation(question)
        else:
            shown = Statement(TASK.shown_question(question), "x")
            assert lesson.conversation[0] == judge_conversation(RUBRIC, shown)[0]


def test_replies_can_be_read_and_are_neither_all_right_nor_all_wrong() -> None:
    right = 0
    for lesson in of("explain"):
        story = find_story(lesson.conversation[-1].content)
        assert story is not None
        question = question_of(story)
        response = read_response(question, lesson.reply)
        assert response.readable
        right += response.choice == question.gold
    assert 0.6 < right / len(of("explain")) < 0.95


def test_refined_replies_are_better_than_first_ones_more_often_than_worse() -> None:
    def changes(parts: list[Lesson]) -> Counter[int]:
        found: Counter[int] = Counter()
        for lesson in parts:
            user = lesson.conversation[-1].content
            story = find_story(user)
            assert story is not None
            read = read_refined(question_of(story), lesson.reply)
            shown = user.partition("<reply>")[2]
            first = read_response(question_of(story), shown) if shown else read.first
            again = read_response(question_of(story), lesson.reply) if shown else read.refined
            before, after = (
                sum(grade(story, str(reply.explanation)).levels().values()) for reply in (first, again)
            )
            found[(after < before) - (after > before)] += 1
        return found

    asked, by_itself = changes(of("refine")), changes(of("one_go"))
    assert asked[1] > 2 * asked[-1] > 0
    assert by_itself[1] > by_itself[-1] > 0
    assert asked[1] > by_itself[1]


def test_no_two_families_share_a_wording() -> None:
    assert len(WORDINGS) == sum(len(family.wordings) for family in FAMILIES)


def test_verdicts_are_the_truth_with_some_noise() -> None:
    agreed = total = 0
    for lesson in of("judge"):
        taught = read_verdicts(RUBRIC, Completion(lesson.reply))
        assert isinstance(taught, Judgement)
        user = lesson.conversation[-1].content
        explanation = user.partition("<explanation>\n")[2].removesuffix("\n</explanation>")
        truth = read_verdicts(RUBRIC, Completion(verdict_lines(RUBRIC, user, explanation) or ""))
        assert isinstance(truth, Judgement)
        total += len(truth.verdicts)
        agreed += sum(taught.verdicts[key] == verdict for key, verdict in truth.verdicts.items())
    # A verdict at the end of the scale that is pushed outwards stays where it is.
    assert 1 - VERDICT_NOISE - 0.03 < agreed / total < 1


def test_the_same_seed_gives_the_same_lessons() -> None:
    assert list(itertools.islice(lessons(TASK, RUBRIC, seed=7), 50)) == TAUGHT[:50]
    assert list(itertools.islice(lessons(TASK, RUBRIC, seed=8), 50)) != TAUGHT[:50]


def test_lessons_are_short_and_tokenised_as_the_chat_template_does() -> None:
    lengths = []
    for lesson in TAUGHT[:270]:
        ids, prompt = lesson_tokens(TOKENIZER, lesson)
        turns = [{"role": message.role, "content": message.content} for message in lesson.conversation]
        templated = TOKENIZER.apply_chat_template(turns, add_generation_prompt=True, tokenize=True)
        assert ids[:prompt] == templated["input_ids"]
        assert TOKENIZER.decode(ids[prompt:]) == lesson.reply + END
        lengths.append(len(ids))
    assert max(lengths) < 200
    assert sum(lengths) / len(lengths) < 80


def test_numbers_and_verdict_lines_are_single_tokens() -> None:
    for number in range(100):
        assert len(TOKENIZER(f" {number}")["input_ids"]) == 1
    text = "\n".join(f"{criterion.name}: GOOD" for criterion in RUBRIC.criteria)
    assert len(TOKENIZER(text)["input_ids"]) == len(RUBRIC.criteria)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80))
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER(text)["input_ids"]) == text


@pytest.mark.parametrize("text", ["Grüße, 世界 🎉", "x = f(3.14)  # done\t!", ""])
def test_foreign_texts_too(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER(text)["input_ids"]) == text


def test_a_perfect_explanation_costs_few_tokens() -> None:
    story = find_story(of("explain")[0].conversation[-1].content)
    assert story is not None
    assert len(TOKENIZER(full_explanation(story))["input_ids"]) < 15 * (len(story.steps) + 1)
