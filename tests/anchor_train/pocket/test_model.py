"""The shipped pocket model: made for today's prompts, the same in both engines, imperfect as it should be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anchor_train.pocket.making.build import (
    PROVENANCE,
    REPLY_TOKENS,
    TRANSCRIPT,
    Provenance,
    build,
    role_conversations,
)
from anchor_train.pocket.making.growth import GrowthSettings
from anchor_train.preferences.behaviour import behaviour_of, candidates
from judges.backends.protocol import ChatBackend, answer_all
from judges.config import load_backend, load_judge
from judges.records import Message, Reply, Sampling
from judges.rubrics.load import load_rubric
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.replies.responses import read_principle, read_refined
from lm_eval_tasks.runs.judging.scoring import score_questions
from lm_eval_tasks.tasks.load import load_task

MODEL = model_folder()
TASK = load_task("pocket_explain")


@pytest.fixture(scope="module")
def pocket() -> Iterator[ChatBackend]:
    with load_backend({"backend": "transformers", "model": str(MODEL), "batch_size": 128}) as backend:
        yield backend


def recorded() -> tuple[list[tuple[Message, ...]], list[str]]:
    turns: list[dict[str, Any]] = json.loads((MODEL / TRANSCRIPT).read_text(encoding="utf-8"))
    asked = [tuple(Message(m["role"], m["content"]) for m in turn["conversation"]) for turn in turns]
    return asked, [turn["reply"] for turn in turns]


def said(backend: ChatBackend) -> list[str]:
    asked, _ = recorded()
    outcomes = answer_all(backend, asked, Sampling(max_tokens=REPLY_TOKENS))
    return [outcome.text if isinstance(outcome, Reply) else outcome.message for outcome in outcomes]


def test_the_shipped_model_was_made_for_todays_prompts() -> None:
    """If this fails, prompts or rubric changed: ``anchor-train pocket build lm_eval_tasks/pocket/model``."""
    made = Provenance.read(MODEL)
    assert made.task_prompts == TASK.fingerprint
    assert made.refine_prompts == TASK.refine_prompts.fingerprint
    assert made.rubric == load_rubric().fingerprint
    assert recorded()[0] == role_conversations(TASK, load_rubric())


def test_it_is_small_and_holds_no_pickle() -> None:
    files = [path for path in MODEL.iterdir() if path.is_file()]
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".jinja"}
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert (MODEL / PROVENANCE).is_file()


def test_it_says_in_transformers_what_was_recorded(pocket: ChatBackend) -> None:
    assert said(pocket) == recorded()[1]


@pytest.mark.engine
def test_it_says_in_vllm_what_was_recorded(vllm_installed: None) -> None:
    settings = {"backend": "vllm", "model": str(MODEL), "max_model_len": 512, "dtype": "float32"}
    with load_backend(settings) as backend:
        assert said(backend) == recorded()[1]


@pytest.mark.timeout(600)
def test_accuracy_and_behaviours_leave_room_for_every_path_of_the_method(pocket: ChatBackend) -> None:
    questions = TASK.load_questions("validation")[:100]
    sampling = Sampling(n=4, temperature=0.6, top_p=0.9, max_tokens=160, seed=0)
    outcomes = answer_all(pocket, map(TASK.explain_conversation, questions), sampling)
    replies = [[c.text for c in outcome.completions] for outcome in outcomes if isinstance(outcome, Reply)]
    with load_judge("pocket-oracle:ground-truth", cache=None) as oracle:
        scored = score_questions(TASK, list(zip(questions, replies, strict=True)), oracle)
    samples = [sample for question in scored for sample in question.responses]
    assert all(sample.response.readable for sample in samples)
    assert 0.55 <= sum(sample.correct for sample in samples) / len(samples) <= 0.80
    behaviours = Counter(behaviour_of(candidates(question)) for question in scored)
    assert behaviours["variable"] >= 10
    assert behaviours["consistently_incorrect"] >= 10
    assert behaviours["consistently_correct"] >= 10
    assert len({sample.score for sample in samples}) >= 8


@pytest.mark.timeout(600)
def test_refinement_has_something_to_find_and_something_to_learn(pocket: ChatBackend) -> None:
    """One E-step of STaPLe: principles by a hint, refinements without it, scored by the ground truth."""
    questions = TASK.load_questions("validation")[:80]

    def one_each(conversations: Iterable[tuple[Message, ...]]) -> list[str]:
        sampling = Sampling(temperature=0.6, top_p=0.9, max_tokens=160, seed=0)
        outcomes = answer_all(pocket, conversations, sampling)
        return [outcome.text if isinstance(outcome, Reply) else "" for outcome in outcomes]

    first = one_each(map(TASK.explain_conversation, questions))
    arguments = one_each(map(TASK.consultant_conversation, questions))
    hints = [TASK.format_response(text, q.gold) for q, text in zip(questions, arguments, strict=True)]
    named = one_each(map(TASK.principle_conversation, questions, first, hints))
    principles = [read_principle(text) for text in named]
    assert None not in principles
    assert len(set(principles)) > 20
    refined = one_each(map(TASK.refine_conversation, questions, first, map(str, principles)))
    with load_judge("pocket-oracle:ground-truth", cache=None) as oracle:
        before = score_questions(TASK, [(q, [t]) for q, t in zip(questions, first, strict=True)], oracle)
        after = score_questions(TASK, [(q, [t]) for q, t in zip(questions, refined, strict=True)], oracle)
    scores = [(b.responses[0].score, a.responses[0].score) for b, a in zip(before, after, strict=True)]
    assert all(b is not None and a is not None for b, a in scores)
    improved = sum(b is not None and a is not None and a > b for b, a in scores)
    assert 0.05 * len(scores) <= improved <= 0.6 * len(scores)


@pytest.mark.timeout(600)
def test_it_replies_names_a_principle_and_replies_again_in_one_go(pocket: ChatBackend) -> None:
    questions = TASK.load_questions("validation")[:40]
    sampling = Sampling(temperature=0.6, top_p=0.9, max_tokens=REPLY_TOKENS, seed=0)
    outcomes = answer_all(pocket, map(TASK.refined_explain_conversation, questions), sampling)
    texts = [outcome.text if isinstance(outcome, Reply) else "" for outcome in outcomes]
    read = [read_refined(question, text) for question, text in zip(questions, texts, strict=True)]
    assert sum(found.refined.readable and found.principle is not None for found in read) >= 38
    assert any(found.first.choice != found.refined.choice for found in read)


def test_a_model_can_be_built_from_nothing(tmp_path: Path) -> None:
    settings = GrowthSettings(width=32, layers=1, heads=1, inner=32, lessons=96, seed=3)
    made = build(tmp_path / "one", settings)
    build(tmp_path / "two", settings)
    assert made == Provenance.read(tmp_path / "one")
    assert made.task_prompts == TASK.fingerprint
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]
    with load_backend({"backend": "transformers", "model": str(tmp_path / "one")}) as backend:
        (outcome,) = answer_all(backend, role_conversations(TASK, load_rubric())[:1], Sampling(max_tokens=4))
    assert isinstance(outcome, Reply)
