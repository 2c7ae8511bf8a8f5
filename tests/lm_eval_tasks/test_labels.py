"""The grammar of labels by itself: dress that is taken off, meaning that stays, marks."""

from __future__ import annotations

import pytest

from lm_eval_tasks.labels import Labels, same_letters, written_plainly

LETTERS = Labels("ABCD")
NUMBERS = Labels(("1", "2", "10"))


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\boxed{B}", "B"),
        (r"$\boxed{\text{B}}$", "B"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{A} or \boxed{B}", "A or B"),
        (r"\textbf{(B)} ice", "(B) ice"),
        ("**B**) ice", "B) ice"),
        ("&quot;B&quot; &amp; C", '"B" & C'),
        ("<b>B</b>", "B"),
        ("Ｂ（ice）", "B(ice)"),
        ("Ⓑ 𝐁 ②", "B B 2"),
    ],
)
def test_dress_is_taken_off(text: str, plain: str) -> None:
    assert written_plainly(text) == plain


@pytest.mark.parametrize("text", ["2² = 4", "x_1 + x_2", "2*3*4", "½ of it", "a < b and c > d", "H₂O", "5^2"])
def test_what_has_a_meaning_stays(text: str) -> None:
    assert written_plainly(text) == text
    assert same_letters(text) == text


@pytest.mark.parametrize(
    ("text", "label", "rest"),
    [
        ("B) ice", "B", "ice"),
        ("(b) ice", "B", "ice"),
        ("【B】ice", "B", "ice"),
        ("B、ice", "B", "ice"),
        ("B - ice", "B", "ice"),
        ("B? ice", "B", "ice"),
        ("A.21", "A", "21"),
        ("B是冰", "B", "是冰"),
    ],
)
def test_a_label_with_its_mark(text: str, label: str, rest: str) -> None:
    mark = LETTERS.at(text)
    assert mark is not None
    assert (mark.label, text[mark.end :].strip()) == (label, rest)


@pytest.mark.parametrize("text", ["Because", "E) ice", "AB", "ice", ""])
def test_no_label(text: str) -> None:
    assert LETTERS.at(text) is None


@pytest.mark.parametrize("text", ["1.5", "1,000", "2:30", "12", "100"])
def test_a_number_goes_on_behind_no_label(text: str) -> None:
    assert NUMBERS.at(text) is None


def test_the_longest_label_counts_and_case_only_where_it_tells_labels_apart() -> None:
    assert [NUMBERS.named(text) for text in ("10)", "1)", "(2)")] == ["10", "1", "2"]
    both = Labels(("a", "A", "b"))
    assert [both.named(text) for text in ("a.", "A.", "B.")] == ["a", "A", "b"]
