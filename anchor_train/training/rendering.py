"""Examples as the model trains on them: token ids, and which of them carry the loss.

The prompt is rendered exactly as at evaluation (``judges.models.rendering``: the chat template with its
generation prompt); the completion is the assistant's text and whatever the template writes to end an
assistant turn. The training loops take these very ids, so what ``--dry-run`` shows is what is learnt.

Replies are learnt without the thoughts before them. Where a model thinks before it replies, the empty think
block that a template writes, or what closes the one that its generation prompt opens, belongs to the prompt:
neither thinking nor leaving it is learnt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from anchor_train.preferences.groups import GroupExample
from anchor_train.records import PreferenceExample, RewardExample, SftExample
from judges.errors import ConfigError
from judges.models.rendering import Renderer, renderer_of
from judges.models.thoughts import end_of_opened_thought, is_empty_thought
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

    What a reply is given of its own beginning counts to ``prompt_ids``, an empty think block too.
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
    """Tokens of a prompt as sampling and evaluation send it (``judges.models.rendering``).

    Raises:
        ConfigError: If the chat template serves no such prompt without losing text.
    """
    return _ids(tokenizer, _renderer(tokenizer).prompt(prompt))


def tokenise_example(tokenizer: ChatTokenizer, example: SftExample) -> TokenisedExample:
    """Tokens of a prompt and its target; the beginning that is given belongs to the prompt."""
    prompt, (completion,) = _tokenised(tokenizer, example.prompt, [example.given + example.target])
    border = 0
    if example.given:
        _, (ended,) = _tokenised(tokenizer, example.prompt, [example.given])
        border = _begun(ended, completion, example.given)
    return TokenisedExample(example.id, (*prompt, *completion[:border]), completion[border:])


def tokenise_prompt(tokenizer: ChatTokenizer, example: RewardExample) -> TokenisedExample:
    """Tokens of a prompt; what follows isn't known before it is written."""
    return TokenisedExample(example.id, prompt_ids(tokenizer, example.prompt), ())


def tokenise_pair(tokenizer: ChatTokenizer, pair: PreferenceExample) -> TokenisedPair:
    """Tokens of a prompt and the two replies to it."""
    prompt, (chosen, rejected) = _tokenised(tokenizer, pair.prompt, [pair.chosen, pair.rejected])
    return TokenisedPair(pair.id, prompt, chosen, rejected)


def tokenise_group(tokenizer: ChatTokenizer, group: GroupExample) -> TokenisedGroup:
    """Tokens of a prompt and all replies to it."""
    prompt, completions = _tokenised(tokenizer, group.prompt, group.replies)
    return TokenisedGroup(group.id, prompt, completions, group.levels)


def _tokenised(
    tokenizer: ChatTokenizer, prompt: Conversation, replies: Sequence[str]
) -> tuple[Ids, tuple[Ids, ...]]:
    """Tokens that all replies to a prompt begin after, and those of each reply with its end of turn.

    The conversation is tokenised in one piece, as a reply is read back; only where that changes the prompt's
    own tokens (a merge across the border, a template that renders history differently) is the rest tokenised
    alone, since the model will be asked with the prompt's tokens and no others.
    """
    renderer = _renderer(tokenizer)
    asked = renderer.prompt(prompt)
    before = _ids(tokenizer, asked)
    found = [_Rendered.of(renderer.with_reply(prompt, reply), reply, asked) for reply in replies]
    block = found[0].block if found else ""
    if block and all(one.block == block for one in found):
        # The template's own block, written between prompt and reply, or what closes the prompt's.
        before = _ids(tokenizer, asked + block)
    completions = []
    for one in found:
        whole = _ids(tokenizer, one.text)
        goes_on = whole[: len(before)] == before
        completions.append(whole[len(before) :] if goes_on else _ids(tokenizer, one.text[one.start :]))
    return before, tuple(completions)


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A prompt with a reply, as the template writes it.

    Attributes:
        text: All of it.
        start: Where the reply begins.
        block: The empty think block, or its end, that a model which doesn't think would write before its
            reply; empty where there is none.
    """

    text: str
    start: int
    block: str

    @classmethod
    def of(cls, text: str, reply: str, asked: str) -> _Rendered:
        start = text.rfind(reply.strip())
        if start < 0 or not reply.strip():
            shown = repr(reply[:60])
            raise ConfigError(f"the chat template changes an assistant's text: {shown} is not in its output")
        if text.startswith(asked):
            between = text[len(asked) : start]
            return cls(text, start, between if is_empty_thought(between) else "")
        return cls(text, start, end_of_opened_thought(asked))


def _begun(ended: Ids, completion: Ids, given: str) -> int:
    """How many tokens of a completion are those of the text that it begins with.

    They are those that a reply which ends with this text has, too: a token that spans the border, and the
    choice to go on instead of ending the turn, are learnt.

    Raises:
        ConfigError: If the tokenizer reads the beginning otherwise as soon as something follows.
    """
    shared = next(
        (place for place, pair in enumerate(zip(ended, completion, strict=False)) if pair[0] != pair[1]),
        min(len(ended), len(completion)),
    )
    if 2 * shared < len(ended):
        shown = repr(given[:60])
        raise ConfigError(f"the tokenizer reads {shown} otherwise when it goes on, so it can't be told apart")
    return shared


def _renderer(tokenizer: ChatTokenizer) -> Renderer:
    if not tokenizer.chat_template:
        raise ConfigError(
            "the tokenizer has no chat template: give one as model.chat_template (a Jinja file), "
            "or take the model's chat version"
        )
    return renderer_of(tokenizer)


def _ids(tokenizer: ChatTokenizer, text: str) -> Ids:
    """Tokens of a rendered text; the template wrote the special tokens."""
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


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
