"""Judges: what an explanation is worth, as a judge model sees it.

Importing this package loads no engine and no network library; those are loaded when a backend is made.
"""

from judges.backends.protocol import ChatBackend, answer_all
from judges.config import load_backend, load_judge
from judges.errors import (
    AnchorError,
    BackendError,
    BudgetSpentError,
    ConfigError,
    DataError,
    EndpointDownError,
    MissingExtraError,
)
from judges.judge import JUDGE_SAMPLING, Judge
from judges.judge_info import JudgeInfo
from judges.models.family import same_family_note
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
from judges.rubrics.load import load_rubric
from judges.rubrics.rubric import Criterion, Rubric
from judges.spending.accounts import Accounts, Prices
from judges.spending.budget import Budget
from judges.spending.estimate import Estimate
from judges.storage.cache import ReplyCache, default_cache_path

__all__ = [
    "JUDGE_SAMPLING",
    "Accounts",
    "AnchorError",
    "Assessment",
    "BackendError",
    "BackendIdentity",
    "Budget",
    "BudgetSpentError",
    "ChatBackend",
    "Completion",
    "ConfigError",
    "Conversation",
    "Criterion",
    "DataError",
    "EndpointDownError",
    "Estimate",
    "Failure",
    "Judge",
    "JudgeInfo",
    "Judgement",
    "Message",
    "MissingExtraError",
    "Outcome",
    "OutputForm",
    "Prices",
    "Reply",
    "ReplyCache",
    "Rubric",
    "Sampling",
    "Statement",
    "Unjudged",
    "Usage",
    "answer_all",
    "default_cache_path",
    "load_backend",
    "load_judge",
    "load_rubric",
    "same_family_note",
]
