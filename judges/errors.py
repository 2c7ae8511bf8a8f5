"""Every error of the project that a user can mend. Command lines print them as one line, without a traceback.

AnchorError
├── ConfigError            a setting, file or name is wrong: what, with which value, where, and the remedy
├── MissingExtraError      an optional library isn't installed: the command that installs it
├── DataError              a data file, samples log or artifact can't be read
├── TrainingError          a training broke off, or what it trains isn't what it should be
├── TrackingError          an experiment tracker took no figures; the results are on disk
├── PublishingError        the hub can't be reached, or refused something; nothing on disk has changed
├── NothingJudgedError     a judge was asked, and not a single explanation has a verdict
├── BudgetSpentError       a judge has spent what it may; what was answered is stored
└── BackendError           a backend can't serve at all (one failed request is a ``Failure`` value instead)
    └── EndpointDownError  the endpoint stopped answering; what was answered is stored
"""

from __future__ import annotations

from typing import TypeVar


class AnchorError(Exception):
    """Base of all errors meant for the user's eyes.

    Attributes:
        exit_code: With which a command line ends.
        in_log: Whether what a process or a library has printed says more (:mod:`judges.output.run_log`).
    """

    exit_code = 1
    in_log = False


E = TypeVar("E", bound=AnchorError)


def explained_by_log(error: E) -> E:
    """The error, marked as one of which the log says more."""
    error.in_log = True
    return error


class ConfigError(AnchorError):
    """A setting is wrong. The message names the setting, its value and where it stands."""


class MissingExtraError(AnchorError):
    """An optional dependency isn't installed.

    Attributes:
        extra: The extra of this package that brings it.
    """

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} is not installed: pip install 'anchored-explanations[{extra}]'")


class DataError(AnchorError):
    """A data file, a samples log or an artifact can't be read."""


class TrainingError(AnchorError):
    """A training broke off (its process ended, its loss isn't a number), or its reference isn't its start."""


class TrackingError(AnchorError):
    """An experiment tracker couldn't be reached, or refused something; results are on disk all the same."""


class PublishingError(AnchorError):
    """The hub can't be reached, or refused something; a second run goes on where this one stopped."""


class NothingJudgedError(AnchorError):
    """A judge was asked, and not a single explanation has a verdict."""

    exit_code = 5


class BudgetSpentError(AnchorError):
    """The next request would break a limit that the user set; a run with a larger one goes on from there."""

    exit_code = 3


class BackendError(AnchorError):
    """A backend can't serve: wrong model name, key refused, engine didn't start."""


class EndpointDownError(BackendError):
    """The endpoint stopped answering; a second run goes on where this one stopped."""
