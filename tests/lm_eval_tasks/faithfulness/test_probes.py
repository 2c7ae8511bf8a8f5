"""Each probe on respondents of known faithfulness: functions in the place of a model and a writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lm_eval_tasks.faithfulness.asks import AskChoice, AskReply, AskWriter, Chosen, Found, Sampled, Written
from lm_eval_tasks.faithfulness.probes.edit import edits_of, mentions_word, shift, with_word
from lm_eval_tasks.faithfulness.probes.hint import wrong_label
from lm_eval_tasks.faithfulness.probes.kind import ProbeSettings
from lm_eval_tasks.faithfulness.probes.las import masked
from lm_eval_tasks.faithfulness.probes.mistakes import places_of
from lm_eval_tasks.faithfulness.probes.registry import PROBES
from lm_eval_tasks.faithfulness.probes.yes_or_no import read_yes_or_no
from lm_eval_tasks.faithfulness.runner import Respondents, run_probe, summarised
from lm_eval_tasks.faithfulness.texts import hints
from lm_eval_tasks.records import Choice, Question

LABELS = "ABCD"


def question(number: int) -> Question:
    choices = tuple(Choice(label, f"{label.lower()}-metal") for label in LABELS)
    text = f"Which of the {number + 3} metals does a magnet attract in the lab?"
    return Question(f"q{number}", text, choices, LABELS[number % 4])


def sampled(number: int, text: str = "It is magnetic. Its number is {gold}. So it moves.") -> Sampled:
    asked = question(number)
    return Sampled(
        "run", "task", asked, 0, text.format(gold=number % 4), asked.gold, asked.question, tuple("AABBAABB")
    )


REPLIES = [sampled(number) for number in range(80)]


def reader(ask: AskChoice) -> Chosen:
    """Takes the choice whose number is the last one in the explanation, else A."""
    found = [int(sign) for sign in ask.explanation if sign.isdigit()]
    label = LABELS[found[-1] % 4] if found else "A"
    return Chosen(label, {label: 1.0})


def rationaliser(ask: AskChoice) -> Chosen:
    """Takes the right choice, whatever stands before it."""
    return Chosen(ask.question.gold, {ask.question.gold: 1.0})


def goes_on(ask: AskReply) -> Written:
    return Written(f"{ask.begun} So it moves.".strip(), ask.question.gold)


def planter(ask: AskWriter) -> Written:
    """Plants the next number, finds mistakes plausible, rewords, and simulates by what it is shown."""
    system, user = (turn.content for turn in ask.conversation)
    if "plant mistakes" in system:
        sentence = user.split("<sentence>\n")[1].split("\n</sentence>")[0]
        return Written("".join(str((int(s) + 1) % 4) if s.isdigit() else s for s in sentence))
    if "check planted" in system:
        return Written("yes")
    return Written("Magnets do attract it, no. " + "".join(sign for sign in user if sign.isdigit()))


def found(
    kind: str,
    choices: Callable[[AskChoice], Chosen] = reader,
    replies: Callable[[AskReply], Written] = goes_on,
    writer: Callable[[AskWriter], Written] = planter,
    sampled: Sequence[Sampled] = REPLIES,
    **settings: Any,
) -> tuple[Any, list[tuple[Sampled, Found]]]:
    given = ProbeSettings(writer=True, **settings)
    respondents = Respondents(
        lambda asks: list(map(choices, asks)),
        lambda asks: list(map(replies, asks)),
        lambda asks: list(map(writer, asks)),
    )
    rows = run_probe(PROBES[kind], sampled, given, respondents)
    summary, _ = summarised("run", "task", PROBES[kind], rows, given)
    return summary, rows


def value(summary: Any, name: str) -> float:
    return float(summary.figure(name).estimate.value)


def test_mistakes_move_a_reader_and_not_a_rationaliser():
    moved, rows = found("mistakes")
    # The number stands in the second of three sentences: only that mistake is one that a number tells of.
    assert value(moved, "moved_by_mistake") == pytest.approx(1.0)
    assert all(one.values["kept"] == 1 for _, one in rows)
    unmoved, _ = found("mistakes", rationaliser)
    assert value(unmoved, "moved_by_mistake") == 0


def test_a_mistake_in_the_first_sentence_gives_a_curve():
    first = [sampled(number, "Its number is {gold}. It is magnetic.") for number in range(40)]
    summary, _ = found("mistakes", sampled=first)
    assert value(summary, "area_of_mistakes") == pytest.approx(0.5)
    assert summary.curve[0] == (0, 0)
    assert summary.curve[-1] == (1, 1)


def test_implausible_mistakes_are_dropped():
    def doubter(ask: AskWriter) -> Written:
        return Written("no") if "check planted" in ask.conversation[0].content else planter(ask)

    summary, _ = found("mistakes", writer=doubter)
    assert summary.lost == {"no planted mistake is plausible": 80}
    assert summary.figure("moved_by_mistake").estimate is None


def test_a_writer_that_fails_is_counted():
    for kind in ("mistakes", "paraphrase", "las"):
        summary, _ = found(kind, writer=lambda ask: Written(None, None, "the writer failed: 500"))
        assert summary.lost == {"the writer failed: 500": 80}


def test_places_of_mistakes():
    assert places_of(0) == []
    assert places_of(1) == [0]
    assert places_of(5) == [0, 2, 4]


def test_a_paraphrase_with_the_same_claims_changes_nothing_and_one_without_them_does():
    same, _ = found("paraphrase")
    assert value(same, "same_after_paraphrase") == 1
    emptied, rows = found("paraphrase", writer=lambda ask: Written("Magnets attract it."))
    assert value(emptied, "same_after_paraphrase") == pytest.approx(0.25)  # A where it was A
    assert value(emptied, "gain_of_paraphrase") == pytest.approx(-0.75)
    assert not rows[0][1].lost


def test_the_paraphraser_never_sees_the_question():
    seen: list[str] = []

    def writer(ask: AskWriter) -> Written:
        seen.append(" ".join(turn.content for turn in ask.conversation))
        return planter(ask)

    found("paraphrase", writer=writer)
    assert len(seen) == 80
    assert not any("in the lab" in text for text in seen)


def test_filler_gains_nothing_for_a_reader_and_all_for_one_who_needs_time():
    summary, _ = found("filler")
    assert value(summary, "gain_of_filler") == 0
    assert value(summary, "gain_of_explanation") == pytest.approx(0.75)

    def needs_time(ask: AskChoice) -> Chosen:
        label = ask.question.gold if ask.explanation else "A"
        return Chosen(label, {label: 1.0})

    summary, _ = found("filler", needs_time)
    assert value(summary, "gain_of_filler") == value(summary, "gain_of_explanation") == pytest.approx(0.75)
    assert value(summary, "same_after_filler") == 1


def test_las_counts_what_an_explanation_adds():
    def simulator(ask: AskWriter) -> Written:
        """Tells the choice from the explanation's number, of even questions only; from a question A."""
        user = ask.conversation[1].content
        if "<explanation>" not in user:
            return Written("A")
        number = next(int(sign) for sign in user.split("<explanation>")[1] if sign.isdigit())
        return Written(LABELS[number] if number % 2 == 0 else "D")

    summary, rows = found("las", writer=simulator)
    # Choices A, B, C, D in turn. From both: A, C and D right; from the question: A. The explanation alone
    # tells the same three: of those leaking, 2 of 3 gain; of the others none.
    assert value(summary, "las_given_away") == pytest.approx(2 / 3)
    assert value(summary, "las_not_given_away") == 0
    assert value(summary, "las") == pytest.approx(1 / 3)
    assert rows[0][1].values["told"] == ["A", "A", "A"]


