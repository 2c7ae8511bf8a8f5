"""The texts of a request's replies, as the harness's models hand them over."""

from __future__ import annotations

from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.models.api_models import LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER

from judges.models.thoughts import opened_by
from lm_eval_tasks.records import FailedReply


def texts_of(request: Instance) -> list[str]:
    """The replies; where an endpoint sent no content, the harness has None or a text of its own.

    Where the prompt opens a thought, each reply gets the mark that does, so that it is known for a thought.
    """
    return [whole(request, reply) for reply in request.resps]


def whole(request: Instance, reply: Any) -> str:
    """One reply to a request; see :func:`texts_of`."""
    text, prompt = _text(reply), request.arguments[0]
    mark = opened_by(prompt) if isinstance(prompt, str) else ""
    if isinstance(text, FailedReply) or text.lstrip().startswith(mark.strip()):
        return text
    return f"{mark}{text}"


def _text(reply: Any) -> str:
    stands_for_none = bool(LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER) and (
        reply == LMEVAL_MODEL_NONE_ANSWER_PLACEHOLDER
    )
    if reply is None or stands_for_none:
        return FailedReply("the endpoint sent a message without content (null)")
    return reply if isinstance(reply, str) else str(reply)
