"""The forms in which a judge writes its verdicts.

* ``full``: one ``Criterion: VERDICT`` line for each criterion, as the paper has it.
* ``compact``: one letter for each, ``A B A C B``, in the order of the criteria: ``A`` is the best verdict of
  the rubric's scale, ``B`` the next one. The prompt is the rubric's own, with a paragraph that explains the
  letters at the end of its system turn.

Letters carry no names, so a compact reply is read by position, and more strictly than a full one: every line
that consists of single capital letters must hold one letter of the scale for each criterion, and all such
lines must agree.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from string import ascii_uppercase

from judges.errors import ConfigError
from judges.records import Judgement, OutputForm, VerdictForm
from judges.rubrics.rubric import Rubric
from judges.spending.estimate import CHARACTERS_A_TOKEN

LEGEND = Path(__file__).parent / "compact.jinja"
"""Template of the paragraph that explains the letters; knows ``criteria`` (names) and ``letters``."""

JSON_KEY = "letters"
"""Key of the letters in a reply that is held to JSON."""

_LETTERS = re.compile(r"[A-Z](?:(?:\s*[,;|/]\s*|\s+)[A-Z])*")
_LETTER = re.compile(r"[A-Z]")
_DRESS = " \t*_`\"'."


def letters(rubric: Rubric) -> Mapping[str, str]:
    """Letter -> verdict, best first.

    Raises:
        ConfigError: If the scale has more verdicts than there are letters.
    """
    if len(rubric.scale) > len(ascii_uppercase):
        raise ConfigError(
            f"rubric {rubric.name}: its scale has {len(rubric.scale)} verdicts, and the compact form has "
            f"{len(ascii_uppercase)} letters; judge with verdict_form: full"
        )
    return dict(zip(ascii_uppercase, rubric.scale, strict=False))


def output_form(rubric: Rubric, form: VerdictForm) -> OutputForm:
    """A rubric's form for constrained decoding, full or compact.

    Raises:
        ConfigError: If it has no compact form.
    """
    return rubric.form if form == "full" else _compact_output(rubric)


def reply_tokens(rubric: Rubric, form: VerdictForm) -> float:
    """About how many tokens a reply takes, its end included."""
    if form == "compact":
        return len(rubric.criteria) + 1
    return len(rubric.longest_form) / CHARACTERS_A_TOKEN


def reply_in(form: VerdictForm, rubric: Rubric, verdicts: Mapping[str, str]) -> str:
    """A judge's reply: verdicts (criterion key -> verdict) in a form."""
    if form == "full":
        return "\n".join(f"{c.name}: {verdicts[c.key]}" for c in rubric.criteria)
    of_verdict = {verdict: letter for letter, verdict in letters(rubric).items()}
    return " ".join(of_verdict[verdicts[criterion.key]] for criterion in rubric.criteria)


def letters_in(line: str) -> tuple[str, ...]:
    """The letters of a line that consists of single capital letters, right ones or not; else none."""
    found = _LETTERS.fullmatch(line.strip(_DRESS))
    return tuple(_LETTER.findall(found.group())) if found else ()


def read_compact(rubric: Rubric, text: str) -> Judgement | str:
    """Reads a reply without its think block: its verdicts, or what is wrong with it."""
    lines = _json_lines(text) if text.startswith("{") else text.splitlines()
    if lines is None:
        return f"no JSON object with the one key {JSON_KEY!r}"
    scale, criteria = letters(rubric), rubric.criteria
    found = {given for line in lines if (given := letters_in(line))}
    if not found:
        return f"no line of {len(criteria)} letters"
    if len(found) > 1:
        return "lines of letters that differ"
    given = found.pop()
    if len(given) != len(criteria):
        return f"{len(given)} letters for {len(criteria)} criteria"
    if unknown := sorted(set(given) - set(scale)):
        return f"no verdict has the letter {', '.join(unknown)}"
    return Judgement(
        {criterion.key: scale[letter] for criterion, letter in zip(criteria, given, strict=True)}
    )


def _compact_output(rubric: Rubric) -> OutputForm:
    """The compact form for constrained decoding.

    The letters are separated by spaces because a letter with its space is one token of common tokenizers,
    and so one decision of the judge; of letters without spaces some pairs would be tokens, others not.
    """
    letter = f"[A-{max(letters(rubric))}]"
    rest = len(rubric.criteria) - 1
    regex = letter + (f"( {letter}){{{rest}}}" if rest else "")
    schema = {
        "type": "object",
        "properties": {JSON_KEY: {"type": "string", "pattern": f"^{regex}$"}},
        "required": [JSON_KEY],
        "additionalProperties": False,
    }
    return OutputForm(regex, json.dumps(schema))


def _json_lines(text: str) -> list[str] | None:
    # Pairs, not a dict, so that letters given twice are seen.
    try:
        pairs = json.loads(text, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    if any(key != JSON_KEY or not isinstance(value, str) for key, value in pairs):
        return None
    return [value for _, value in pairs]
