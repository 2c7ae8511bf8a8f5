"""Run folders as ``lm_eval --output_path`` and ``anchor-eval score`` leave them, with made-up content.

Each model has a skill (how often it is right) and a quality (how good its explanations are); everything
follows from a seed.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from judges.judge_info import JudgeInfo
from judges.records import Assessment, Judgement, Unjudged, Usage
from judges.rubrics.load import load_rubric
from judges.rubrics.rubric import Rubric
from judges.storage.files import sha256_of
from lm_eval_tasks.records import Choice, Question, Response, ScoredQuestion, ScoredResponse
from lm_eval_tasks.runs.judgement_files import (
    JudgementSummary,
    judgement_paths,
    write_judgements,
    write_summary,
)

RUBRIC = load_rubric()
DATE = "2026-03-14T09-26-53.589793"


@dataclass(frozen=True)
class FakeModel:
    """How a made-up model behaves.

    Attributes:
        skill: Probability of a right answer.
        quality: Mean place on the scale, 0 (worst) to 1 (best).
        wordiness: Sentences an explanation.
        unreadable: Share of replies without the tags.
        unjudged: Share of explanations that the judge's reply says nothing on.
    """

    name: str
    skill: float
    quality: float
    wordiness: int = 3
    unreadable: float = 0.01
    unjudged: float = 0.005


BASE = FakeModel("base", 0.58, 0.60, 3)
SFT = FakeModel("sft", 0.66, 0.565, 2)
RANK = FakeModel("rank", 0.66, 0.606, 4)
ANCHOR = FakeModel("anchor", 0.69, 0.625, 4)
SIX = (
    BASE,
    SFT,
    RANK,
    ANCHOR,
    replace(ANCHOR, name="anchor-seed2", skill=0.68, quality=0.622),
    FakeModel("tiny", 0.35, 0.46, 1, 0.08, 0.02),
)


@dataclass(frozen=True)
class Evaluation:
    """What the runs have in common.

    Attributes:
        form: The reply form.
        left_out: Rows of the data that couldn't be read.
        retext: Turns an explanation into another one, e.g. a hostile one; gets question id and sample number.
    """

    task: str = "pocket_explain"
    questions: int = 60
    repeats: int = 4
    version: str = "1.0"
    prompts: str = "c0ffee0123456789"
    judge: str = "openai:judge-70b@http://localhost:8000/v1"
    rubric: Rubric = RUBRIC
    seed: int = 0
    price: float | None = 0.0002
    context: bool = False
    temperature: float = 0.6
    form: str = "asked"
    left_out: tuple[str, ...] = ()
    retext: Callable[[str, str, int], str] = field(default=lambda text, question, sample: text)


def write_run(folder: Path, model: FakeModel, *evaluations: Evaluation, judged: bool = True) -> Path:
    """Writes a run folder with one log a task; returns the folder."""
    holder = folder / model.name / f"made__{model.name}"
    holder.mkdir(parents=True, exist_ok=True)
    results = {
        "model_name": f"made/{model.name}",
        "chat_template_sha": "5eed",
        "versions": {e.task: e.version for e in evaluations},
        "configs": {
            e.task: {
                "task": e.task,
                "repeats": e.repeats,
                "generation_kwargs": {"do_sample": True, "temperature": e.temperature, "top_p": 0.9},
                "metadata": {
                    "version": e.version,
                    "prompt_fingerprint": e.prompts,
                    "reply_form": e.form,
                    "counts": {"rows_left_out": len(e.left_out), "left_out": list(e.left_out)},
                },
            }
            for e in evaluations
        },
    }
    (holder / f"results_{DATE}.json").write_text(json.dumps(results), encoding="utf-8")
    for evaluation in evaluations:
        _write_task(holder, model, evaluation, judged)
    return folder / model.name


def make_questions(evaluation: Evaluation) -> list[Question]:
    """The same questions for every model of the same task and seed."""
    draw = random.Random(f"{evaluation.task} {evaluation.seed}")
    return [
        _question(draw, f"{evaluation.task}-{n:04d}", evaluation.context) for n in range(evaluation.questions)
    ]


def score_model(model: FakeModel, evaluation: Evaluation) -> list[ScoredQuestion]:
    """What the model wrote and what the judge made of it."""
    draw = random.Random(f"{model.name} {evaluation.task} {evaluation.seed}")
    scored = []
    for question in make_questions(evaluation):
        ease = random.Random(question.id).gauss(0, 0.28)
        samples = [
            _sample(draw, model, evaluation, question, ease, number) for number in range(evaluation.repeats)
        ]
        scored.append(ScoredQuestion(question, tuple(samples)))
    return scored


def judge_info(evaluation: Evaluation) -> JudgeInfo:
    """The judge of an evaluation."""
    rubric = evaluation.rubric
    return JudgeInfo(
        name=evaluation.judge,
        backend="openai",
        model="judge-70b",
        rubric=rubric.name,
        rubric_version=rubric.version,
        rubric_fingerprint=rubric.fingerprint,
        units=rubric.units,
        max_score=rubric.max_score,
        criteria={criterion.key: criterion.name for criterion in rubric.criteria},
        sampling={"temperature": 0.0, "top_p": 1.0, "max_tokens": 256, "seed": None},
        constrained=True,
        scale={verdict: str(points) for verdict, points in rubric.scale.items()},
    )


def prompt_of(question: Question) -> str:
    """A prompt as the harness logs it for chat models."""
    turns = [
        {"role": "system", "content": "Explain, then choose."},
        {"role": "user", "content": f"Question:\n{question.question}"},
    ]
    return json.dumps(turns)


def _write_task(holder: Path, model: FakeModel, evaluation: Evaluation, judged: bool) -> None:
    scored = score_model(model, evaluation)
    log = holder / f"samples_{evaluation.task}_{DATE}.jsonl"
    with log.open("w", encoding="utf-8") as file:
        for number, item in enumerate(scored):
            bare = [replace(response, assessment=None, score=None) for response in item.responses]
            row = {
                "doc_id": number,
                "doc": item.question.to_json(),
                "target": item.question.gold,
                "arguments": {
                    "gen_args_0": {"arg_0": [prompt_of(item.question)], "arg_1": {"temperature": 0.6}}
                },
                "resps": [[response.response.text for response in item.responses]],
                "filtered_resps": [json.dumps(response.to_json()) for response in bare],
                "filter": "none",
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    if not judged:
        return
    info = judge_info(evaluation)
    responses = [response for item in scored for response in item.responses]
    unreadable = sum(response.response.explanation is None for response in responses)
    outcomes = [response.assessment.outcome for response in responses if response.assessment is not None]
    unjudged = sum(isinstance(outcome, Unjudged) for outcome in outcomes)
    summary = JudgementSummary(
        name=info.slug,
        task=evaluation.task,
        date="2026-03-15T10:00:00",
        judge=info,
        source=log.name,
        source_sha256=sha256_of(log),
        model=f"made/{model.name}",
        questions=len(scored),
        responses=len(responses),
        judged=sum(response.score is not None for response in responses),
        unreadable={"no_tag": unreadable} if unreadable else {},
        unjudged={"unparsable": unjudged} if unjudged else {},
        prompt_tokens=sum(
            response.assessment.usage.prompt_tokens for response in responses if response.assessment
        ),
        completion_tokens=0,
        price=None,
        accounts={},
        metrics={},
    )
    rows, about = judgement_paths(holder, evaluation.task, info.slug)
    write_judgements(rows, scored)
    write_summary(about, summary)


_SHOPS = (
    "bakery",
    "library",
    "workshop",
    "orchard",
    "school kitchen",
    "repair stand",
    "bookshop",
    "greenhouse",
)
_THINGS = ("loaves", "atlases", "lamps", "apples", "plates", "tyres", "novels", "seedlings")
_PASSAGE = (
    "The {shop} keeps a ledger. On ordinary days the first batch is counted before noon and the second "
    "after it, "
    "and nobody may move anything between the shelves while the count goes on. On the day in question a "
    "helper "
    "moved {moved} {thing} from the second shelf to the first before anybody had counted."
)
_OPENINGS = (
    "The {shop} starts with {a} rows of {b}, so there are {product} {thing} at first.",
    "Multiplying rows by their length gives {a} × {b} = {product} {thing}.",
    "Each of the {a} rows holds {b} {thing}; together that makes {product}.",
)
_STEPS = (
    "Then {c} of them are taken away, which leaves {product} − {c} = {answer}.",
    "Since {c} {thing} leave the {shop}, subtracting them gives {answer}.",
    "Nothing is said about {thing} coming back, so the {c} that left stay out of the count.",
    "The other choices follow from adding instead of subtracting, or from leaving one row out.",
    "A quick check: {answer} + {c} = {product}, which agrees with the rows.",
    "This is the usual order of such a count: first the whole, then what is missing.",
)


def _question(draw: random.Random, name: str, context: bool) -> Question:
    place = draw.randrange(len(_SHOPS))
    a, b, c = draw.randint(3, 12), draw.randint(4, 15), draw.randint(2, 11)
    right = a * b - c
    options = list({right, a * b + c, (a - 1) * b - c, right + b, right - 1})[:5]
    if right not in options:
        options[0] = right
    draw.shuffle(options)
    labels = "ABCDE"[: len(options)]
    return Question(
        id=name,
        context=_PASSAGE.format(shop=_SHOPS[place], thing=_THINGS[place], moved=c) if context else None,
        question=(
            f"A {_SHOPS[place]} has {a} rows of {b} {_THINGS[place]}. During the morning {c} of them are "
            "taken away. "
            f"How many {_THINGS[place]} are left?"
        ),
        choices=tuple(
            Choice(label, f"{option} {_THINGS[place]}") for label, option in zip(labels, options, strict=True)
        ),
        gold=labels[options.index(right)],
    )


def _sample(
    draw: random.Random,
    model: FakeModel,
    evaluation: Evaluation,
    question: Question,
    ease: float,
    number: int,
) -> ScoredResponse:
    right = draw.random() < min(max(model.skill + ease, 0.02), 0.98)
    wrong = [label for label in question.labels if label != question.gold]
    choice = question.gold if right else draw.choice(wrong)
    text = evaluation.retext(_explanation(draw, model, question, choice), question.id, number)
    if draw.random() < model.unreadable:
        return ScoredResponse(
            Response(text, None, choice if right else None, "no_tag", None if right else "no_tag"), right
        )
    reply = f"<explanation>\n{text}\n</explanation>\n<choice>\n{choice}\n</choice>"
    response = Response(reply, text, choice)
    if draw.random() < model.unjudged:
        raw = "I would say that this explanation is rather good."
        outcome = Unjudged("unparsable", "no line for Factual Accuracy")
        return ScoredResponse(
            response, right, Assessment(outcome, raw, 1, Usage(420, 12), 0.4, False, evaluation.price)
        )
    verdicts = _verdicts(draw, evaluation.rubric, model.quality + (0.1 if right else -0.22) + ease / 3)
    judgement = Judgement(verdicts)
    raw = "\n".join(f"{c.name}: {verdicts[c.key]}" for c in evaluation.rubric.criteria)
    assessment = Assessment(judgement, raw, 1, Usage(420, 45), 0.4, False, evaluation.price)
    return ScoredResponse(response, right, assessment, evaluation.rubric.score(judgement))


def _explanation(draw: random.Random, model: FakeModel, question: Question, choice: str) -> str:
    words = question.question.split()
    a, b, thing = words[3], words[6], words[7].rstrip(".")
    c = question.question.split("morning ")[1].split()[0]
    shop = question.question.split("A ")[1].split(" has")[0]
    if not a.isdigit():
        a, b, thing = words[4], words[7], words[8].rstrip(".")
    answer = next(option.text for option in question.choices if option.label == choice).split()[0]
    facts = {
        "a": a,
        "b": b,
        "c": c,
        "thing": thing,
        "shop": shop,
        "product": int(a) * int(b),
        "answer": answer,
    }
    steps = draw.sample(_STEPS, k=min(len(_STEPS), max(0, model.wordiness - 1 + draw.randint(0, 1))))
    return (
        " ".join(line.format(**facts) for line in (draw.choice(_OPENINGS), *steps))
        + f" So the answer is {choice}."
    )


def _verdicts(draw: random.Random, rubric: Rubric, level: float) -> dict[str, str]:
    scale = list(rubric.scale)
    common = draw.gauss(0, 0.13)
    lean = {criterion.key: _lean(criterion.key) for criterion in rubric.criteria}
    return {
        key: scale[
            min(
                max(round((1 - level - common - shift - draw.gauss(0, 0.1)) * (len(scale) - 1)), 0),
                len(scale) - 1,
            )
        ]
        for key, shift in lean.items()
    }


def _lean(key: str) -> float:
    return (int(hashlib.sha256(key.encode()).hexdigest(), 16) % 100 - 50) / 500


def write_runs(folder: Path, models: Sequence[FakeModel], *evaluations: Evaluation) -> Path:
    """Writes a run folder for each model; returns the folder of run folders."""
    for model in models:
        write_run(folder, model, *evaluations)
    return folder
