"""A run of strategy ``staple`` whose model is a script: it replies, names principles and refines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anchor_train.run.run_folder import RunFolder
from tests.anchor_train.scripted_run import REPLIES, make_run, write_script

STEP, STEP_AGAIN = "State every step of the way.", "state  EVERY step of the way"
PEOPLE, SHORT = "Name nobody else.", "Be brief!"
NAMED = [f"<principle>{text}</principle>" for text in (STEP, PEOPLE, STEP_AGAIN, SHORT)] + ["no principle"]
# The judge finds "Clearly" EXCELLENT and "Another" GOOD; everything else that it can read is SATISFACTORY.
REFINED = [
    f"<explanation>{text}</explanation><choice>{label}</choice>"
    for text in ("Clearly so.", "Clearly right.", "Weigh each.")
    for label in "ABC"
]
SMALL: dict[str, Any] = {
    "discover": {"n": 4, "first_replies": 2},
    "cluster": {"threshold": 0.7},
    "train": {"max_steps": 2, "optimiser": {"gradient_checkpointing": False}},
}


def script(
    path: Path,
    named: list[str] | str = NAMED,
    refined: list[str] | str = REFINED,
    replies: list[str] | str = REPLIES,
    delay: float = 0.0,
) -> None:
    """Writes the model's script; which text answers a prompt is drawn by the sampling's seed."""
    of_prompt = {"The principle:": refined, "The reply:": named, "": replies}
    entries = [
        {"match": sign, "reply": texts, "order": "seeded", "delay": delay}
        for sign, texts in of_prompt.items()
    ]
    write_script(path, entries)


def make_staple(folder: Path, model: Path, **changes: Any) -> RunFolder:
    """A run of 12 questions with 4 samples each; ``staple`` may be given section by section."""
    staple = {**SMALL, **changes.pop("staple", {})}
    run = make_run(folder, model, **{"strategies": ["staple"], "staple": staple, **changes})
    script(folder / "sampler.yaml")
    return run
