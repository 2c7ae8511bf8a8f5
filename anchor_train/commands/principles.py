"""``anchor-train principles``."""

from __future__ import annotations

import click

from anchor_train.commands.stage_commands import stage_command


@click.group("principles")
def command() -> None:
    """Find principles by which the model improves on its replies, and teach it to use them (strategy staple).

    \b
    anchor-train principles discover my-run
    anchor-train principles cluster my-run
    anchor-train principles train my-run
    """


_STEPS = {
    "discover": "Have the model name principles, reply again by them, and keep those that helped.",
    "cluster": "Put principles together that say the same, and write the constitution.",
    "train": "Teach the model to name a principle after a first reply and to reply again by it.",
}
for _name, _about in _STEPS.items():
    command.add_command(stage_command(f"principles {_name}", _about), _name)
