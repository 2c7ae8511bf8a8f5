"""``anchor-train``: from a base model to one that explains itself better.

Each command is a file in ``commands/`` that exports ``command``, and is imported when it is called; ``run``
and the commands of single stages are made of the kinds of stages (:mod:`anchor_train.commands.stages`).
"""

from __future__ import annotations

from importlib.util import find_spec
from types import MappingProxyType

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
    "grpo": "Train on rewards for replies that are written meanwhile.",
    "principles": "Find principles that make replies better, and teach the model to use them.",
    "principles discover": "Have the model name principles, reply again by them, and keep those that helped.",
    "principles cluster": "Put principles together that say the same, and write the constitution.",
    "principles train": "Teach the model to name a principle after a first reply and to reply again by it.",
    "evaluate": "Compare base and trained models.",
    "status": "Stages, counts, costs, and what would run next.",
    "show": "Examples of what a stage made, and where they came from.",
    "experiment": "The method's effect, with intervals over seeds.",
    "pocket": "The pocket model: where it is, and how to make it again.",
    "export": "The trained model as an adapter or as whole weights.",
    "publish": "The exported model on the hub, with its card.",
}
"""Command name -> what ``--help`` says of it; with a space in it, of a command of that group."""
_LISTED = {name: line for name, line in COMMANDS.items() if " " not in name}


class TrainGroup(LazyGroup):
    """The commands of ``anchor-train``."""

    package = "anchor_train.commands"
    table = _LISTED
    rooms = MappingProxyType({})
    goes_on = frozenset(_LISTED) - {"init", "status", "show", "pocket", "export", "publish"}

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command of a file of its own, or one that does stages."""
        if cmd_name in self.table and find_spec(f"{self.package}.{cmd_name}") is not None:
            return super().get_command(ctx, cmd_name)
        from anchor_train.commands.stages import stage_command

        return stage_command(cmd_name, COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's: a stage of somebody's own has a command, too, that no table names."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is not None:
            return click.Group.resolve_command(self, ctx, args)
        return super().resolve_command(ctx, args)


@click.group(cls=TrainGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="anchored-explanations")
def main() -> None:
    """Align a language model so that it explains itself better.

    \b
    anchor-train init my-run --model MODEL --task aqua_rat_explain
    anchor-train run my-run
    anchor-train status my-run
    """
