import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judges import Completion, Judgement, Unjudged, load_rubric
from judges.rubrics.parsing import read_verdicts, unquotable

RUBRIC = load_rubric()
NAMES = [criterion.name for criterion in RUBRIC.criteria]
KEYS = [criterion.key for criterion in RUBRIC.criteria]
SCALE = list(RUBRIC.scale)
GIVEN = ["GOOD", "EXCELLENT", "SATISFACTORY", "NEEDS IMPROVEMENT", "UNSATISFACTORY"]
FORM = "\n".join(f"{name}: {verdict}" for name, verdict in zip(NAMES, GIVEN, strict=True))
OTHER = FORM.replace("GOOD", "UNSATISFACTORY")
OBJECT = json.dumps(dict(zip(NAMES, GIVEN, strict=True)), indent=1)
NESTED = json.dumps(
    {
        name: {"reason": f"{name} is what counts.", "verdict": given}
        for name, given in zip(NAMES, GIVEN, strict=True)
    }
)
TABLE = "| Criterion | Verdict |\n|---|---|\n" + "\n".join(
    f"| {name} | {verdict} |" for name, verdict in zip(NAMES, GIVEN, strict=True)
)
READ = Judgement(dict(zip(KEYS, GIVEN, strict=True)))

verdicts = st.lists(st.sampled_from(SCALE), min_size=5, max_size=5)


def read(text, finish_reason="stop"):
    return read_verdicts(RUBRIC, Completion(text, finish_reason))


def lines(given):
    return [f"{name}: {verdict}" for name, verdict in zip(NAMES, given, strict=True)]


@pytest.mark.parametrize(
    "reply",
    [
        FORM,
        FORM.lower(),
        f"\n\n  {FORM}  \n",
        FORM.replace("\n", "\r\n"),
        FORM.replace("\n", "\n\n"),
        "\n".join(f"- **{line.replace(':', ':**')}." for line in FORM.splitlines()),
        "\n".join(f"{k}. {line}" for k, line in enumerate(FORM.splitlines(), 1)),
        "\n".join(f"* `{line}`" for line in FORM.splitlines()),
        FORM.replace("Factual Accuracy", "factual_accuracy"),
        f"Here are my ratings:\n\n{FORM}\n\nI hope that helps.",
        f"```\n{FORM}\n```",
        f"<think>Clarity: UNSATISFACTORY? Hm.\n{OTHER}</think>\n{FORM}",
        f"{OTHER}\nNo, too strict.</think>{FORM}",
        f"{OTHER}\n\nOn reflection:\n\n{FORM}",
        f"{FORM}\n{FORM.splitlines()[2]}",
        "\n".join(FORM.splitlines()[::-1]),
        json.dumps(dict(zip(NAMES, GIVEN, strict=True))),
        "```json\n" + json.dumps(dict(zip(KEYS, GIVEN, strict=True)), indent=2) + "\n```",
        f"I weighed all five.\n\n```json\n{OBJECT}\n```\n\nA decent explanation {{on the whole}}.",
        f"The object: {OBJECT}",
        f"{OBJECT}\n\nA decent explanation.",
        f'The form is {{"a": 1}}. {OBJECT.replace("GOOD", "UNSATISFACTORY")} No, too strict: {OBJECT}',
        FORM.replace(": ", "："),
        "\n".join(f"{line} - it says what it should." for line in FORM.splitlines()),
        "\n".join(f"**{line}** (the steps follow)" for line in FORM.splitlines()),
        "\n".join(f"{line}. The facts are right." for line in FORM.splitlines()),
        json.dumps({"verdicts": json.loads(OBJECT)}),
        f"My ratings: {json.dumps({'evaluation': json.loads(OBJECT)})}",
        NESTED,
        f"Here you are:\n```json\n{NESTED}\n```",
        json.dumps({"ratings": json.loads(NESTED)}),
        TABLE,
        f"Here you are:\n\n{TABLE}\n\nThat is all.",
        TABLE.replace(" |\n", " | it reads well |\n"),
        f"[THINK]Clarity: UNSATISFACTORY?\n{OTHER}[/THINK]{FORM}",
        f"<|channel|>analysis<|message|>{OTHER}<|end|><|start|>assistant<|channel|>final<|message|>{FORM}",
        f"<reasoning>{OTHER}</reasoning>{OBJECT}",
    ],
)
def test_the_form_is_read_however_it_is_dressed(reply):
    assert read(reply) == READ


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        ("", "the reply is empty"),
        ("A fine explanation.", "no verdict for Factual Accuracy, Logical Coherence, Clarity"),
        ("\n".join(FORM.splitlines()[:4]), "no verdict for Depth of Argumentation"),
        (FORM.replace("GOOD", "GREAT"), "unknown verdict 'GREAT' for Factual Accuracy"),
        (FORM.replace("GOOD", "GOOD or EXCELLENT"), "unknown verdict"),
        (FORM.replace("GOOD", "5"), "unknown verdict '5'"),
        (FORM.replace("GOOD", ""), "unknown verdict ''"),
        (f"{FORM}\nFactual Accuracy: EXCELLENT", "two verdicts for Factual Accuracy"),
        (f"Factual Accuracy: EXCELLENT\n{FORM}", "two verdicts for Factual Accuracy"),
        (f"Clarity: hard to say\n{FORM}", "unknown verdict 'hard to say' for Clarity"),
        (f"<think>{FORM}", "the think block never ends"),
        (f"[THINK]{FORM}", "the think block never ends"),
        (FORM.replace("GOOD", "GOOD - or EXCELLENT"), "unknown verdict"),
        (FORM.replace("GOOD", "GOOD - EXCELLENT"), "unknown verdict"),
        (FORM.replace("GOOD", "GOOD, not EXCELLENT"), "unknown verdict"),
        (FORM.replace("GOOD", "GOOD enough"), "unknown verdict"),
        (TABLE.replace("GOOD |", "GOOD | EXCELLENT |"), "unknown verdict"),
        (f"{OBJECT}\nFactual Accuracy: EXCELLENT", "two verdicts for Factual Accuracy"),
        (f"Factual Accuracy: EXCELLENT\n{OBJECT}", "two verdicts for Factual Accuracy"),
        (f'{{"Clarity": "GOOD"}} and {OBJECT}', "two verdicts for Clarity"),
        (f"Here: {OBJECT[:-9]}", "no verdict for Factual Accuracy"),
        ("Well, " + '{"a":' * 100_000, "no verdict for"),
        (f"<think>{FORM}</think>", "the reply is empty"),
        ('{"Clarity": "GOOD"}', "no verdict for Factual Accuracy"),
        ('{"Clarity": "GOOD", "Clarity": "EXCELLENT"', "not a JSON object"),
        (json.dumps(dict.fromkeys(NAMES, 5)), "unknown verdict '5'"),
        (json.dumps({name: {"verdict": "GOOD", "rating": "GOOD"} for name in NAMES}), "unknown verdict"),
        (json.dumps({name: {"verdict": ["GOOD"]} for name in NAMES}), "unknown verdict"),
        (
            json.dumps({name: {"verdict": "GOOD", "best case": "EXCELLENT"} for name in NAMES}),
            "unknown verdict",
        ),
        (json.dumps({name: {"reason": "GOOD"} for name in NAMES}), "unknown verdict"),
        (json.dumps({name: ["GOOD"] for name in NAMES}), "unknown verdict"),
        (json.dumps({"draft": json.loads(OBJECT), "final": json.loads(OBJECT)}), "'draft' is no criterion"),
        (NESTED + "\nFactual Accuracy: EXCELLENT", "two verdicts for Factual Accuracy"),
        (
            json.dumps(dict(zip([*NAMES, "Overall"], [*GIVEN, "GOOD"], strict=True))),
            "'Overall' is no criterion",
        ),
        ('{"a":' * 100_000, "not a JSON object"),
    ],
)
def test_what_is_not_the_form_is_unparsable_with_its_reason(reply, detail):
    outcome = read(reply)
    assert isinstance(outcome, Unjudged)
    assert outcome.reason == "unparsable"
    assert detail in outcome.detail


