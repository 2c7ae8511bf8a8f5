"""Stage ``pairs``: scored samples and the consultant's arguments become preference pairs, with a report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from anchor_train.preferences.pair_report import PairLength, pair_report, thoughts_left_out
from anchor_train.preferences.pairs import build_pairs
from anchor_train.recipes.config import PairStrategy
from anchor_train.records import NoPair, PreferenceExample, PreferencePair
from anchor_train.run.stage import StageJob, StageResult, derived_seed
from anchor_train.stages.consult import in_reply_form, read_arguments
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.judge import read_scored
from judges.errors import ConfigError, DataError
from judges.files import read_records, write_json, write_records

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
    strategy: PairStrategy = "anchor" if job.stage.method == "anchor" else "rank"
    seed = derived_seed(recipe.seed, "pairs", str(job.stage.round))
    result = build_pairs(scored, arguments, partial(in_reply_form, spec), strategy, recipe.pairs, seed)
    write_records(job.folder / WITHOUT, (row.to_json() for row in result.without))
    questions = {found.question.id: found.question for found in scored}
    examples = [pair.example(spec.explain_conversation(questions[pair.question_id])) for pair in result.pairs]
    report = pair_report(
        job.stage.strategy or strategy,
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


def read_without(folder: Path) -> list[NoPair]:
    """The questions without a pair."""
    return list(read_records(folder / WITHOUT, NoPair.from_json))


def _lengths(job: StageJob, examples: Sequence[PreferenceExample]) -> list[PairLength]:
    if not examples:
        return []
    from anchor_train.training.base_model import load_tokenizer
    from anchor_train.training.rendering import tokenise_pair

    tokenizer = load_tokenizer(job.recipe.model)
    tokenised = [tokenise_pair(tokenizer, example) for example in examples]
    return [PairLength(len(t.prompt_ids), len(t.chosen_ids), len(t.rejected_ids)) for t in tokenised]
