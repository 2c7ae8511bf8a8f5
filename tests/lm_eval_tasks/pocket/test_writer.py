"""The writer by computation: every probe that needs one can be answered, in the prompts that it sends."""

from __future__ import annotations

import itertools

import pytest
from click.testing import CliRunner

from judges.backends.protocol import answer_all
from judges.config import load_backend
from judges.records import Failure, Message, Reply, Sampling
from lm_eval_tasks.cli import main
from lm_eval_tasks.faithfulness.texts import probe_texts
from lm_eval_tasks.pocket.explanations import Line, full_explanation, read_explanation
from lm_eval_tasks.pocket.questions import CHOICES, draw_stories, question_of, range_of
from lm_eval_tasks.pocket.stories import sentences
from lm_eval_tasks.pocket.writer import mistaken, reworded, written
from lm_eval_tasks.runs.discovery import load_run
from lm_eval_tasks.tasks.load import load_task
from tests.judges.endpoint import Endpoint
from tests.lm_eval_tasks.faithfulness.endpoints import chat_model, perfect, pocket_run

STORIES = list(itertools.islice(draw_stories("test", 2), 80))
SPEC = load_task("pocket_explain")
LABELS = tuple(choice.label for choice in CHOICES)


def asked(ask) -> str | None:
    return written(ask.conversation[-1].content)


def test_a_planted_mistake_is_another_amount_of_another_range_in_the_same_words():
    texts = probe_texts()
    for story in STORIES:
        shown, said = SPEC.shown_question(question_of(story)), sentences(full_explanation(story))
        for place, sentence in enumerate(said):
            made = asked(texts.mistake(shown, " ".join(said[:place]), sentence))
            assert made is not None
            assert made != sentence
            before, after = read_explanation(sentence)[0], read_explanation(made)[0]
            assert type(before) is type(after)
            of = "result" if isinstance(before, Line) else "number"
            assert range_of(getattr(before, of)) != range_of(getattr(after, of))
            assert asked(texts.check(shown, sentence, made)) == "yes"
            assert asked(texts.check(shown, sentence, sentence)) == "no"


def test_sentences_without_an_amount_stay():
    assert mistaken("This is a nice little question.") == "This is a nice little question."


def test_other_words_keep_every_amount():
    texts, changed = probe_texts(), 0
    for story in STORIES:
        text = full_explanation(story)
        made = asked(texts.paraphrase(text))
        assert made is not None
        changed += made != text
        results = [line.result for line in read_explanation(text) if isinstance(line, Line)]
        assert [line.result for line in read_explanation(made) if isinstance(line, Line)] == results
    assert changed == len(STORIES)
    assert reworded("Mia buys 2 more, so 1 + 2 = 3.") == "Mia finds 2 more, so 1 + 2 = 3."
    assert reworded("Mia doubles them, so 3 × 2 = 6. So Mia has 6 pens.") == "3 × 2 = 6. So Mia has 6 pens."


def test_a_reader_expects_what_the_explanation_ends_with_else_the_truth():
    texts = probe_texts()
    for story in STORIES[:20]:
        shown = SPEC.shown_question(question_of(story))
        assert asked(texts.simulate(LABELS, shown, "")) == range_of(story.answer)
        assert asked(texts.simulate(LABELS, shown, "Mia starts with 5 pens. 5 + 40 = 45.")) == "E"
        assert asked(texts.simulate(LABELS, "", "5 + 4 = 9.")) == "B"


def test_as_a_backend_it_writes_and_still_judges():
    story = STORIES[0]
    shown = SPEC.shown_question(question_of(story))
    with load_backend("pocket-oracle:ground-truth") as backend:
        sentence = sentences(full_explanation(story))[0]
        asks = [probe_texts().mistake(shown, "", sentence).conversation, (Message("user", "Hello."),)]
        made, other = answer_all(backend, asks, Sampling())
    assert isinstance(made, Reply)
    assert made.text == mistaken(sentence)
    assert isinstance(other, Failure)


@pytest.mark.parametrize(
    "prompt",
    [
        "Nothing of the kind.",
        "<question>\nIs it?\n</question>\n\n<explanation>\nYes.\n</explanation>",
        "<hint>\nIt is B.\n</hint>\n<explanation>\nYes.\n</explanation>",
    ],
)
def test_what_isnt_a_writers_is_left_alone(prompt):
    assert written(prompt) is None


def test_every_probe_that_needs_a_writer_is_answered_by_it(tmp_path):
    """On a model behind a server that takes B once its explanation names a number, and A before."""
    questions = [question_of(story) for story in STORIES[:24]]
    run = pocket_run(tmp_path / "run", questions, explain=perfect)
    with Endpoint(chat_model(reads=True)) as endpoint:
        model_args = f"model=m,base_url={endpoint.url},num_concurrent=8"
        command = ["probe", str(run), "--model", "local-chat-completions", "--model-args", model_args]
        kinds = ["--kinds", "mistakes,paraphrase,las", "--writer", "pocket-oracle:ground-truth"]
        found = CliRunner().invoke(main, [*command, *kinds])
    assert found.exit_code == 0, found.output
    probes = load_run(run).task("pocket_explain").probes
    assert probes.keys() == {"mistakes", "paraphrase", "las"}
    assert all(probe.writer.startswith("pocket-oracle") and not probe.lost for probe in probes.values())
    # Another number is a number all the same, as are other words; and the truth is told from the question.
    for kind, figure, value in (
        ("mistakes", "moved_by_mistake", 0.0),
        ("paraphrase", "same_after_paraphrase", 1.0),
        ("las", "las_given_away", 0.0),
    ):
        estimate = probes[kind].figures["all"][figure].estimate
        assert estimate is not None
        assert estimate.value == value
