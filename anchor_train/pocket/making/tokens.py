"""The pocket model's tokenizer: words, whole phrases of the prompts, and single bytes for everything else.

Prompts are long beside a model of a million parameters. So every text that the prompts repeat word for word
(a system turn, the block of choices, a verdict line, the frame of a reply) is one token, and sequences stay
under a hundred tokens. The segmentation is the one with the fewest tokens (a Unigram model with equal
costs); any text can be tokenised and comes back unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from anchor_train.pocket.making.refinement import fragments
from judges.records import Conversation, Statement
from judges.rubrics.prompt import JudgePrompt
from judges.rubrics.rubric import Rubric
from lm_eval_tasks.pocket.explanations import PADDING, SHORT_CONCLUSION
from lm_eval_tasks.pocket.questions import CHOICES
from lm_eval_tasks.pocket.stories import ENDINGS, EVENTS, MONEY, NAMES, OPENINGS, THINGS
from lm_eval_tasks.records import Question
from lm_eval_tasks.tasks.spec import TaskSpec

END = "<|end|>"
PAD = "<|pad|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}" + END + "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NUMBERS = range(100)
# Stand for what changes in a prompt, to find what doesn't: the question, the explanation.
_GAP, _SECOND_GAP = "§", "¶"


def build_tokenizer(spec: TaskSpec, rubric: Rubric) -> Any:
    """Makes the tokenizer for one task's and one rubric's prompts.

    Returns:
        A ``transformers.PreTrainedTokenizerFast`` with chat template, end and padding token.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    special = [PAD, END, *ROLES]
    pieces = list(dict.fromkeys([*phrases(spec, rubric), *words()]))
    spelled = [chr(code) for code in range(32, 127)] + ["\n"]
    alone = [character for character in spelled if character not in pieces]
    raw_bytes = [f"<0x{code:02X}>" for code in range(256)]
    # Equal costs, so that the fewest pieces win; bytes only where nothing else fits.
    vocabulary = (
        [(token, 0.0) for token in special]
        + [(piece, -1.0) for piece in [*pieces, *alone]]
        + [(byte, -8.0) for byte in raw_bytes]
    )
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=1024,
    )


def words() -> Iterator[str]:
    """The words of the pocket language, each as it stands in a sentence and at the beginning of a text."""
    for name in NAMES:
        yield from (name, f" {name}")
    for thing in (*THINGS, *THINGS.values(), MONEY):
        yield f" {thing}"
    for number in NUMBERS:
        yield f" {number}"
    for template in _templates():
        for fragment in re.split(r"\{\w+\}", template):
            yield from _with_space(fragment)
    yield from fragments()
    for line in (*PADDING, ", so", " +", " -", " ×", " =", "."):
        yield from _with_space(line)


def _templates() -> Iterator[str]:
    yield SHORT_CONCLUSION
    for opening in OPENINGS.values():
        yield from (opening.story, opening.reason)
    for event in EVENTS.values():
        yield from (event.story, event.clause, event.clause[0].upper() + event.clause[1:])
    for ending in ENDINGS.values():
        yield from (ending.question, ending.conclusion)


def _with_space(text: str) -> Iterator[str]:
    """A fragment as it stands at the beginning and inside; the space after it belongs to what follows."""
    text = text.rstrip(" ")
    if text:
        yield text
        if text[0] not in " .,":
            yield f" {text}"


def phrases(spec: TaskSpec, rubric: Rubric) -> Iterator[str]:
    """Every text that the prompts and replies repeat word for word."""
    judge = JudgePrompt(rubric)
    for choice in CHOICES:
        question = Question("gap", _GAP, CHOICES, choice.label)
        shown = spec.shown_question(question)
        reply = spec.format_response(_SECOND_GAP, choice.label)
        conversations = (
            spec.explain_conversation(question),
            spec.answer_conversation(question),
            spec.consultant_conversation(question),
            judge.conversation(Statement(shown, _SECOND_GAP)),
            spec.principle_conversation(question, reply, reply),
            spec.principle_conversation(question, reply, None),
            spec.refine_conversation(question, reply, _GAP),
            spec.refined_explain_conversation(question),
        )
        for conversation in conversations:
            yield from _fixed_parts(conversation)
        yield spec.answer_target(question)
        yield from spec.format_response(_GAP, choice.label).split(_GAP)
        _, rest = spec.format_refined(_GAP, _GAP, _GAP, choice.label)
        yield from rest.split(_GAP)
        yield from spec.format_principle(_GAP).split(_GAP)
    for criterion in rubric.criteria:
        for verdict in rubric.scale:
            yield from (f"{criterion.name}: {verdict}", f"{criterion.name}: {verdict}\n")


def _fixed_parts(conversation: Conversation) -> Iterable[str]:
    return [
        part
        for message in conversation
        for part in re.split(f"[{_GAP}{_SECOND_GAP}]", message.content)
        if part
    ]
