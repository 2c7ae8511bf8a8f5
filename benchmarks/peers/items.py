"""What is judged: made-up explanations of ordinary length, 16 to a question."""

from __future__ import annotations

import random

from judges import Statement
from judges.rubrics.load import load_rubric
from judges.rubrics.prompt import judge_conversation

SAMPLES = 16
NAMES = ("Ann", "Ben", "Carla", "Dan", "Eve", "Finn", "Gita", "Hugo")
THINGS = ("apples", "tickets", "litres of paint", "books", "coins", "eggs", "tiles", "metres of rope")
STEPS = (
    "{name} starts with {a} {things}, and each of the {b} groups gets the same share.",
    "Multiplying {a} by {b} gives {product}, which is the total before anything is taken away.",
    "From {product} we take {c}, so that {rest} {things} remain.",
    "Since the question asks for what remains, the number before the subtraction is not the answer.",
    "Option A ignores the {c} {things} that were given away, and option D counts them twice.",
    "Therefore the only choice that agrees with every sentence of the question is the second one.",
    "To check: {rest} plus {c} is {product} again, and {product} divided by {b} is {a}.",
)


def make_items(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Rows as the clients' jobs have them; all explanations differ.

    Args:
        count: How many.
        seed: Of the texts.
    """
    dice = random.Random(seed)
    rubric = load_rubric()
    items: list[dict[str, str]] = []
    for k in range(count):
        if k % SAMPLES == 0:
            a, b, c = dice.randint(12, 97), dice.randint(3, 9), dice.randint(2, 11)
            facts = {"a": a, "b": b, "c": c, "product": a * b, "rest": a * b - c}
            facts |= {"name": dice.choice(NAMES), "things": dice.choice(THINGS)}
            question = (
                "{name} packs {b} boxes with {a} {things} each. Afterwards {name} gives {c} {things} to a "
                "friend and puts the others on a shelf. How many {things} are on the shelf?\n"
                "A) {product}\nB) {rest}\nC) {a}\nD) {c}"
            ).format(**facts)
        steps = dice.sample(STEPS, dice.randint(4, 6))
        explanation = f"Let us go through attempt {k}. " + " ".join(steps).format(**facts)
        system, user = judge_conversation(rubric, Statement(question, explanation))
        items.append(
            {"question": question, "explanation": explanation, "system": system.content, "user": user.content}
        )
    others = [item["explanation"] for item in items]
    return [{**item, "other": other} for item, other in zip(items, others[1:] + others[:1], strict=True)]
