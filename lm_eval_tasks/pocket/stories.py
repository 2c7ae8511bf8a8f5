"""The language of pocket stories: what can happen in one, how it is told, and how it is read back.

A story is a start amount and a chain of events, each one arithmetic step. Every sentence is made from one
table of templates, and the reader is made from the same table, so what is written is what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, TypeAlias, TypeVar

NAMES = ("Mia", "Tom", "Ana", "Ben", "Eva", "Leo", "Zoe", "Max", "Ida", "Sam", "Lea", "Jon")
# Singular -> plural; coins are money and stand in price stories only.
THINGS = {
    "apple": "apples",
    "pen": "pens",
    "book": "books",
    "shell": "shells",
    "card": "cards",
    "stamp": "stamps",
    "marble": "marbles",
    "cup": "cups",
    "egg": "eggs",
    "key": "keys",
    "nut": "nuts",
    "ball": "balls",
}
MONEY = "coins"

Operation: TypeAlias = Literal["+", "-", "×"]


def calculate(left: int, operation: Operation, right: int) -> int:
    """The value of ``left operation right``."""
    if operation == "+":
        return left + right
    return left - right if operation == "-" else left * right


@dataclass(frozen=True, slots=True)
class Opening:
    """How a story begins: what its start amount is.

    Attributes:
        key: Its name in code.
        story: Template of the story's sentence.
        reason: Template of the sentence that an explanation opens with.
    """

    key: str
    story: str
    reason: str


@dataclass(frozen=True, slots=True)
class EventKind:
    """One thing that can happen.

    Attributes:
        key: Its name in code.
        story: Template of the story's sentence.
        clause: Template of the words that an explanation names it with.
        operation: What it does to the running amount.
        operand: Where the other number comes from: told in the story, the start amount once more, or fixed
            by the wording (``twice``).
        operand_first: True if the running amount is taken from the story's number, not the other way round.
        confused_with: The operation that a hasty reader takes it for; None if nobody would.
    """

    key: str
    story: str
    clause: str
    operation: Operation
    operand: Literal["told", "start"] | int = "told"
    operand_first: bool = False
    confused_with: Operation | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """What is asked, and how the conclusion of an explanation answers it."""

    key: str
    question: str
    conclusion: str


OPENINGS = {
    opening.key: opening
    for opening in (
        Opening("has", "{who} has {n} {things}.", "{who} starts with {n} {things}."),
        Opening("box", "Each box holds {n} {things}.", "One box holds {n} {things}."),
        Opening("cost", "One {thing} costs {n} coins.", "The price of one {thing} is {n} coins."),
    )
}
EVENTS = {
    event.key: event
    for event in (
        EventKind("buys", "{who} buys {n} more.", "{who} buys {n} more", "+"),
        EventKind("finds", "{who} finds {n} more.", "{who} finds {n} more", "+"),
        EventKind("gives", "{who} gives {n} to {other}.", "{who} gives away {n}", "-"),
        EventKind("loses", "{who} loses {n}.", "{who} loses {n}", "-"),
        EventKind(
            "doubles", "{who} then doubles them.", "{who} doubles them", "×", operand=2, confused_with="+"
        ),
        EventKind("fills", "{who} fills {n} boxes.", "{who} fills {n} boxes", "×"),
        EventKind("orders", "{who} orders {n} of them.", "{who} orders {n} of them", "×"),
        EventKind("postage", "Sending them costs {n} coins.", "sending them costs {n} coins", "+"),
        EventKind("pays", "{who} pays with {n} coins.", "{who} pays with {n} coins", "-", operand_first=True),
        EventKind("more_than", "{other} has {n} more than {who}.", "{other} has {n} more", "+"),
        EventKind("fewer_than", "{other} has {n} fewer than {who}.", "{other} has {n} fewer", "-"),
        # Told from the other side: the words point one way, the sum goes the other.
        EventKind(
            "told_more",
            "That is {n} more than {other} has.",
            "{who} has {n} more than {other}",
            "-",
            confused_with="+",
        ),
        EventKind(
            "told_fewer",
            "That is {n} fewer than {other} has.",
            "{who} has {n} fewer than {other}",
            "+",
            confused_with="-",
        ),
        EventKind("together", "They put them together.", "{who} has {n}", "+", operand="start"),
    )
}
ENDINGS = {
    ending.key: ending
    for ending in (
        Ending("now", "How many {things} does {who} have now?", "So {who} has {n} {things}."),
        Ending("other", "How many {things} does {other} have?", "So {other} has {n} {things}."),
        Ending("both", "How many {things} do they have?", "So {who} and {other} have {n} {things}."),
        Ending("bill", "How many coins does {who} need?", "So {who} needs {n} coins."),
        Ending("change", "How many coins does {who} get back?", "So {who} gets back {n} coins."),
    )
}

_FIELDS = {
    "who": "|".join(NAMES),
    "other": "|".join(NAMES),
    "thing": "|".join(THINGS),
    "things": "|".join(THINGS.values()),
    "n": r"\d+",
}


@cache
def pattern(template: str) -> re.Pattern[str]:
    """The regular expression that reads what a template writes; fields become groups of their name."""
    parts = re.split(r"\{(\w+)\}", template)
    seen: set[str] = set()
    expression = ""
    for index, part in enumerate(parts):
        if index % 2 == 0:
            expression += re.escape(part)
        elif part in seen:
            expression += f"(?P={part})"
        else:
            seen.add(part)
            expression += f"(?P<{part}>{_FIELDS[part]})"
    return re.compile(expression)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens; ``number`` is None where the words leave none to tell."""

    kind: EventKind
    number: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the calculation that a story asks for."""

    event: Event
    left: int
    right: int
    result: int

    @property
    def operation(self) -> Operation:
        """What is done."""
        return self.event.kind.operation

    @property
    def operand(self) -> int:
        """The number that the story brings in."""
        return self.left if self.event.kind.operand_first else self.right

    @property
    def running(self) -> int:
        """The amount before this step."""
        return self.right if self.event.kind.operand_first else self.left


@dataclass(frozen=True)
class Story:
    """A short story about an amount, and the question about it.

    Attributes:
        opening: How it begins.
        start: The amount that it begins with.
        events: What happens, in order; one arithmetic step each.
        ending: What is asked.
        who: Whom it is about.
        other: The second person.
        thing: What is counted, in the singular.
    """

    opening: Opening
    start: int
    events: tuple[Event, ...]
    ending: Ending
    who: str
    other: str
    thing: str

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        """The calculation, step by step."""
        lines = zip(self.events, calculation(self.start, self.events), strict=True)
        return tuple(Step(event, *line) for event, line in lines)

    @property
    def answer(self) -> int:
        """The amount that is asked for."""
        return self.steps[-1].result

    @cached_property
    def people(self) -> frozenset[str]:
        """The names that the story's words contain."""
        return frozenset(name for name in NAMES if re.search(rf"\b{name}\b", self.text))

    @cached_property
    def goods(self) -> frozenset[str]:
        """Plurals of what the story is about: the thing, and coins where there is a price."""
        money = {MONEY} if self.opening.key == "cost" else set()
        return frozenset({THINGS[self.thing], *money})

    @cached_property
    def numbers(self) -> frozenset[int]:
        """Every number that the calculation takes from the story."""
        return frozenset({self.start, *(step.operand for step in self.steps)})

    @cached_property
    def text(self) -> str:
        """The story and the question, as they are asked."""
        sentences = [self.fill(self.opening.story, self.start)]
        sentences += [self.fill(event.kind.story, event.number) for event in self.events]
        return " ".join([*sentences, self.fill(self.ending.question)])

    def fill(self, template: str, number: int | None = None) -> str:
        """A template with this story's names, things and the given number."""
        return template.format(
            who=self.who, other=self.other, thing=self.thing, things=THINGS[self.thing], n=number
        )


