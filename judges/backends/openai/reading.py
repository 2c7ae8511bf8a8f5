"""How the body of an endpoint's answer is read: closed lists of what is known, and a name for anything else.

What a reply's end, its content and its token counts may look like differs from provider to provider. Every
spelling that is known stands in a table here; a reply with another one is no reply, and says which.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from judges.backends.openai.complaints import error_text, excerpt
from judges.records import Completion, FinishReason, Usage

_End: TypeAlias = Literal["stop", "length", "refused", "error"]

_ENDS: dict[_End, str] = {
    # OpenAI; Anthropic; Gemini; Cohere; Bedrock; Hugging Face; ERNIE; local servers
    "stop": """
        stop end_turn stop_sequence complete completed finish finished finish_complete eos eos_token
        end_of_sequence stop_token normal done end
    """,
    # OpenAI; Anthropic, Gemini and Cohere; OpenAI's responses; Mistral; Bedrock; local servers
    "length": """
        length max_tokens max_output_tokens max_completion_tokens max_new_tokens model_length max_length
        token_limit tokens_limit length_limit content_length model_context_window_exceeded
        context_window_exceeded context_length_exceeded context_length error_limit incomplete truncated
    """,
    # OpenAI; Azure; Gemini; GLM; Anthropic; Bedrock; Cohere; gateways
    "refused": """
        content_filter content_filtered safety sensitive refusal refused prohibited_content recitation
        blocklist spii image_safety image_prohibited_content language guardrail_intervened guardrail
        guardrails error_toxic blocked moderation content_policy content_policy_violation content_moderation
        jailbreak risk_control data_inspection_failed
    """,
    # gateways; GLM; DeepSeek; vLLM; Cohere
    "error": """
        error network_error insufficient_system_resource abort aborted cancelled canceled user_cancel timeout
        internal_error server_error failed upstream_error overloaded
    """,
}
_END_OF: dict[str, _End] = {name: end for end, names in _ENDS.items() for name in names.split()}
_SEVEREST: tuple[_End, ...] = ("error", "refused", "length", "stop")

_TEXT_PARTS = frozenset({"text", "output_text"})
_THOUGHT_PARTS = frozenset({"thinking", "reasoning", "redacted_thinking", "thought", "reasoning_content"})
_THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_text")

_SHORTEST_CONTEXT = 16  # tokens; what a chat template writes around a prompt takes as many
_SPACED_SCRIPT = 2  # words that one token may span, and more than any tokenizer's tokens do on average
_DENSE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_DENSE_A_TOKEN = 8  # characters of scripts without spaces that one token may hold


class NotAReplyError(Exception):
    """The endpoint answered with something that is no chat completion; the message says what."""


class UnusableReplyError(Exception):
    """The endpoint completed the chat in a way that can't be read: asking the same again would not help.

    Attributes:
        usage: What it took.
    """

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage


class ErrorAnswerError(Exception):
    """The body is an error, whatever the HTTP status says, or a choice in it is one.

    Attributes:
        body: The error in the shape of an error's body.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(error_text(body))
        self.body = body


@dataclass(frozen=True, slots=True)
class Answer:
    """A chat completion, read.

    Attributes:
        completions: One for each choice, in the order of their indices.
        thoughts: For each of them what stands in the field for the model's thoughts; empty if nothing does.
        usage: Tokens of all completions together; None if the endpoint doesn't tell, or says zero.
    """

    completions: tuple[Completion, ...]
    thoughts: tuple[str, ...]
    usage: Usage | None


