"""Thoughts of all dialects: left out of what is said, and nothing said where a reply ends inside one."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges.models.thoughts import end_of_opened_thought, is_empty_thought, made_plain, opened_by, said

ANSWER = "<explanation>It floats.</explanation>\n<choice>B</choice>"
DRAFT = "Perhaps <explanation>it sinks</explanation><choice>A</choice>, but wait."
HARMONY = "<|channel|>analysis<|message|>"
FINAL = "<|end|><|start|>assistant<|channel|>final<|message|>"
DIALECTS = [
    ("<think>", "</think>"),
    ("<Think >", "< / THINK >"),
    ('<think budget="3">', "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<reflection>", "</reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<ifm|think_fast>", "</ifm|think_fast>"),
    ("<thought_process>", "</thought_process>"),
    ("<chain-of-thought>", "</chain-of-thought>"),
    ("<internal_reasoning>", "</internal_reasoning>"),
    ("<internal_monologue>", "</internal_monologue>"),
    ("<|think|>", "<|/think|>"),
    ("<|thinking|>", "<|/thinking|>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>\n\n<|begin_of_solution|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|open|>think<|sep|>", "<|close|>think<|sep|><|open|>response<|sep|>"),
    ("<|content_thinking|>", "<|end_message|><|message_model|><|content_text|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|channel>thought\n", "<channel|>"),
    (HARMONY, FINAL),
    ("<|start|>assistant" + HARMONY, FINAL),
    ("analysisWe weigh it. ", "assistantfinal"),
    ("Here is my thought process:", "Here is my response:"),
]
each = pytest.mark.parametrize(("start", "end"), DIALECTS, ids=[start for start, _ in DIALECTS])


@each
def test_a_thought_is_no_part_of_what_is_said(start: str, end: str) -> None:
    found = said(f"{start}{DRAFT}{end}{ANSWER}")
    assert (found.text.strip(), found.cut) == (ANSWER, False)


@each
def test_a_reply_that_ends_inside_a_thought_says_nothing(start: str, end: str) -> None:
    assert said(f"{start}{DRAFT}") == said(start)
    assert (said(f"{start}{DRAFT}").text.strip(), said(f"{start}{DRAFT}").cut) == ("", True)


@pytest.mark.parametrize(
    "end", ["</think>", "</seed:think>", "[/THINK]", "<unused95>", "<|END_THINKING|>", FINAL]
)
def test_a_thought_may_have_begun_in_the_prompt(end: str) -> None:
    found = said(f"{DRAFT}{end}{ANSWER}")
    assert (found.text, found.cut) == (ANSWER, False)


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{DRAFT}</thinking>{ANSWER}",  # closed by another name
        f"<think>\n<think>{DRAFT}</think>{ANSWER}",  # the prompt had opened it already
        f"<thinking>one <think>{DRAFT}</think> two</thinking>{ANSWER}",
        f"<think>one <reflection>two</reflection>{DRAFT}</think>{ANSWER}",
        f"<think>{DRAFT}</think>{ANSWER}<|return|>",
        f"{HARMONY}one<|end|><|start|>assistant<|channel|>commentary<|message|>two{FINAL}{ANSWER}<|return|>",
    ],
)
def test_odd_nesting(text: str) -> None:
    found = said(text)
    assert (found.text, found.cut) == (ANSWER, False)


def test_an_inner_thought_that_ends_ends_no_outer_one() -> None:
    found = said(f"Well. <think>one <reflection>two</reflection> {DRAFT}")
    assert (found.text, found.cut) == ("Well. ", True)


@pytest.mark.parametrize(
    "text",
    [
        ANSWER,
        "I think [so].",
        "analysis of the facts shows B",
        "The final answer: B",
        "a<b and c>d",
        "x <thinks> y",
        "<unreasonable>so</unreasonable> it seems",
    ],
)
def test_what_only_looks_like_a_thought_stays(text: str) -> None:
    assert (said(text).text, said(text).cut) == (text, False)


@pytest.mark.parametrize(
    ("prompt", "mark"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>\n"),
        ("[/INST][THINK]", "[THINK]"),
        ("<|START_THINKING|>", "<|START_THINKING|>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("Write <think> first.\nuser", ""),
    ],
)
def test_whether_a_prompt_opens_a_thought(prompt: str, mark: str) -> None:
    assert opened_by(prompt) == mark


@given(
    st.lists(st.sampled_from([*(mark for pair in DIALECTS for mark in pair), ANSWER, " ", "x"])).map("".join)
)
def test_a_text_made_plain_has_no_thoughts(text: str) -> None:
    plain = made_plain(text)
    assert made_plain(plain) == plain
    begun = said(f"It says: {plain}")
    assert (begun.text.startswith("It says:"), begun.cut) == (True, False)


@given(st.text())
def test_any_text_is_taken_apart(text: str) -> None:
    said(text)
    opened_by(text)


@pytest.mark.parametrize(
    "unit", ["<", "<think>", "</think>", "< ", "[", "<|channel|>", "a_", "<a:think", "analysis"]
)
def test_long_replies_take_no_time(unit: str) -> None:
    began = time.process_time()
    said(unit * (200_000 // len(unit)))
    assert time.process_time() - began < 5  # seconds of CPU


@pytest.mark.parametrize(
    ("prompt", "end"),
    [
        ("<|user|>Why?<|assistant|><think>\n", "\n</think>\n\n"),
        ("Why?<think>", "\n\n</think>\n\n"),
        ("Why?[THINK]", "\n\n[/THINK]\n\n"),
        ("Why?◁think▷", "\n\n◁/think▷\n\n"),
        ("Why?<|START_THINKING|>", "\n\n<|END_THINKING|>\n\n"),
        ("Why?<|begin_of_thought|>\n\n", "\n<|end_of_thought|>\n\n"),
        ("Why?<|content_thinking|>", "\n\n<|content_text|>\n\n"),
        ("Why? <think>2 + 2</think>", ""),
        ("Why?", ""),
    ],
)
def test_a_thought_that_a_prompt_opens_is_ended_in_its_own_dialect(prompt: str, end: str) -> None:
    assert end_of_opened_thought(prompt) == end
    if end:
        opened = opened_by(prompt)
        assert said(f"{opened}2 + 2 = 4{end}B") == said(f"{opened}{end}B")
        assert is_empty_thought(f"{opened}{end}")
        assert not is_empty_thought(f"{opened}{end}B")
