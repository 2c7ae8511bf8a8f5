"""``anchor-eval``: measure how well models explain themselves, and compare them.

Each command is a file below ``commands/`` that exports ``command``; it is imported when it is called, so that
``--help`` needs none of the heavy libraries.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Collection, Mapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from judges.errors import AnchorError

ROOMS = {
    "measuring": {
        "run": "Evaluate a model: generate, free it, then judge.",
        "probe": "Do explanations say what moved the choice? Asks the model again.",
        "show": "Questions and replies of a run, in the terminal.",
        "tasks-path": "Print the folder of task files, for lm_eval --include_path.",
    },
    "judging": {
        "score": "Judge (again) what a run has logged; generates nothing.",
        "audit": "Can this judge be trusted? Probes of it, without people.",
        "judges": "A leaderboard of judges: quality, price, speed.",
        "annotate": "A page on which people rate explanations.",
        "cache": "What judges answered before.",
    },
    "comparing": {
        "compare": "Win, tie and loss between runs, with intervals.",
        "leaderboard": "A static site of all runs below a folder.",
        "publish": "Explanations with verdicts, or the site, on the hub.",
        "view": "The same site, served here and built again as runs grow.",
        "gate": "Is a run no worse than its baseline? Judges until that is told; exit code 0 or 1.",
        "power": "The smallest difference that a run could show.",
    },
    "setup": {
        "doctor": "What is amiss here, and the line to run for it.",
    },
}
"""Folder of ``commands/`` -> its commands, and what ``--help`` says of each."""
COMMANDS = {name: line for room in ROOMS.values() for name, line in room.items()}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called; errors of the project are one line.

    Attributes:
        package: Where the command modules are.
        table: As ``COMMANDS``.
        rooms: As ``ROOMS``; empty where all modules lie side by side.
        goes_on: Those that go on where they were stopped.
    """

    package = "lm_eval_tasks.commands"
    table: Mapping[str, str] = COMMANDS
    rooms: Mapping[str, Mapping[str, str]] = ROOMS
    goes_on: Collection[str] = ("run", "score", "probe", "audit")

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order in which a user needs them."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports one command."""
        if cmd_name not in self.table:
            return None
        room = "".join(f".{room}" for room, commands in self.rooms.items() if cmd_name in commands)
        module = import_module(f"{self.package}{room}.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with the nearest name for an unknown one."""
        if args and not args[0].startswith("-") and args[0] not in self.table:
            from judges.settings import nearest

            raise click.UsageError(f"no command {args[0]!r}: {nearest(args[0], self.table)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands without importing them."""
        for room, commands in (self.rooms or {"commands": self.table}).items():
            with formatter.section(room.capitalize()):
                formatter.write_dl(list(commands.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; an error that the user can mend is printed as one line, with its exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            with suppress(ValueError):  # not in the main thread
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C spoils no end that is near
            raise _Stopped(goes_on=ctx.invoked_subcommand in self.goes_on) from None
        except OSError as error:
            # What the machine refuses (full disk, read-only folder); a closed pipe is click's affair.
            if error.errno is None or error.errno == errno.EPIPE:
                raise
            place = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{place}{error.strerror}") from None
        except _own_errors() as error:
            raise _Ending(error) from None


def _own_errors() -> type[AnchorError]:
    # Looked at only when something was raised: no --help waits for the import.
    from judges.errors import AnchorError

    return AnchorError


class _Ending(click.ClickException):
    """An error of the project as the last line of a command, with its exit code."""

    def __init__(self, error: AnchorError) -> None:
        super().__init__(" ".join(str(error).split()))
        self.exit_code = error.exit_code  # type: ignore[misc]


class _Stopped(click.ClickException):
    """Ctrl-C, with what to do next."""

    exit_code = 130

    def __init__(self, *, goes_on: bool) -> None:
        super().__init__("stopped; what was done is kept: run again to go on" if goes_on else "stopped")

    def show(self, file: Any = None) -> None:
        click.echo(f"\n{self.message}", err=True)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="anchored-explanations")
def main() -> None:
    """Measure how well language models explain themselves, and compare them.

    \b
    anchor-eval run --model hf --model-args pretrained=MODEL --tasks aqua_rat_explain -o runs/m1
    anchor-eval score runs/m1 --judge openai:JUDGE@http://localhost:8000/v1
    anchor-eval compare runs/m1 runs/base
    """