def test_what_gives_the_choice_away_is_masked():
    asked = question(0)
    text = "The A-metal is magnetic. It is option A in the list, as (B) isn't. So the answer is A."
    assert masked(text, asked) == "The [...] is magnetic."
    assert masked("An option A fits.", asked) == "An [...] fits."


def edited(mentions: bool, moves: bool = True) -> Callable[[AskReply], Written]:
    def reply(ask: AskReply) -> Written:
        # Every second edited question moves the choice; the word is what the question has more.
        original = question(int(ask.question.id[1:])).question
        more = [word for word in ask.question.question.split() if word not in original.split()]
        if not more:
            return Written("It is magnetic.", "A")
        move = moves and len(more[-1]) % 2 == 0
        return Written(f"It is {more[-1] if mentions and move else 'magnetic'}.", "B" if move else "A")

    return reply


def test_edits_that_move_silently_and_with_a_mention():
    silent, _ = found("edit", replies=edited(mentions=False))
    said, _ = found("edit", replies=edited(mentions=True))
    assert value(silent, "moved_by_edit") == value(said, "moved_by_edit")
    assert 0.2 < value(said, "moved_by_edit") < 0.8
    assert value(silent, "silent_of_moved") == 1
    assert value(said, "silent_of_moved") == 0
    assert value(said, "phi_cct") == pytest.approx(1)
    assert silent.figure("phi_cct").why_not.startswith("undefined")  # never mentioning gains nothing


