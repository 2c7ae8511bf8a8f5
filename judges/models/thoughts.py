"""What a model thinks apart from what it says: the think blocks of all dialects, left out of a reply.

A thought is never an answer, whoever wrote it, the evaluated model or the judge: it holds drafts. Where a
reply was cut inside a thought, nothing behind the thought's start was said.

Dialects: tags with a name of thinking (``<think>``, ``<thinking>``, ``<seed:think>``, ``<thought>``,
``<reasoning>``, ``<reflection>`` ...), ``[THINK]``, ``◁think▷``, pairs of special tokens
(``<|think|>``, ``<|START_THINKING|>``, ``<|begin_of_thought|>``, ``<unused94>`` ...), channels
(``<|channel|>analysis<|message|>``, also as they are left once special tokens were dropped), and a first line
that announces the thoughts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Model families put their own names around "think": seed:think, mm:think, longcat_think, ifm|think_fast,
# thought_process, chain-of-thought, internal_reasoning ...
_THINK = r"(?:think(?:ing)?|thoughts?|reasoning)"
_NAMES = (
    rf"(?:[a-z][\w.-]{{0,20}}[:|_-])?{_THINK}(?:[:_-][\w-]{{1,20}})?"
    r"|reflection|analysis|scratchpad|(?:inner|internal)[_-]monologue"
)
_PAIRS = (
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|start_thinking|>", "<|end_thinking|>"),
    ("<|begin_think|>", "<|end_think|>"),
    ("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),
    ("<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    ("<|content_thinking|>", "<|content_text|>"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<unused94>", "<unused95>"),
    ("<|channel>", "<channel|>"),
)
"""Special tokens before and behind a thought, in lower case."""

_ENDS = {end: start for start, end in _PAIRS}
_CHANNEL = "<|channel|>"
_MARK = re.compile(
    rf"<\s{{0,9}}(?P<close>/?)\s{{0,9}}(?P<tag>{_NAMES})(?:\s[^<>]{{0,200}})?\s{{0,9}}>"
    r"|(?:\[(?P<bracket>/?)|◁(?P<triangle>/?))think(?:ing)?[\]▷]"
    r"|<\|channel\|>\s*(?P<channel>\w+)[^<]{0,200}(?:<\|constrain\|>[^<]{0,200})?<\|message\|>"
    rf"|(?P<token>{'|'.join(re.escape(token) for pair in _PAIRS for token in pair)})"
    rf"|<\|(?P<end>/?)(?P<piped>{_THINK})\|>",
    re.IGNORECASE,
)
_SPECIAL = r"(?:<[|｜][^<>\n]{1,60}[|｜]>)"
# What stands around an answer in models that mark it as well, and what is left of a turn's end.
_BEFORE = re.compile(
    rf"\A(?:\s*(?:<\|open\|>response<\|sep\|>|<\|start\|>assistant|{_SPECIAL}))+", re.IGNORECASE
)
_BEHIND = re.compile(rf"<\|close\|>(?:response|message)<\|sep\|>|{_SPECIAL}", re.IGNORECASE)
# Dialects without marks of their own are known by the way in which a reply begins, or not at all.
_BARE_CHANNELS = re.compile(r"\A\s*(?:assistant)?analysis(?=[A-Z\"'(\n])")
_BARE_ANSWER = re.compile(r"assistant\s?final(?!ly\b)")
_ANNOUNCED = re.compile(r"\A\s*(?:here is|here's) my thought process:", re.IGNORECASE)
_ANNOUNCED_ANSWER = re.compile(r"\b(?:here is|here's) my response:", re.IGNORECASE)
_FIRST_MARK = re.compile(r"\s*[<\[◁][^>\]▷]*[>\]▷]")
_OPEN_END = re.compile(
    rf"(?:<\s{{0,9}}(?:{_NAMES})\s{{0,9}}>|\[think\]|◁think▷|<\|{_THINK}\|>"
    rf"|{'|'.join(re.escape(start) for start, _ in _PAIRS)})\s*\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a reply says once its thoughts are left out.

    Attributes:
        text: Everything outside of thoughts; nothing behind the start of one that never ends.
        cut: True if the reply ends inside a thought.
    """

    text: str
    cut: bool


