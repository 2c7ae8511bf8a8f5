"""What a judge was asked about each explanation: the very turns that were sent.

They follow from the rubric, the task's text for a question, and the explanation. A rubric of the user's own
lies in the judgements' summary; where rubric or task aren't known any more, nothing is told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from judges.errors import AnchorError
from judges.records import Statement
from judges.rubrics.load import load_rubric
from judges.rubrics.prompt import JudgePrompt
from judges.rubrics.rubric import Rubric
from judges.rubrics.rubric_files import rubric_from
from lm_eval_tasks.prompts.reply_form import ASKED, ReplyForm, read_reply_form
from lm_eval_tasks.records import Question, Response
from lm_eval_tasks.runs.discovery import TaskRun
from lm_eval_tasks.runs.judging.scoring import statement_of
from lm_eval_tasks.tasks.load import find_tasks
from lm_eval_tasks.tasks.spec import TaskSpec

# In no text that a rubric or a task would have; what a statement consists of, in this order.
_MARKS = "\ue000\ue001\ue002\ue003\ue004"


@dataclass(frozen=True, slots=True)
class Asked:
    """The prompt of one run's judge.

    Attributes:
        system: The system turn, the same for all.
        pieces: The user turn in pieces: texts, and numbers for the parts of a statement: 0 for the question
            as it is shown, 1 for the explanation, 2 the choice, 3 the right answer, 4 the reference.
        spec: The task.
        prompt: What fills them in.
    """

    system: str
    pieces: tuple[str | int, ...]
    spec: TaskSpec
    prompt: JudgePrompt

    @property
    def shows_more(self) -> bool:
        """Whether the judge sees more than question and explanation."""
        return any(isinstance(one, int) and one > 1 for one in self.pieces)

    def statement(self, question: Question, response: Response) -> Statement:
        """What the judge could be shown of a response."""
        shown = self.spec.shown_question(question)
        return statement_of(shown, question, response.explanation or "", response.choice)

    def exception(self, statement: Statement, beside: str | None) -> str | None:
        """The user turn, where it isn't the pieces filled in with the texts that a reader has beside it.

        Args:
            statement: What the judge could be shown.
            beside: The text that stands on the page for the explanation.

        Returns:
            None where they are the same: nothing in the texts had to be made harmless.
        """
        sent = self.prompt.conversation(statement)[1].content
        extras = statement.choice, statement.right_answer, statement.reference
        texts = [str(text) for text in (statement.question, beside, *extras)]
        filled = "".join(texts[one] if isinstance(one, int) else one for one in self.pieces)
        return None if sent == filled else sent


def asked_of_judge(run: TaskRun) -> Asked | None:
    """What the judge of a run was asked; None where nobody judged, or it can't be told."""
    judge = run.judge
    if judge is None:
        return None
    rubric, spec = _rubric(run), _spec(run)
    if rubric is None or spec is None:
        return None
    prompt = JudgePrompt(rubric, judge.verdict_form)
    question, explanation, *extras = list(_MARKS)
    marked = Statement(question, explanation, 0, *extras)
    system, user = prompt.conversation(marked)
    pieces = re.split(f"([{_MARKS}])", user.content)
    marks: dict[str, int] = {mark: number for number, mark in enumerate(_MARKS)}
    return Asked(system.content, tuple(marks.get(piece, piece) for piece in pieces if piece), spec, prompt)


def _rubric(run: TaskRun) -> Rubric | None:
    judge = run.judge
    assert judge is not None
    try:
        if run.summary is not None and run.summary.rubric is not None:
            rubric = rubric_from(run.summary.rubric, f"{run.judgements_file}")
        else:
            rubric = load_rubric(judge.rubric)
    except AnchorError:
        return None
    return rubric if rubric.fingerprint == judge.rubric_fingerprint else None


def _spec(run: TaskRun) -> TaskSpec | None:
    try:
        (spec,) = find_tasks([run.task], None, {run.task: run.source} if run.source else None)
        form = ASKED if run.reply_form is None else read_reply_form(run.reply_form, f"{run.samples_file}")
        if isinstance(form, ReplyForm):
            spec = spec.in_form(form)
    except AnchorError:
        return None
    # Of a task whose texts have changed since, nobody knows how it was shown.
    return spec if run.prompt_fingerprint in (None, spec.fingerprint) else None
