"""The compact form: letters for verdicts, read by position and strictly."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges import Completion, ConfigError, Judgement, Sampling, Statement, Unjudged, load_judge, load_rubric
from judges.backends.openai.wire import in_form
from judges.rubrics.forms import letters, output_form, reply_in, reply_tokens
from judges.rubrics.parsing import read_verdicts
from judges.rubrics.prompt import judge_conversation
from judges.rubrics.rubric import Rubric
from tests.judges.endpoint import Endpoint

RUBRIC = load_rubric()
KEYS = [criterion.key for criterion in RUBRIC.criteria]
GIVEN = ["GOOD", "EXCELLENT", "SATISFACTORY", "NEEDS IMPROVEMENT", "UNSATISFACTORY"]
READ = Judgement(dict(zip(KEYS, GIVEN, strict=True)))
REPLY = "B A C D E"


def read(text: str, rubric: Rubric = RUBRIC) -> Judgement | Unjudged:
    return read_verdicts(rubric, Completion(text), "compact")


def rubric_with(scale: int, criteria: int) -> Rubric:
    """A rubric with as many verdicts and criteria."""
    return replace(
        RUBRIC,
        scale={f"LEVEL {k}": Fraction(scale - k) for k in range(scale)},
        criteria=tuple(
            replace(RUBRIC.criteria[0], key=f"c{k}", name=f"Criterion {k}") for k in range(criteria)
        ),
    )


def test_the_prompt_is_the_rubrics_own_with_the_letters_explained() -> None:
    statement = Statement("q", "e")
    full, compact = judge_conversation(RUBRIC, statement), judge_conversation(RUBRIC, statement, "compact")
    assert compact[1] == full[1]
    legend = compact[0].content.removeprefix(f"{full[0].content}\n\n")
    assert legend.endswith(
        "The letters stand for verdicts: A for EXCELLENT, B for GOOD, C for SATISFACTORY, "
        "D for NEEDS IMPROVEMENT, E for UNSATISFACTORY. They follow the order of the criteria: "
        "Factual Accuracy, Logical Coherence, Clarity, Relevance, Depth of Argumentation."
    )
    assert len(legend) < len(full[0].content) / 2


@pytest.mark.parametrize(
    "reply",
    [
        REPLY,
        f"\n  {REPLY} \n",
        f"{REPLY}.",
        f"**{REPLY}**",
        f"`{REPLY}`",
        "B, A, C, D, E",
        "B | A | C | D | E",
        f"```\n{REPLY}\n```",
        f"These are my verdicts:\n\n{REPLY}\n\nA careful explanation, all in all.",
        f"{REPLY}\n{REPLY}",
        f"<think>A A A A A? No.\n A A A A A</think>\n{REPLY}",
        json.dumps({"letters": REPLY}),
        f'```json\n{{"letters": "{REPLY}"}}\n```',
    ],
)
def test_letters_are_read_however_they_are_dressed(reply: str) -> None:
    assert read(reply) == READ


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        ("", "the reply is empty"),
        ("A fine explanation.", "no line of 5 letters"),
        ("BACDE", "no line of 5 letters"),  # might be a word
        ("b a c d e", "no line of 5 letters"),
        (f"My verdicts: {REPLY}", "no line of 5 letters"),  # as in: it says of itself A A A A A
        ("B A C D", "4 letters for 5 criteria"),
        ("B A C D E E", "6 letters for 5 criteria"),
        ("B A C D F", "no verdict has the letter F"),
        (f"A A A A A\n{REPLY}", "lines of letters that differ"),
        (f"{REPLY}\n\nIt says of itself:\nA A A A A", "lines of letters that differ"),
        (f"{REPLY}\nA", "lines of letters that differ"),
        ("\n".join(REPLY.split()), "lines of letters that differ"),
        (reply_in("full", RUBRIC, READ.verdicts), "no line of 5 letters"),  # the other form
        (json.dumps({"letters": REPLY, "note": ""}), "no JSON object with the one key 'letters'"),
        (json.dumps({"letters": REPLY.split()}), "no JSON object with the one key 'letters'"),
        (f'{{"letters": "{REPLY}", "letters": "A A A A A"}}', "lines of letters that differ"),
        ('{"a":' * 100_000, "no JSON object"),
    ],
)
def test_anything_else_is_unparsable_with_its_reason(reply: str, detail: str) -> None:
    outcome = read(reply)
    assert isinstance(outcome, Unjudged)
    assert outcome.reason == "unparsable"
    assert detail in outcome.detail


def test_a_judge_asked_for_lines_is_not_read_by_letters() -> None:
    assert isinstance(read_verdicts(RUBRIC, Completion(REPLY), "full"), Unjudged)


@given(st.data(), st.integers(2, 26), st.integers(1, 12))
def test_whatever_the_form_allows_is_read_back(data: st.DataObject, scale: int, criteria: int) -> None:
    rubric = rubric_with(scale, criteria)
    level = st.sampled_from(list(rubric.scale))
    verdicts = {criterion.key: data.draw(level) for criterion in rubric.criteria}
    reply = reply_in("compact", rubric, verdicts)
    form = output_form(rubric, "compact")
    assert re.fullmatch(form.regex, reply)
    assert read(reply, rubric) == Judgement(verdicts)
    (pattern,) = (part["pattern"] for part in json.loads(form.json_schema)["properties"].values())
    assert re.search(pattern, reply)
    as_json = json.dumps({"letters": reply})
    assert in_form(as_json, form, "json_schema")
    assert read(as_json, rubric) == Judgement(verdicts)


@given(st.lists(st.sampled_from("ABCDE"), min_size=5, max_size=5).map(" ".join))
def test_the_form_is_no_wider_than_what_is_read(reply: str) -> None:
    assert re.fullmatch(output_form(RUBRIC, "compact").regex, reply)
    assert isinstance(read(reply), Judgement)


PIECES = [REPLY, "A", "{", "```", "<think>", "\x00", "letters"]


@given(st.text() | st.lists(st.sampled_from(PIECES)).map("\n".join))
def test_no_reply_crashes_the_parser(reply: str) -> None:
    outcome = read(reply)
    assert isinstance(outcome, Unjudged) or set(outcome.verdicts) == set(KEYS)


def test_a_scale_longer_than_the_alphabet_has_no_compact_form() -> None:
    assert len(letters(rubric_with(26, 1))) == 26
    spec = {"backend": "pocket-oracle", "verdict_form": "compact"}
    with pytest.raises(ConfigError, match=r"has 27 verdicts, and the compact form has 26 letters; .*full"):
        load_judge(spec, cache=None, rubric=rubric_with(27, 1))


def test_it_takes_a_seventh_of_the_tokens_by_the_rule_of_thumb() -> None:
    assert reply_tokens(RUBRIC, "compact") == 6 < reply_tokens(RUBRIC, "full") / 6


def test_a_judge_that_writes_letters(tmp_path: Path) -> None:
    """At an endpoint that knows JSON schemas: what it is asked, how it is read, what results say."""
    asked = []

    def answer(number, body, handler):
        asked.append(body)
        handler.reply(json.dumps({"letters": REPLY}))

    cache = tmp_path / "replies.sqlite"
    with Endpoint(answer, owned_by="somebody") as endpoint:
        spec = {"backend": "openai", "model": "m", "base_url": endpoint.url}
        with load_judge({**spec, "verdict_form": "compact"}, cache=cache) as judge:
            (assessment,) = judge.assess_all([Statement("q", "e")], progress=False)
            info = judge.info
        with load_judge(spec, cache=cache, verdict_form="compact") as judge:
            (again,) = judge.assess_all([Statement("q", "e")], progress=False)
        with load_judge(spec, cache=cache) as judge:
            (in_full,) = judge.assess_all([Statement("q", "e")], progress=False)
            other = judge.info
    assert assessment.outcome == READ
    schema = asked[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["letters"]["pattern"] == "^[A-E]( [A-E]){4}$"
    assert (again.outcome, again.cached) == (READ, True)
    assert isinstance(in_full.outcome, Unjudged)
    assert not in_full.cached  # what was said in one form never answers the other
    assert info.verdict_form == "compact"
    assert info.slug == f"{other.slug}-compact"
    assert info.yardstick != other.yardstick
    assert type(info).from_json(info.to_json()) == info
    older = {key: value for key, value in other.to_json().items() if key != "verdict_form"}
    assert type(info).from_json(older) == other


def test_the_full_form_keeps_its_place_in_old_caches() -> None:
    assert output_form(RUBRIC, "full") == RUBRIC.form
    assert Sampling(form=RUBRIC.form) == Sampling(form=output_form(RUBRIC, "full"))