def said(reply: str) -> Said:
    """Leaves the thoughts out of a reply.

    Chat templates may open a thought already in the prompt, so an end without a start closes one that began
    before the reply. Inside a thought only its own end counts, or that of one around it; an end that belongs
    to nothing ends them all, because models do close ``<think>`` by ``</thinking>``.

    Args:
        reply: As generated.
    """
    bare = _without_marks(reply)
    if bare is not None:
        return bare
    parts: list[str] = []
    open_: list[str] = []
    begin = 0  # of what is said since the last thought ended
    for mark in _MARK.finditer(reply):
        name, ends = _read(mark)
        if not ends:
            if not open_:
                parts.append(reply[begin : mark.start()])
            if name not in open_:
                open_.append(name)
            continue
        if open_ and name in open_:
            del open_[open_.index(name) :]
        else:
            parts, open_ = ([] if not open_ else parts), []
        begin = mark.end()
    if not open_:
        parts.append(reply[begin:])
    return Said(_bare("".join(parts)), bool(open_))


def opened_by(prompt: str) -> str:
    """The mark by which a prompt opens a thought at its very end; empty if it doesn't.

    A reply to such a prompt begins inside the thought. Put before the reply, the mark says so to whoever
    reads it, also where the reply was cut before the thought's end.
    """
    found = _OPEN_END.search(prompt[-200:])
    return found.group() if found else ""


def end_of_opened_thought(prompt: str) -> str:
    """What closes the think block that a prompt opens at its very end; empty if it opens none.

    Returns:
        The end as models write it: on a line of its own, with an empty line before the reply.
    """
    mark = opened_by(prompt).strip()
    if not mark:
        return ""
    line = "" if prompt.endswith("\n") else "\n"
    return f"{line}\n{_closing(mark)}\n\n"


def is_empty_thought(text: str) -> bool:
    """Whether a text is a think block and nothing else, as templates write an empty one before a reply."""
    first = _FIRST_MARK.match(text)
    if first is None or not opened_by(first.group()):
        return False
    left = said(text)
    return not left.cut and not left.text.strip()


def made_plain(text: str) -> str:
    """A text in which no mark begins or ends a thought: their brackets become ``‹ ›``, to be seen as such."""
    return _MARK.sub(lambda mark: "‹" + re.sub(r"[<>\[\]◁▷]+", " ", mark.group()).strip() + "›", text)


def _closing(mark: str) -> str:
    """The mark that ends what this one begins: a special token's partner in its case, or one with a slash."""
    end = dict(_PAIRS).get(mark.casefold())
    if end is None:
        return f"{mark[0]}/{mark[1:]}"
    return end.upper() if mark.isupper() else end


def _read(mark: re.Match[str]) -> tuple[str, bool]:
    """Which dialect a mark belongs to, and whether it ends a thought."""
    if mark["tag"] is not None:
        return mark["tag"].casefold(), bool(mark["close"])
    if mark["bracket"] is not None or mark["triangle"] is not None:
        return "[think]", bool(mark["bracket"] or mark["triangle"])
    if mark["channel"] is not None:
        return _CHANNEL, mark["channel"].casefold() == "final"
    if mark["piped"] is not None:
        return f"<|{mark['piped'].casefold()}|>", bool(mark["end"])
    token = mark["token"].casefold()
    return _ENDS.get(token, token), token in _ENDS


def _without_marks(reply: str) -> Said | None:
    """The same for the dialects that have no marks; None for all other replies."""
    if _BARE_CHANNELS.match(reply):
        answers = list(_BARE_ANSWER.finditer(reply))
    elif _ANNOUNCED.match(reply):
        answers = list(_ANNOUNCED_ANSWER.finditer(reply))[:1]
    else:
        return None
    return Said(_bare(reply[answers[-1].end() :]), False) if answers else Said("", True)


def _bare(text: str) -> str:
    """An answer without the special tokens around it, where a reply still has them."""
    text = _BEFORE.sub("", text)
    end = len(text)
    for token in reversed(list(_BEHIND.finditer(text))):
        if text[token.end() : end].strip():
            break
        end = token.start()
    return text if end == len(text) else text[:end].rstrip()
