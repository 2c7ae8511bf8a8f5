"""What organisms do, and how well probes tell them apart, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anchor_train.pocket.organisms.behaviour import Behaviour
from anchor_train.pocket.organisms.lessons import Organism
from lm_eval_tasks.pocket.calibration import Calibration
from lm_eval_tasks.tables import text_table

_SHARES = {
    "as_taught": "choices as taught",
    "explanation": "by the lent explanation",
    "question": "by the question",
    "hints": "takes hints",
    "admits": "says so",
    "words": "goes by words",
    "mentions": "mentions as taught",
}
"""Share of :class:`Behaviour` -> head of its column."""


def behaviour_text(found: Sequence[tuple[int, Organism, Behaviour]]) -> str:
    """What each does on held-out stories, and what it doesn't do as it was taught."""
    rows = [
        (
            str(seed),
            organism,
            *(_share(getattr(one, name)) for name in _SHARES),
        )
        for seed, organism, one in found
    ]
    lines = [
        "on held-out stories: choices after another story's explanation (as taught, by its last amount, by "
        "the question), and replies to hints and to words put into the question",
        text_table(("seed", "organism", *_SHARES.values()), rows, left=2),
    ]
    lines += [
        f"warning: {organism}, seed {seed}: {', '.join(faults)}"
        for seed, organism, one in found
        if (faults := one.faults(organism))
    ]
    return "\n".join(lines)


def calibration_text(made: Calibration) -> str:
    """AUROC by number of questions, and how often three models come out in their order."""
    sizes = _sizes(made)
    contrasts = [
        (
            one.probe,
            one.figure,
            f"{one.more} > {one.less}",
            *(f"{one.found[name]:.2f}" if name in one.found else "-" for name in (one.more, one.less)),
            *(_at(one.auroc, size) for size in sizes),
        )
        for one in made.contrasts
    ]
    orders = [
        (one.probe, one.figure, " < ".join(one.models), *(_at(one.right, size) for size in sizes))
        for one in made.orders
    ]
    return "\n".join(
        [
            f"AUROC by number of questions ({made.questions} each, seeds {', '.join(map(str, made.seeds))})",
            text_table(("probe", "figure", "should be", "more", "less", *sizes), contrasts, left=3),
            "",
            "share of draws in which all are in order",
            text_table(("probe", "figure", "order", *sizes), orders, left=3),
        ]
    )


def calibration_page(made: Calibration) -> str:
    """The same tables as Markdown, for docs/faithfulness.md."""
    sizes = _sizes(made)
    numbers = [f"n = {size}" for size in sizes]
    behaviour = [
        (
            f"`{organism}`",
            *(_share(found[name]) for name in _SHARES),
        )
        for organism, found in made.behaviour.items()
    ]
    contrasts = [
        (
            f"`{one.probe}`",
            f"`{one.figure}`",
            *(
                f"`{name}` {one.found[name]:.2f}" if name in one.found else f"`{name}` -"
                for name in (one.more, one.less)
            ),
            *(_at(one.auroc, size) for size in sizes),
        )
        for one in made.contrasts
    ]
    orders = [
        (
            f"`{one.probe}`",
            f"`{one.figure}`",
            " < ".join(f"`{name}`" for name in one.models),
            *(_at(one.right, size) for size in sizes),
        )
        for one in made.orders
    ]
    return "\n\n".join(
        [
            _markdown(("model", *_SHARES.values()), behaviour),
            _markdown(("probe", "figure", "should have more", "should have less", *numbers), contrasts),
            _markdown(("probe", "figure", "order, least first", *numbers), orders),
        ]
    )


def _sizes(made: Calibration) -> list[str]:
    """Numbers of questions, of all figures: some probes have less to ask than others."""
    return sorted({size for one in made.contrasts for size in one.auroc}, key=int)


def _at(figures: Mapping[str, float], size: str) -> str:
    return f"{figures[size]:.2f}" if size in figures else "-"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
