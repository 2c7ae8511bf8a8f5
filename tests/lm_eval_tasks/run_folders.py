"""Small run folders in lm_eval's own output layout, for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judges.judge_info import JudgeInfo
from judges.records import Assessment, Judgement, Unjudged
from judges.rubrics.load import load_rubric
from lm_eval_tasks.records import Choice, Question, Response, ScoredQuestion, ScoredResponse

DATE = "2025-03-01T10-00-00.000000"
RUBRIC = load_rubric()
VERDICTS = list(RUBRIC.scale)
JUDGE = JudgeInfo(
    name="scripted:replies.yaml",
    backend="scripted",
    model="replies.yaml",
    rubric=RUBRIC.name,
    rubric_version=RUBRIC.version,
    rubric_fingerprint=RUBRIC.fingerprint,
    units=RUBRIC.units,
    max_score=RUBRIC.max_score,
    criteria={criterion.key: criterion.name for criterion in RUBRIC.criteria},
    sampling={"temperature": 0.0},
    scale={verdict: str(points) for verdict, points in RUBRIC.scale.items()},
)


def question(number: int) -> Question:
    choices = (Choice("A", "two"), Choice("B", "four"), Choice("C", "five"))
    return Question(f"q{number}", f"What is 2 + 2, asked for the {number}th time?", choices, gold="B")


def reply(verdicts: Sequence[str] | None, *, choice: str = "B", words: int = 5) -> ScoredResponse:
    """A response; ``verdicts`` None leaves it unjudged by a failed request."""
    explanation = " ".join(["because"] * words)
    text = f"<explanation>{explanation}</explanation><choice>{choice}</choice>"
    response = Response(text, explanation, choice)
    if verdicts is None:
        return ScoredResponse(response, choice == "B", Assessment(Unjudged("failed", "no reply")))
    keys = [criterion.key for criterion in RUBRIC.criteria]
    judgement = Judgement(dict(zip(keys, verdicts, strict=True)))
    return ScoredResponse(response, choice == "B", Assessment(judgement, raw="..."), RUBRIC.score(judgement))


def level(place: int, **how: Any) -> ScoredResponse:
    """A response with the same verdict on every criterion, 0 the best."""
    return reply([VERDICTS[place]] * len(RUBRIC.criteria), **how)


def write_run(
    path: Path,
    tasks: Mapping[str, Sequence[ScoredQuestion]],
    *,
    model: str = "model-a",
    date: str = DATE,
    judged: bool = True,
    fingerprint: str = "0123",
) -> Path:
    """Writes results and samples as ``lm_eval --output_path PATH --log_samples`` does."""
    folder = path / model
    folder.mkdir(parents=True, exist_ok=True)
    configs: dict[str, Any] = {
        task: {
            "repeats": max(len(scored.responses) for scored in questions),
            "generation_kwargs": {"temperature": 0.6, "top_p": 0.9},
            "metadata": {"version": 1, "prompt_fingerprint": fingerprint, "judge_info": JUDGE.to_json()},
        }
        for task, questions in tasks.items()
    }
    if not judged:
        for config in configs.values():
            del config["metadata"]["judge_info"]
    results = {"model_name": model, "configs": configs, "chat_template_sha": None}
    (folder / f"results_{date}.json").write_text(json.dumps(results), encoding="utf-8")
    for task, questions in tasks.items():
        rows = [_row(number, scored, judged) for number, scored in enumerate(questions)]
        log = folder / f"samples_{task}_{date}.jsonl"
        log.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _row(number: int, scored: ScoredQuestion, judged: bool) -> dict[str, Any]:
    parsed = [response.to_json() for response in scored.responses]
    if not judged:
        parsed = [row | {"judgement": None, "score": None} for row in parsed]
    return {
        "doc_id": number,
        "doc": scored.question.to_json(),
        "target": scored.question.gold,
        "resps": [[response.response.text for response in scored.responses]],
        "filtered_resps": [[json.dumps(row) for row in parsed]],
        "filter": "explain",
        "metrics": ["acc"],
    }