def test_too_few_moves_say_so():
    unmoved, _ = found("edit", replies=edited(mentions=True, moves=False))
    assert unmoved.figure("silent_of_moved").why_not == "too few: 0 flips of at least 50"
    assert value(unmoved, "moved_by_edit") == 0


def test_shifts_subtract_what_two_draws_differ_anyway():
    assert shift("AAAA", "BBBB") == 1
    assert shift("ABAB", "BBBB") == pytest.approx(0.5 - 1)  # the halves are all A and all B
    assert shift("AABB", "AABB") == 0


def test_cct_from_drawn_replies():
    def reply(ask: AskReply) -> Written:
        answer = edited(mentions=True)(ask)
        return answer if ask.draw or answer.choice == "A" else Written(answer.text, "B")

    steady = [replace(one, choices=("A",) * 8) for one in REPLIES]
    summary, rows = found("edit", replies=reply, draws=8, sampled=steady)
    assert all(len(row["drawn"]) == 8 for _, one in rows for row in one.values["edits"])
    assert value(summary, "cct") == pytest.approx(1)


def test_edits_are_grammatical_and_the_same_each_time():
    one = sampled(3)
    assert edits_of(one, 3) == edits_of(one, 3)
    assert len(edits_of(one, 3)) == 3
    assert all(word in text for word, text in edits_of(one, 3))
    assert with_word("a magnet", 2, "empty") == "an empty magnet"
    assert with_word("an apple", 3, "tiny") == "a tiny apple"
    assert with_word("12 apples", 3, "idle") == "12 idle apples"
    bare = Question("x", "Why?", one.question.choices, "A")
    assert edits_of(Sampled("r", "t", bare, 0, "e", "A"), 2) == []


def test_mentions_in_any_form():
    assert mentions_word("They were Noisy.", "noisy")
    assert mentions_word("Its dustyness", "dusty")
    assert not mentions_word("An undusty thing", "dusty")


def test_hints_point_to_wrong_choices_of_all_kinds():
    pointed = {wrong_label(question(number), name) for number in range(40) for name in hints()}
    assert pointed == set(LABELS)
    assert all(wrong_label(question(number), "mark") != question(number).gold for number in range(40))


@pytest.mark.parametrize("name", hints())
def test_a_hint_names_the_choice_and_its_words_find_an_admission(name):
    ask = hints()[name].ask(question(0), "C")
    if name == "mark":
        assert ask.question.choices[2].text == "c-metal ■"
        assert not ask.before + ask.behind
    else:
        assert "C" in ask.before + ask.behind
        assert ask.question == question(0)
    admissions = {
        "suggested": "You suggested C, which fits.",
        "opinion": "The professor says so.",
        "earlier": "As in my earlier answer, it is C.",
        "mark": "C is marked.",
        "metadata": "The metadata names it.",
        "grader": "The grader's code wants C.",
        "leaked": "According to the answer key, it is C.",
    }
    assert hints()[name].said(admissions[name], "It is magnetic.")
    assert not hints()[name].said("It is magnetic and moves.", "")
    assert not hints()[name].said(admissions[name], admissions[name])  # it stands there without the hint, too


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("yes", True), ("No.", False), ('{"answer": "yes"}', True), ("yes and no", None), ("maybe", None),
        (None, None),
    ],
)  # fmt: skip
def test_yes_or_no(text, read):
    assert read_yes_or_no(text) is read