def test_json_that_contradicts_itself_is_unparsable():
    pairs = [*zip(NAMES, GIVEN, strict=True), ("Clarity", "EXCELLENT")]
    reply = "{" + ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in pairs) + "}"
    assert "two verdicts for Clarity" in read(reply).detail


def test_a_cut_reply_is_truncated_and_a_refusal_refused():
    assert read(FORM, "length").reason == "truncated"
    assert read(FORM, "length").detail == "the reply was cut at max_tokens"
    assert read(f"[THINK]{FORM}", "length").detail == "the reply was cut at max_tokens while thinking"
    assert read("I can't.", "refused") == Unjudged("refused", "I can't.")


@given(verdicts)
def test_whatever_the_form_allows_is_read_back(given):
    expected = Judgement(dict(zip(KEYS, given, strict=True)))
    assert read("\n".join(lines(given))) == expected
    assert read(json.dumps(dict(zip(NAMES, given, strict=True)))) == expected


@given(verdicts, st.permutations(range(5)))
def test_labels_count_not_positions(given, order):
    shuffled = [lines(given)[k] for k in order]
    assert read("\n".join(shuffled)) == Judgement(dict(zip(KEYS, given, strict=True)))


@given(st.lists(verdicts, min_size=1, max_size=4))
def test_the_last_complete_block_wins(blocks):
    reply = "\n\n".join("\n".join(lines(given)) for given in blocks)
    assert read(reply) == Judgement(dict(zip(KEYS, blocks[-1], strict=True)))


@given(
    st.text()
    | st.lists(st.sampled_from([*FORM.splitlines(), "{", "}", "```", "<think>", "\x00"])).map("\n".join)
)
def test_no_reply_crashes_the_parser(reply):
    outcome = read(reply)
    if isinstance(outcome, Judgement):
        assert list(outcome.verdicts) == KEYS
        assert set(outcome.verdicts.values()) <= set(SCALE)
    else:
        assert outcome.detail


@pytest.mark.parametrize(
    "quoted",
    [
        TABLE,
        OBJECT,
        NESTED,
        json.dumps({"verdicts": json.loads(OBJECT)}),
        FORM.replace(": ", "："),
        FORM.replace("\n", " - as shown.\n"),
    ],
)
def test_no_spelling_that_is_read_is_read_from_a_quoted_explanation(quoted):
    assert isinstance(read(quoted), Judgement)
    assert isinstance(read(f"The student wrote:\n{unquotable(RUBRIC, quoted)}"), Unjudged)
    assert read(f"{OTHER}\n\nThe student wrote:\n{unquotable(RUBRIC, quoted)}") == read(OTHER)
