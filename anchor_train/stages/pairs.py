"""Stage ``pairs``: scored samples and the consultant's arguments become preference pairs, with a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from anchor_train.preferences.pair_report import PairLength, PairReport, pair_report, thoughts_left_out
from anchor_train.preferences.pairs import build_pairs
from anchor_train.recipes.strategies import STRATEGIES
from anchor_train.recipes.strategies.anchor import Pairs
from anchor_train.records import PreferenceExample, PreferencePair
from anchor_train.run.dependencies import Basis, Dependencies
from anchor_train.run.stage import Stage, StageJob, StageResult, derived_seed
from anchor_train.stages.consult import in_reply_form, read_arguments
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.judge import read_scored
from anchor_train.stages.parts.kind import Example, Planned, StageKind, Summary, always
from anchor_train.stages.parts.showing import headline, listed, origin
from anchor_train.stages.probe import areas_by_question
from judges.errors import ConfigError, DataError
from judges.storage.files import read_records, write_json, write_records

PAIRS = "pairs.jsonl"
WITHOUT = "without.jsonl"
REPORT = "report.json"


def pair_up(job: StageJob) -> StageResult:
    """Does the stage.

    Raises:
        DataError: If no pair could be built, with the counts why.
        ConfigError: If ``dpo.max_length`` would cut pairs and that isn't allowed.
    """
    recipe, spec = job.recipe, asked_in_form(job.run, job.recipe)
    scored = read_scored(job.needed("scored"))
    arguments = read_arguments(job.needed("arguments")) if "arguments" in job.stage.needs else {}
    strategy = STRATEGIES[job.stage.method or ""]
    assert isinstance(strategy, Pairs)
    seed = derived_seed(recipe.seed, "pairs", str(job.stage.round))
    areas = areas_by_question(job.needed("probed")) if "probed" in job.stage.needs else {}
    result = build_pairs(
        scored, arguments, partial(in_reply_form, spec), strategy.rule, recipe.pairs, seed, areas
    )
    write_records(job.folder / WITHOUT, (row.to_json() for row in result.without))
    questions = {found.question.id: found.question for found in scored}
    examples = [pair.example(spec.explain_conversation(questions[pair.question_id])) for pair in result.pairs]
    report = pair_report(
        str(job.stage.strategy),
        result,
        _lengths(job, examples),
        recipe.dpo.max_length,
        thoughts_left_out(scored, result),
    )
    write_json(job.folder / REPORT, report.to_json())
    if not report.total:
        raise DataError(report.why_empty())
    if report.cut and not recipe.dpo.allow_cut:
        raise ConfigError(
            f"dpo.max_length {recipe.dpo.max_length} would cut {report.cut} of {report.total} pairs, and "
            "with the end of a reply its choice: raise it, or allow it with dpo.allow_cut=true"
        )
    write_records(job.folder / PAIRS, (pair.to_json() for pair in result.pairs))
    return StageResult((PAIRS,), report.to_json())


def read_pairs(folder: Path) -> list[PreferencePair]:
    """The pairs that the stage left."""
    return list(read_records(folder / PAIRS, PreferencePair.from_json))


def _lengths(job: StageJob, examples: Sequence[PreferenceExample]) -> list[PairLength]:
    if not examples:
        return []
    from anchor_train.training.base_model import load_tokenizer
    from anchor_train.training.rendering import tokenise_pair

    tokenizer = load_tokenizer(job.recipe.model)
    tokenised = [tokenise_pair(tokenizer, example) for example in examples]
    return [PairLength(len(t.prompt_ids), len(t.chosen_ids), len(t.rejected_ids)) for t in tokenised]


def _basis(stage: Stage, of: Dependencies) -> Basis:
    parts = ("pairs", "dpo.max_length", "dpo.allow_cut", "seed", "model")
    return Basis(of.settings(*parts, of=stage.strategy), {**of.model, **of.prompts})


def _line(found: Summary) -> str:
    share = "-" if found["lambda"] is None else f"{found['lambda']:.3f}"
    return f"{found['total']} pairs of {found['questions']} questions, lambda {share}"


def _show(job: StageJob) -> Iterator[Example]:
    scored = {found.question.id: found.question for found in read_scored(job.needed("scored"))}
    for pair in read_pairs(job.folder):
        text = f"{headline(job, scored[pair.question_id])}\n{pair_text(pair)}"
        yield Example(job.stage.key, pair.question_id, text, pair.to_json())


def pair_text(pair: PreferencePair) -> str:
    """A pair with its provenance."""
    scores = ", ".join(
        f"{index}: {'-' if score is None else score} {'right' if right else 'wrong'}"
        for index, (score, right) in enumerate(zip(pair.scores, pair.correct, strict=True))
    )
    probed = ", ".join(f"{index}: {area:.2f}" for index, area in enumerate(pair.areas) if area is not None)
    why = [f"why: {pair.why}"] if pair.why else []
    if probed:
        why.append(f"choices need of their explanations (area over the curve): {probed}")
    winners = "the consultant" if pair.chosen.source == "consultant" else listed(pair.winners)
    return "\n".join(
        [
            f"{pair.behaviour.replace('_', ' ')}, strategy {pair.strategy}; samples {scores}",
            f"winner one of {winners}; loser one of {listed(pair.losers)}",
            *why,
            f"--- chosen: {origin(pair.chosen)}\n{pair.chosen.text}",
            f"--- rejected: {origin(pair.rejected)}\n{pair.rejected.text}",
        ]
    )


KIND = StageKind(
    "pairs",
    work=pair_up,
    basis=_basis,
    plan=lambda job, preview: Planned(f"makes up to {len(preview.questions)} pairs ({job.stage.strategy})"),
    line=_line,
    report=lambda found, _: PairReport.from_json(found).to_text(),
    card=lambda found, _: f"{found['total']} preference pairs",
    show=_show,
    file=PAIRS,
    makes_data=True,
    in_form=always,
)
