"""Judges: what an explanation is worth, as a judge model sees it.

Importing this package loads no engine and no network library; those are loaded when a backend is made.
"""

from judges.backends.protocol import ChatBackend, answer_all
from judges.errors import (
    AnchorError,
    BackendError,
    ConfigError,
    DataError,
    EndpointDownError,
    MissingExtraError,
)
from judges.records import (
    Assessment,
    BackendIdentity,
    Completion,
    Conversation,
    Failure,
    Judgement,
    Message,
    Outcome,
    OutputForm,
    Reply,
    Sampling,
    Statement,
    Unjudged,
    Usage,
)
from judges.rubric import Criterion, Rubric, load_rubric

__all__ = [
    "AnchorError",
    "Assessment",
    "BackendError",
    "BackendIdentity",
    "ChatBackend",
    "Completion",
    "ConfigError",
    "Conversation",
    "Criterion",
    "DataError",
    "EndpointDownError",
    "Failure",
    "Judgement",
    "Message",
    "MissingExtraError",
    "Outcome",
    "OutputForm",
    "Reply",
    "Rubric",
    "Sampling",
    "Statement",
    "Unjudged",
    "Usage",
    "answer_all",
    "load_rubric",
]