def read_answer(text: str) -> Answer:
    """Reads a response body, whatever content type it came with; a stream of events is put together.

    Raises:
        NotAReplyError: If it isn't a chat completion.
        ErrorAnswerError: If it, or a choice in it, is an error.
        UnusableReplyError: If it is one of a kind that isn't known: the message names what.
    """
    body = _body(text.removeprefix("\ufeff"))
    if body.get("error"):
        raise ErrorAnswerError(body)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        # An error of another shape ({"object": "error", "message": ...}), else nothing that is known.
        if body.get("object") == "error" or isinstance(body.get("detail"), str):
            raise ErrorAnswerError(body)
        raise NotAReplyError(f"no choices: {excerpt(text)}")
    usage = _usage(body)
    read = [_choice(choice, usage) for choice in _in_order(choices)]
    return Answer(tuple(completion for completion, _ in read), tuple(thought for _, thought in read), usage)


def filtered(body: object) -> bool:
    """Whether the body of an error is a completion that a filter has emptied."""
    choices = body.get("choices") if isinstance(body, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, Mapping) and _end_of(first.get("finish_reason")) == "refused"


def read_only_part_of(words: int, usage: Usage | None) -> bool:
    """Whether an endpoint says that it read far less than it was sent: it cut the prompt to its context.

    No context is as short as a handful of tokens, so such a number is no count of the prompt: servers give
    one that leaves out what they had cached, or a constant.

    Args:
        words: As :func:`words_in` counts them in all that was sent.
        usage: What the endpoint says.
    """
    # Whatever the tokenizer: there are about 1.3 tokens to an English word, 0.9 where tokens span words.
    fewest = words / _SPACED_SCRIPT
    return usage is not None and _SHORTEST_CONTEXT <= usage.prompt_tokens < fewest / 2


def words_in(text: str) -> int:
    """Words of a text; where a script has no spaces, eight characters count as one."""
    words = len(text.split())
    return words if text.isascii() else words + len(_DENSE.findall(text)) // _DENSE_A_TOKEN


def _body(text: str) -> Mapping[str, Any]:
    if not text.strip():
        raise NotAReplyError("an empty body")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        events = _events(text)
        if events is None:
            raise NotAReplyError(f"no JSON: {excerpt(text)}") from None
        return _put_together(events)
    if not isinstance(body, dict):
        raise NotAReplyError(f"no chat completion: {excerpt(text)}")
    return body


def _events(text: str) -> list[Mapping[str, Any]] | None:
    """The events of a stream that was sent though none was asked for; None if it isn't one."""
    if not re.match(r"\s*(?::|data:|event:|id:|retry:)", text):
        return None
    events: list[Mapping[str, Any]] = []
    for line in re.split(r"\r\n|\r|\n", text):  # no other line break ends a line of a stream
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data or data == "[DONE]":
            continue
        try:
            event = json.loads(data)
        except (ValueError, RecursionError):
            raise NotAReplyError(f"a stream that can't be read: {excerpt(data)}") from None
        if isinstance(event, dict):
            events.append(event)
    return events