def calculation(start: int, events: Iterable[Event]) -> Iterator[tuple[int, int, int]]:
    """What events make of a start amount: left and right side and result of each line, in order."""
    amount = start
    for event in events:
        kind, operand = event.kind, operand_of(event, start)
        left, right = (operand, amount) if kind.operand_first else (amount, operand)
        amount = calculate(left, kind.operation, right)
        yield left, right, amount


def operand_of(event: Event, start: int) -> int:
    """The number that an event brings into the calculation."""
    if isinstance(event.kind.operand, int):
        return event.kind.operand
    if event.kind.operand == "start":
        return start
    if event.number is None:
        raise ValueError(f"event {event.kind.key} tells no number")
    return event.number


def sentences(text: str) -> list[str]:
    """Splits at sentence ends."""
    return [sentence for sentence in re.split(r"(?<=[.!?])\s+", text.strip()) if sentence]


def read_story(text: str) -> Story | None:
    """Reads a story back from its words; None if the text isn't a pocket story."""
    parts = sentences(text)
    if len(parts) < 3:
        return None
    opened = _first(parts[0], ((opening, opening.story) for opening in OPENINGS.values()))
    asked = _first(parts[-1], ((ending, ending.question) for ending in ENDINGS.values()))
    if opened is None or asked is None:
        return None
    opening, start_fields = opened
    ending, end_fields = asked
    events = []
    fields = {**end_fields, **start_fields}
    for part in parts[1:-1]:
        told = _first(part, ((kind, kind.story) for kind in EVENTS.values()))
        if told is None:
            return None
        kind, found = told
        events.append(Event(kind, int(found["n"]) if "n" in found else None))
        fields = {**found, **fields}
    thing = fields.get("thing") or next(
        (one for one, many in THINGS.items() if many == fields.get("things")), None
    )
    if thing is None:
        return None
    story = Story(
        opening=opening,
        start=int(start_fields["n"]),
        events=tuple(events),
        ending=ending,
        who=fields.get("who", NAMES[0]),
        other=fields.get("other", NAMES[1]),
        thing=thing,
    )
    return story if story.text == " ".join(parts) else None


T = TypeVar("T")


def _first(sentence: str, templates: Iterable[tuple[T, str]]) -> tuple[T, dict[str, str]] | None:
    for owner, template in templates:
        if match := pattern(template).fullmatch(sentence):
            return owner, match.groupdict()
    return None
