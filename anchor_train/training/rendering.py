"""Examples as the model trains on them: token ids, and which of them carry the loss.

The prompt is rendered exactly as at evaluation (the chat template with its generation prompt); the completion
is the assistant's text and whatever the template writes to end an assistant turn. The training loops take
these very ids, so what ``--dry-run`` shows is what is learnt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from anchor_train.preferences.groups import GroupExample
from anchor_train.records import PreferenceExample, SftExample, conversation_to_json
from judges.backends.local_model import without_system_turn
from judges.errors import ConfigError
from judges.records import Conversation

Ids: TypeAlias = tuple[int, ...]


class ChatTokenizer(Protocol):
    """The part of a transformers tokenizer that rendering needs."""

    chat_template: Any

    def __call__(self, text: str, *, add_special_tokens: bool) -> Any:
        """Tokens of a text."""
        ...

    def apply_chat_template(self, conversation: list[dict[str, str]], **options: Any) -> Any:
        """Text or tokens of a conversation."""
        ...

    def decode(self, token_ids: list[int], **options: Any) -> Any:
        """Text of tokens."""
        ...


@dataclass(frozen=True, slots=True)
class TokenisedExample:
    """A prompt and its completion; the loss is on ``completion_ids`` alone.

    What a reply is given of its own beginning counts to ``prompt_ids``.
    """

    id: str
    prompt_ids: Ids
    completion_ids: Ids

    @property
    def length(self) -> int:
        """Tokens in all."""
        return len(self.prompt_ids) + len(self.completion_ids)

    @property
    def labels(self) -> list[int]:
        """One label a token: the token itself, or -100 where there is no loss."""
        return [-100] * len(self.prompt_ids) + list(self.completion_ids)

    def cut_to(self, max_length: int) -> TokenisedExample | None:
        """The example without the tokens that go past ``max_length``; None if none would be trained on."""
        room = max_length - len(self.prompt_ids)
        return replace(self, completion_ids=self.completion_ids[:room]) if room > 0 else None


@dataclass(frozen=True, slots=True)
class TokenisedPair:
    """A prompt with the completion to prefer and the one to avoid."""

    id: str
    prompt_ids: Ids
    chosen_ids: Ids
    rejected_ids: Ids

    @property
    def length(self) -> int:
        """Tokens of the prompt and the longer completion."""
        return len(self.prompt_ids) + max(len(self.chosen_ids), len(self.rejected_ids))

    def cut_to(self, max_length: int) -> TokenisedPair | None:
        """The pair without the tokens that go past ``max_length``; None if none would be trained on."""
        room = max_length - len(self.prompt_ids)
        if room <= 0:
            return None
        return replace(self, chosen_ids=self.chosen_ids[:room], rejected_ids=self.rejected_ids[:room])

    @property
    def sides(self) -> tuple[TokenisedExample, TokenisedExample]:
        """Chosen and rejected, each as an example."""
        return (
            TokenisedExample(self.id, self.prompt_ids, self.chosen_ids),
            TokenisedExample(self.id, self.prompt_ids, self.rejected_ids),
        )


@dataclass(frozen=True, slots=True)
class TokenisedGroup:
    """A prompt with several completions; one of a higher level is better."""

    id: str
    prompt_ids: Ids
    completions: tuple[Ids, ...]
    levels: tuple[int, ...]

    @property
    def length(self) -> int:
        """Tokens of the prompt and the longest completion."""
        return len(self.prompt_ids) + max(map(len, self.completions))

    @property
    def best(self) -> tuple[TokenisedExample, ...]:
        """The completions of the highest level, each as an example."""
        return tuple(TokenisedExample(self.id, self.prompt_ids, ids) for ids, best in self.marked if best)

    @property
    def marked(self) -> tuple[tuple[Ids, bool], ...]:
        """Each completion, and whether it is of the highest level."""
        top = max(self.levels)
        return tuple((ids, level == top) for ids, level in zip(self.completions, self.levels, strict=True))

    def cut_to(self, max_length: int) -> TokenisedGroup | None:
        """The group without the tokens that go past ``max_length``; None if none would be trained on."""
        room = max_length - len(self.prompt_ids)
        if room <= 0:
            return None
        return replace(self, completions=tuple(ids[:room] for ids in self.completions))


def prompt_ids(tokenizer: ChatTokenizer, prompt: Conversation) -> Ids:
    """Tokens of a prompt as evaluation sends it: the chat template with its generation prompt.

    A template that refuses system turns gets the system text at the head of the user turn, as sampling and
    evaluation do it.
    """
    return _ids(tokenizer, _accepted(tokenizer, prompt), add_generation_prompt=True)


def tokenise_example(tokenizer: ChatTokenizer, example: SftExample) -> TokenisedExample:
    """Tokens of a prompt and its target; the beginning that is given belongs to the prompt."""
    prompt = prompt_ids(tokenizer, example.prompt)
    completion = _completion_ids(tokenizer, example.prompt, prompt, example.given + example.target)
    border = _begun(tokenizer, example.prompt, prompt, completion, example.given) if example.given else 0
    return TokenisedExample(example.id, (*prompt, *completion[:border]), completion[border:])


def tokenise_pair(tokenizer: ChatTokenizer, pair: PreferenceExample) -> TokenisedPair:
    """Tokens of a prompt and the two replies to it."""
    prompt = prompt_ids(tokenizer, pair.prompt)
    return TokenisedPair(
        pair.id,
        prompt,
        _completion_ids(tokenizer, pair.prompt, prompt, pair.chosen),
        _completion_ids(tokenizer, pair.prompt, prompt, pair.rejected),
    )


def tokenise_group(tokenizer: ChatTokenizer, group: GroupExample) -> TokenisedGroup:
    """Tokens of a prompt and all replies to it."""
    prompt = prompt_ids(tokenizer, group.prompt)
    completions = [_completion_ids(tokenizer, group.prompt, prompt, reply) for reply in group.replies]
    return TokenisedGroup(group.id, prompt, tuple(completions), group.levels)


def _completion_ids(tokenizer: ChatTokenizer, prompt: Conversation, before: Ids, target: str) -> Ids:
    """Tokens after the prompt: target and end of turn.

    The conversation is tokenised in one piece, as a reply is read back; only where that changes the prompt's
    own tokens (a merge across the border, a template that renders history differently) is the rest tokenised
    alone, since the model will be asked with the prompt's tokens and no others.
    """
    turns = [*_accepted(tokenizer, prompt), {"role": "assistant", "content": target}]
    text = str(_apply(tokenizer, turns, tokenize=False))
    start = text.rfind(target.strip())
    if start < 0 or not target.strip():
        shown = repr(target[:60])
        raise ConfigError(f"the chat template changes an assistant's text: {shown} is not in its output")
    whole = _ids(tokenizer, turns)
    if whole[: len(before)] == before:
        return whole[len(before) :]
    return tuple(tokenizer(text[start:], add_special_tokens=False)["input_ids"])


def _begun(tokenizer: ChatTokenizer, prompt: Conversation, before: Ids, completion: Ids, given: str) -> int:
    """How many tokens of a completion are those of the text that it begins with.

    They are those that a reply which ends with this text has, too: a token that spans the border, and the
    choice to go on instead of ending the turn, are learnt.

    Raises:
        ConfigError: If the tokenizer reads the beginning otherwise as soon as something follows.
    """
    ended = _completion_ids(tokenizer, prompt, before, given)
    shared = next(
        (place for place, pair in enumerate(zip(ended, completion, strict=False)) if pair[0] != pair[1]),
        min(len(ended), len(completion)),
    )
    if 2 * shared < len(ended):
        shown = repr(given[:60])
        raise ConfigError(f"the tokenizer reads {shown} otherwise when it goes on, so it can't be told apart")
    return shared


def _accepted(tokenizer: ChatTokenizer, prompt: Conversation) -> list[dict[str, str]]:
    """The turns of a prompt, without a system turn if the template refuses one."""
    from jinja2 import TemplateError

    turns = conversation_to_json(prompt)
    folded = without_system_turn(prompt)
    if folded == prompt or not tokenizer.chat_template:
        return turns
    try:
        tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except TemplateError:
        return conversation_to_json(folded)
    return turns


def _ids(tokenizer: ChatTokenizer, turns: list[dict[str, str]], **options: Any) -> Ids:
    return tuple(_apply(tokenizer, turns, tokenize=True, return_dict=True, **options)["input_ids"])


def _apply(tokenizer: ChatTokenizer, turns: list[dict[str, str]], **options: Any) -> Any:
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise ConfigError(
            "the tokenizer has no chat template: give one as model.chat_template (a Jinja file), "
            "or take the model's chat version"
        )
    try:
        return tokenizer.apply_chat_template(turns, **options)
    except TemplateError as error:
        roles = ", ".join(turn["role"] for turn in turns)
        raise ConfigError(f"the chat template refuses the turns {roles}: {error}") from None


T = TypeVar("T", TokenisedExample, TokenisedPair, TokenisedGroup)


@dataclass(frozen=True, slots=True)
class Fitted(Generic[T]):
    """Examples that fit, and what was done to make them fit.

    Attributes:
        examples: What is trained on.
        cut: How many of these lost their end.
        dropped: How many are gone since their prompt alone is too long.
    """

    examples: tuple[T, ...]
    cut: int = 0
    dropped: int = 0


def too_long(examples: Iterable[TokenisedExample | TokenisedPair | TokenisedGroup], max_length: int) -> int:
    """How many examples have more than ``max_length`` tokens."""
    return sum(example.length > max_length for example in examples)


def fit(
    examples: Sequence[T], max_length: int, *, allow_cut: bool = False, what: str = "examples"
) -> Fitted[T]:
    """Holds examples to a length. The end of a reply carries its choice, so nothing is cut unless allowed.

    Args:
        examples: Tokenised examples or pairs.
        max_length: Tokens of prompt and completion together.
        allow_cut: Cut what is longer (and drop what has no room for a completion) instead of refusing it.
        what: What they are called in the message.

    Raises:
        ConfigError: If some are too long and ``allow_cut`` is off, or if nothing is left.
    """
    long = too_long(examples, max_length)
    if long and not allow_cut:
        longest = max(example.length for example in examples)
        raise ConfigError(
            f"{long} of {len(examples)} {what} are longer than max_length {max_length} (the longest has "
            f"{longest} tokens) and would lose their end: raise max_length, or set allow_cut"
        )
    shortened = [
        example if example.length <= max_length else example.cut_to(max_length) for example in examples
    ]
    kept = tuple(example for example in shortened if example is not None)
    if not kept:
        raise ConfigError(
            f"no {what} to train on" + (f": all prompts exceed {max_length}" if examples else "")
        )
    dropped = len(examples) - len(kept)
    return Fitted(kept, cut=long - dropped, dropped=dropped)


def show_example(tokenizer: ChatTokenizer, example: TokenisedExample, title: str = "") -> str:
    """A tokenised example for human eyes: the prompt as text, then each token with loss in brackets."""
    trained = "".join(f"[{_printable(tokenizer.decode([token]))}]" for token in example.completion_ids)
    return (
        f"{title or example.id}: {example.length} tokens, loss on the last {len(example.completion_ids)}\n"
        f"--- without loss\n{tokenizer.decode(list(example.prompt_ids))}\n"
        f"--- with loss, a token in each bracket\n{trained}\n"
    )


def show_pair(tokenizer: ChatTokenizer, pair: TokenisedPair) -> str:
    """A tokenised pair for human eyes: chosen, then rejected."""
    chosen, rejected = pair.sides
    return show_example(tokenizer, chosen, f"{pair.id} chosen") + show_example(
        tokenizer, rejected, f"{pair.id} rejected"
    )


def show_group(tokenizer: ChatTokenizer, group: TokenisedGroup) -> str:
    """A tokenised group for human eyes: each reply with its level."""
    return "".join(
        show_example(
            tokenizer, TokenisedExample(group.id, group.prompt_ids, ids), f"{group.id} level {level}"
        )
        for ids, level in zip(group.completions, group.levels, strict=True)
    )


def _printable(text: str) -> str:
    return text.replace("\n", "⏎").replace("\t", "⇥")
