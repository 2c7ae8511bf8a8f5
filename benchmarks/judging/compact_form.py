"""The compact verdict form against the full one: tokens, time, and agreement, on the pocket judge.

    python -m benchmarks.judging.compact_form --statements 600
    python -m benchmarks.judging.compact_form --teach 19200       # also after learning the letters

The pocket model judges explanations of pocket questions in both forms, each held to its form (transformers
and xgrammar), and their verdicts are compared with each other and with the ground truth, criterion by
criterion, by Cohen's kappa with quadratic weights. Intervals are 95%, by resampling statements. The shipped
model has only ever judged in the full form; ``--teach`` trains it further, on so many judgements in both.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from anchor_train.pocket.agreement import weighted_kappa
from anchor_train.pocket.making.corpus import JUDGED, OWN, Lesson
from anchor_train.pocket.making.flaws import explain
from anchor_train.pocket.making.growth import GrowthSettings, grow
from judges import Accounts, Judgement, Statement, load_judge, load_rubric
from judges.records import VerdictForm
from judges.rubrics.forms import reply_in
from judges.rubrics.prompt import JudgePrompt
from lm_eval_tasks.pocket import model_folder
from lm_eval_tasks.pocket.grading import grade
from lm_eval_tasks.pocket.questions import draw_stories, question_of
from lm_eval_tasks.tasks.load import load_task

RUBRIC = load_rubric()
SCALE = list(RUBRIC.scale)
DRAWS = 1000


def statements(count: int, seed: int) -> Iterator[Statement]:
    """Explanations of test questions, flawed as the pocket model's own and as those it learnt to judge by."""
    spec, rng = load_task("pocket_explain"), random.Random(seed)
    for story in islice(draw_stories("test", seed, "mixed"), count):
        text = explain(story, rng.choice((OWN, JUDGED)).draw(story, rng)).text
        yield Statement(spec.shown_question(question_of(story)), text)


def lessons(seed: int) -> Iterator[Lesson]:
    """Judging in both forms, of explanations of corpus questions, with the verdicts of the ground truth."""
    spec, rng = load_task("pocket_explain"), random.Random(f"letters/{seed}")
    # Mostly the form that it doesn't know; the other one so that it isn't forgotten.
    forms: tuple[VerdictForm, ...] = ("full", "compact", "compact", "compact")
    prompts = {form: JudgePrompt(RUBRIC, form) for form in set(forms)}
    for story in draw_stories("corpus", seed, "mixed"):
        for form in forms:
            text = explain(story, rng.choice((OWN, JUDGED)).draw(story, rng)).text
            levels = grade(story, text).levels()
            reply = reply_in(form, RUBRIC, {key: SCALE[level] for key, level in levels.items()})
            shown = Statement(spec.shown_question(question_of(story)), text)
            yield Lesson("judge", prompts[form].conversation(shown), reply)


def taught(model: Path, count: int, output: Path) -> Path:
    """A copy of the model that was trained further on so many lessons."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForCausalLM.from_pretrained(model)
    settings = GrowthSettings(lessons=count, warmup_steps=50)
    grow(settings, network, tokenizer, lessons(seed=7))
    network.save_pretrained(output)
    tokenizer.save_pretrained(output)
    return output


def judged(
    shown: Sequence[Statement], backend: dict[str, object], form: VerdictForm
) -> tuple[list[Judgement | None], Accounts]:
    """Verdicts in the order of the statements, None where there are none."""
    with load_judge({**backend, "verdict_form": form}, cache=None) as judge:
        outcomes = [assessment.outcome for assessment in judge.assess_all(shown)]
        return [o if isinstance(o, Judgement) else None for o in outcomes], judge.accounts


def agreement(one: Sequence[Judgement | None], other: Sequence[Judgement | None]) -> list[str]:
    """Kappa of each criterion and of the score, each with half a 95% interval."""
    both = [(a, b) for a, b in zip(one, other, strict=True) if a is not None and b is not None]

    def level(judgement: Judgement, key: str) -> int:
        return SCALE.index(judgement.verdicts[key])

    cells = [
        _estimated(
            [(level(a, criterion.key), level(b, criterion.key)) for a, b in both],
            lambda pairs: weighted_kappa(pairs, len(SCALE)),
        )
        for criterion in RUBRIC.criteria
    ]
    totals = [(RUBRIC.score(a), RUBRIC.score(b)) for a, b in both]
    return [*cells, _estimated(totals, lambda pairs: weighted_kappa(pairs, RUBRIC.max_score + 1))]


def _estimated(
    pairs: Sequence[tuple[int, int]], measure: Callable[[Sequence[tuple[int, int]]], float | None]
) -> str:
    found = measure(pairs)
    if found is None:
        return "-"
    rng = random.Random(0)
    drawn = sorted(measure(rng.choices(pairs, k=len(pairs))) or 0.0 for _ in range(DRAWS))
    half = (drawn[int(0.975 * DRAWS)] - drawn[int(0.025 * DRAWS)]) / 2
    return f"{found:.2f} ± {half:.2f}"


def main() -> None:
    """Prints the tables for RESULTS.md."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--statements", type=int, default=600)
    options.add_argument("--model", type=Path, default=model_folder(), help="a pocket model")
    options.add_argument("--teach", type=int, default=0, help="train on so many lessons in both forms first")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()

    shown = list(statements(given.statements, given.seed))
    truth, _ = judged(shown, {"backend": "pocket-oracle"}, "full")
    print(f"as shipped\n\n{report(given.model, shown, truth)}")
    if given.teach:
        with TemporaryDirectory() as folder:
            model = taught(given.model, given.teach, Path(folder))
            print(f"\nafter {given.teach} lessons in both forms\n\n{report(model, shown, truth)}")


def report(model: Path, shown: Sequence[Statement], truth: Sequence[Judgement | None]) -> str:
    """The tables of one model."""
    pocket = {"backend": "transformers", "model": str(model), "batch_size": 64}
    full, full_accounts = judged(shown, pocket, "full")
    compact, compact_accounts = judged(shown, pocket, "compact")

    lines = ["| form | judged | tokens a judgement | judgements a second |\n|---|---|---|---|"]
    for form, accounts in (("full", full_accounts), ("compact", compact_accounts)):
        tokens = accounts.usage.completion_tokens / accounts.asked
        pace = accounts.asked / accounts.seconds
        lines.append(f"| {form} | {accounts.judged} of {accounts.statements} | {tokens:.1f} | {pace:.1f} |")
    names = [criterion.name for criterion in RUBRIC.criteria]
    lines.append(f"\n| weighted kappa | {' | '.join(names)} | score |\n|---|{'---|' * (len(names) + 1)}")
    for label, one, other in (
        ("compact and full", compact, full),
        ("full and ground truth", full, truth),
        ("compact and ground truth", compact, truth),
    ):
        lines.append(f"| {label} | {' | '.join(agreement(one, other))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
