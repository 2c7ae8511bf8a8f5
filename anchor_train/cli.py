"""``anchor-train``: from a base model to one that explains itself better.

Each command is a file in ``commands/`` that exports ``command``; it is imported when it is called.
"""

from __future__ import annotations

import click

from lm_eval_tasks.cli import LazyGroup

COMMANDS = {
    "demo": "The paper's experiment on the pocket model: offline, in minutes.",
    "init": "Make a run folder with a commented recipe.",
    "run": "Do all stages that aren't finished, in order.",
    "sft": "Fine-tune the base model on answers alone.",
    "sample": "Draw replies from the model in training.",
    "judge": "Have the replies' explanations judged.",
    "pairs": "Make preference pairs of the judged replies.",
    "dpo": "Train on the pairs.",
    "groups": "Tell better replies from worse ones, for training on whole groups.",
    "align": "Train on the groups.",
    "principles": "Find principles that make replies better, and teach the model to use them.",
    "evaluate": "Compare base and trained models.",
    "status": "Stages, counts, costs, and what would run next.",
    "show": "Examples of what a stage made, and where they came from.",
    "experiment": "The method's effect, with intervals over seeds.",
    "pocket": "The pocket model: where it is, and how to make it again.",
    "export": "The trained model as an adapter or as whole weights.",
}
"""Command name -> what ``--help`` says of it."""


class TrainGroup(LazyGroup):
    """The commands of ``anchor-train``."""

    package = "anchor_train.commands"
    table = COMMANDS


@click.group(cls=TrainGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="anchored-explanations")
def main() -> None:
    """Align a language model so that it explains itself better.

    \b
    anchor-train init my-run --model MODEL --task aqua_rat_explain
    anchor-train run my-run
    anchor-train status my-run
    """
