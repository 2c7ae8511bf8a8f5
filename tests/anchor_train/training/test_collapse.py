"""Signs of a collapse, against what the same prompts gave at the start."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from anchor_train.training.collapse import Sample, fall_of_the_bad, repetition, signs

HEALTHY = Sample(step=0, prompt=0, id="q1", text="...", tokens=80, ended=True, repetition=0.05, kl=0.0)


def test_repetition_is_the_share_of_ngrams_that_stood_before() -> None:
    assert repetition([1, 2, 3, 4, 5, 6]) == 0
    assert repetition([7] * 13) == 0.9  # ten 4-grams, one kind
    assert repetition([1, 2, 3]) == 0


@given(st.lists(st.integers(0, 3), max_size=60))
def test_repetition_is_a_share(tokens: list[int]) -> None:
    assert 0 <= repetition(tokens) < 1


def test_a_healthy_sample_gives_no_sign() -> None:
    assert signs([HEALTHY], [replace(HEALTHY, step=100, tokens=60, repetition=0.2, kl=0.4)]) == []


def test_loops_shrinking_and_endless_replies_are_named() -> None:
    looping = replace(HEALTHY, step=200, repetition=0.8, tokens=200, ended=False)
    assert signs([HEALTHY], [looping]) == [
        "step 200, sample of q1: repeats itself (5% -> 80% of 4-grams)",
        "step 200, sample of q1: no longer ends by itself (80 -> 200 tokens)",
    ]
    assert signs([HEALTHY], [replace(HEALTHY, step=200, tokens=3)]) == [
        "step 200, sample of q1: got very short (80 -> 3 tokens)"
    ]


def test_a_model_that_always_looped_is_not_blamed_on_the_training() -> None:
    loops = replace(HEALTHY, repetition=0.9, ended=False)
    assert signs([loops], [replace(loops, step=100)]) == []


def test_samples_survive_the_log() -> None:
    assert Sample.from_json(HEALTHY.to_json()) == HEALTHY


def test_bad_replies_may_become_less_likely_but_not_without_end():
    assert fall_of_the_bad(10, before=-0.8, now=-1.2) == []
    assert fall_of_the_bad(10, before=-0.8, now=-0.1) == []
    (found,) = fall_of_the_bad(10, before=-0.8, now=-4.1)
    assert found.startswith("step 10: bad replies have become very unlikely (-0.80 -> -4.10 nats a token)")
