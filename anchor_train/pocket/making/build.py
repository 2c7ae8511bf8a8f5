"""Makes the pocket model again from nothing: tokenizer, training, and a folder that says how it was made."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anchor_train.pocket.making import corpus
from anchor_train.pocket.making.flaws import Flaws, explain
from anchor_train.pocket.making.growth import GrowthSettings, Progress, grow, new_model
from anchor_train.pocket.making.refinement import FAMILIES
from anchor_train.pocket.making.tokens import build_tokenizer
from judges.records import Conversation, Statement
from judges.rubrics.load import load_rubric
from judges.rubrics.prompt import JudgePrompt
from judges.rubrics.rubric import Rubric
from lm_eval_tasks.pocket.explanations import PADDING, full_explanation
from lm_eval_tasks.pocket.questions import draw_stories, question_of, range_of
from lm_eval_tasks.records import Json
from lm_eval_tasks.tasks.load import load_task
from lm_eval_tasks.tasks.spec import TaskSpec

TASK = "pocket_explain"
PROVENANCE = "provenance.json"
TRANSCRIPT = "transcript.json"
# Questions in the transcript; each is asked in all roles.
TRANSCRIPT_QUESTIONS = 3
# Room for the longest reply: two explanations and a principle.
REPLY_TOKENS = 320


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a pocket model was made.

    Attributes:
        task_prompts: Fingerprint of the task's prompt texts that it was trained on.
        refine_prompts: Fingerprint of the texts of naming principles and refining that it was trained on.
        rubric: Fingerprint of the rubric that it learned to judge by.
        settings: Its size and training.
        habits: How often the explanations it learned from were flawed.
        tokens: Tokens it was trained on, padding included.
        seconds: Time that training took.
        versions: Libraries.
    """

    task_prompts: str
    refine_prompts: str
    rubric: str
    settings: Json
    habits: Json
    tokens: int
    seconds: int
    versions: dict[str, str]

    @staticmethod
    def read(folder: Path) -> Provenance:
        """Reads it from beside the weights."""
        return Provenance(**json.loads((folder / PROVENANCE).read_text(encoding="utf-8")))


def build(
    output: Path, settings: GrowthSettings, on_progress: Callable[[Progress], None] = lambda progress: None
) -> Provenance:
    """Trains a pocket model and writes it to a folder in Hugging Face's form.

    Args:
        output: The folder; files of the same names are replaced.
        settings: Its size and training.
        on_progress: Called every fifty steps.
    """
    spec, rubric = load_task(TASK), load_rubric()
    tokenizer = build_tokenizer(spec, rubric)
    model = new_model(settings, tokenizer)
    last = Progress(0, 0, 0.0, 0.0, 0)

    def report(progress: Progress) -> None:
        nonlocal last
        last = progress
        on_progress(progress)

    grow(settings, model, tokenizer, corpus.lessons(spec, rubric, settings.seed), report)
    provenance = Provenance(
        task_prompts=spec.fingerprint,
        refine_prompts=spec.refine_prompts.fingerprint,
        rubric=rubric.fingerprint,
        settings=settings.model_dump(),
        habits={
            "own": asdict(corpus.OWN),
            "told": asdict(corpus.TOLD),
            "judged": asdict(corpus.JUDGED),
            "verdict_noise": corpus.VERDICT_NOISE,
            "told_right": corpus.TOLD_RIGHT,
            "asked": asdict(corpus.ASKED),
            "by_itself": asdict(corpus.BY_ITSELF),
            "hinted": corpus.HINTED,
            "lessons_of_a_story": corpus.LESSONS,
        },
        tokens=last.tokens,
        seconds=round(last.seconds),
        versions={library: version(library) for library in ("torch", "transformers", "tokenizers")},
    )
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    _write(output / PROVENANCE, asdict(provenance))
    _write(output / TRANSCRIPT, transcript(model, tokenizer, spec, rubric))
    return provenance


def role_conversations(spec: TaskSpec, rubric: Rubric, seed: int = 0) -> list[Conversation]:
    """A few validation questions, each as the model is asked about it in all its roles."""
    judge = JudgePrompt(rubric)
    asked: list[Conversation] = []
    for story, _ in zip(draw_stories("validation", seed), range(TRANSCRIPT_QUESTIONS), strict=False):
        question = question_of(story)
        flawed = explain(story, Flaws(bare=True, padding=PADDING[:1]))
        first = spec.format_response(flawed.text, range_of(flawed.conclusion))
        reference = spec.format_response(full_explanation(story), question.gold)
        asked += [
            spec.explain_conversation(question),
            spec.answer_conversation(question),
            judge.conversation(Statement(spec.shown_question(question), full_explanation(story))),
            spec.consultant_conversation(question),
            spec.principle_conversation(question, first, reference),
            spec.refine_conversation(question, first, FAMILIES[0].wordings[0]),
            spec.refined_explain_conversation(question),
        ]
    return asked


def transcript(model: Any, tokenizer: Any, spec: TaskSpec, rubric: Rubric) -> list[Json]:
    """What a model says, greedily, in all its roles: ``{conversation, reply}`` each."""
    import torch

    asked = [
        [{"role": message.role, "content": message.content} for message in conversation]
        for conversation in role_conversations(spec, rubric)
    ]
    texts = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    prompts = tokenizer(
        texts, add_special_tokens=False, padding=True, padding_side="left", return_tensors="pt"
    )
    with torch.inference_mode():
        written = model.generate(**prompts, do_sample=False, max_new_tokens=REPLY_TOKENS)
    replies = tokenizer.batch_decode(written[:, prompts["input_ids"].shape[1] :], skip_special_tokens=True)
    return [
        {"conversation": messages, "reply": reply} for messages, reply in zip(asked, replies, strict=True)
    ]


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