def _put_together(events: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The completion that a stream's chunks are the pieces of."""
    choices: dict[int, dict[str, Any]] = {}
    usage: Any = None
    for event in events:
        if event.get("error"):
            return event
        usage = event.get("usage") or usage
        for piece in event.get("choices") or ():
            if not isinstance(piece, dict):
                raise NotAReplyError(f"a stream with a strange choice: {excerpt(json.dumps(piece))}")
            choice = choices.setdefault(
                piece.get("index") or 0, {"message": {}, "index": piece.get("index") or 0}
            )
            delta = piece.get("delta") or piece.get("message") or {}
            for name in ("content", "refusal", *_THOUGHT_FIELDS):
                if isinstance(delta.get(name), str):
                    choice["message"][name] = choice["message"].get(name, "") + delta[name]
            choice |= {
                name: piece[name]
                for name in ("finish_reason", "native_finish_reason", "error")
                if piece.get(name)
            }
    if not choices or not all(choice.get("finish_reason") for choice in choices.values()):
        raise NotAReplyError("a stream that broke off before its end")
    return {"choices": list(choices.values()), "usage": usage}


def _in_order(choices: list[Any]) -> list[Any]:
    """The choices by their indices; as they come if these say nothing."""
    found = {choice.get("index"): choice for choice in choices if isinstance(choice, dict)}
    numbers = [index for index in found if isinstance(index, int)]
    return [found[index] for index in sorted(numbers)] if len(numbers) == len(choices) else choices


def _choice(choice: Any, usage: Usage | None) -> tuple[Completion, str]:
    """A choice's completion, and the model's thoughts if they stand in a field of their own."""
    if not isinstance(choice, dict):
        raise NotAReplyError(f"a choice without a message: {excerpt(json.dumps(choice))}")
    if choice.get("error"):
        error = choice["error"]
        raise ErrorAnswerError({"error": error if isinstance(error, dict) else {"message": str(error)}})
    message = choice.get("message")
    if not isinstance(message, dict):
        raise NotAReplyError(f"a choice without a message: {excerpt(json.dumps(choice))}")
    finish = _finish(choice, usage)
    text, thought = _content(message.get("content"), usage)
    for name in _THOUGHT_FIELDS:
        if isinstance(message.get(name), str):
            thought = thought or message[name]
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return Completion(text or refusal, "refused"), thought
    if text is None and finish == "stop" and not thought:
        raise UnusableReplyError("a message without content (null)", usage)
    return Completion(text or "", finish), thought


def _finish(choice: Mapping[str, Any], usage: Usage | None) -> FinishReason:
    """Why the reply ended; the worse of what a gateway says and what it says that the provider said."""
    given = choice.get("finish_reason")
    end = _end_of(given)
    if end is None:
        what = (
            "no finish reason" if given is None else f"the unknown finish reason {excerpt(str(given), 60)!r}"
        )
        raise UnusableReplyError(f"a reply with {what}", usage)
    # What the provider itself said is known or means nothing: the gateway has translated it.
    ends = {end, _end_of(choice.get("native_finish_reason")) or end}
    worst = next(found for found in _SEVEREST if found in ends)
    if worst == "error":
        said = given if end == "error" else choice.get("native_finish_reason")
        raise ErrorAnswerError({"error": {"message": f"the reply ended with {str(said)!r}"}})
    return worst


def _end_of(name: object) -> _End | None:
    if not isinstance(name, str):
        return None
    plain = re.sub(r"[\s-]+", "_", name.strip()).casefold()
    return _END_OF.get(plain.removeprefix("finish_reason_"))


def _content(content: Any, usage: Usage | None) -> tuple[str | None, str]:
    """The text of a message's content, and thoughts that stand among its parts."""
    if content is None or isinstance(content, str):
        return content, ""
    parts = content if isinstance(content, list) else [content]
    texts, thoughts = [], []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            texts.append(part)
        elif kind in _TEXT_PARTS and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind in _THOUGHT_PARTS:
            thoughts.append(_thought_in(part))
        else:
            name = f"of type {kind!r}" if kind else excerpt(json.dumps(part, default=str), 80)
            raise UnusableReplyError(f"a message with an unknown part: {name}", usage)
    return ("".join(texts) if texts or not thoughts else None), "".join(thoughts)


def _thought_in(part: Any) -> str:
    """All text in a part that holds thoughts, however deep."""
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return "".join(_thought_in(item) for item in part)
    if isinstance(part, dict):
        return "".join(_thought_in(value) for key, value in part.items() if key not in ("type", "signature"))
    return ""


def _usage(body: Mapping[str, Any]) -> Usage | None:
    """Tokens read and written. None of a prompt, or of a reply with text, is no count but a missing one."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    details = usage.get("prompt_tokens_details")
    cached = (details.get("cached_tokens") if isinstance(details, dict) else None) or 0
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in (read, written, cached)):
        return None
    if not read or not written:
        return None
    # Some leave what they had cached out of the prompt's tokens, and say so in fields of their own.
    apart = [usage.get(name) for name in ("cache_read_input_tokens", "cache_creation_input_tokens")]
    aside = sum(n for n in apart if isinstance(n, int) and n > 0)
    if aside > read or cached > read:
        read += max(aside, cached)
    return Usage(read, written, cached)
