"""Where replies end that are written without a chat template.

A base model that was shown examples goes on after its reply with a question of its own and the reply to it,
which must not be read as the answer. Here its reply is ended: by stop strings, and once more when it is read.
"""

from __future__ import annotations

import re

from lm_eval_tasks.tasks.spec import TaskSpec

_CHOICE_TAG = re.compile(r"<\s*(/?)\s*choice\s*>", re.IGNORECASE)
_PARTS = {"explain": 1, "refined": 2}
"""Protocol -> how many choices a whole reply has."""


def stops(spec: TaskSpec) -> list[str]:
    """Stop strings. The harness takes them out of the reply: ``ended`` puts the tag back."""
    return ["</choice>"] if _PARTS[spec.protocol] == 1 else ["\nQuestion:", "\nContext:"]


def ended(spec: TaskSpec, reply: str) -> str:
    """A reply up to its last part, whatever the model wrote behind it."""
    opened, choices = False, 0
    for tag in _CHOICE_TAG.finditer(reply):
        if not tag[1]:
            opened = True
        elif opened:
            opened, choices = False, choices + 1
            if choices == _PARTS[spec.protocol]:
                return reply[: tag.end()]
    whole = opened and choices + 1 == _PARTS[spec.protocol] and "</choice>" in stops(spec)
    return f"{reply.rstrip()}\n</choice>" if whole else reply
