"""Every k steps the model explains the same questions, and a judge compares that with the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import Trainer, TrainerCallback

from anchor_train.watching.replying import Replying
from judges.config import load_judge
from judges.errors import ConfigError, DataError
from judges.judge import Judge
from judges.output.notices import tell
from lm_eval_tasks.comparison.pair import Settings, compare
from lm_eval_tasks.prompts.reply_form import read_reply_form
from lm_eval_tasks.records import ScoredQuestion
from lm_eval_tasks.runs.discovery import Run, load_run
from lm_eval_tasks.runs.judging.scoring import score_questions
from lm_eval_tasks.stats.estimation.estimates import Estimate
from lm_eval_tasks.stats.marks import Marks, marks_of
from lm_eval_tasks.stats.metrics import summarise
from lm_eval_tasks.tasks.load import load_task

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "explanations"


class WinRateCallback(TrainerCallback):  # type: ignore[misc]
    """Judges a trainer's model against its baseline, on fixed questions, every so many steps.

    ``trainer.add_callback(WinRateCallback(trainer, judge, "aqua_rat_explain"))``. The trainer's log, and with
    it every tracker of ``report_to``, gets ``explanations/win``, ``tie``, ``loss`` and ``win_minus_loss``
    (shares of 1), ``accuracy``, ``explanation_score`` (points) and ``judged``, with ``_low`` and ``_high``:
    95% intervals by question. The figure of one look is honest; the best of many looks is not.

    Replies are drawn with random numbers of their own: a training that is watched makes the same steps.

    Args:
        trainer: Any trainer of transformers' or TRL's, with a causal language model and its tokenizer.
        judge: A judge, or what ``load_judge`` takes; its cache and budget hold.
        task: A task's name or file.
        baseline: A run (or its folder) of the same task, judged by the same rubric; of the questions, those
            that it has. None for the model as it is when training begins.
        every: Steps between two looks; the last step is always looked at.
        questions: How many questions, the first of the split.
        samples: Replies a question.
        split: Which split; default: the task's own for evaluation.
        data_dir: Local files instead of the task's own source.
        reply_form: As ``anchor-eval run --reply-form``, without ``auto`` and ``held``.
        max_tokens: Longest reply.
        temperature: Of the replies; 0 is greedy.
        batch_size: Replies that are written at once.
        seed: Of the replies.

    Raises:
        ConfigError: If something of that is wrong, or the model is spread over processes.
        DataError: If questions or the baseline can't be read.
    """

    def __init__(
        self,
        trainer: Any,
        judge: Judge | str | Path | Mapping[str, Any],
        task: str | Path,
        *,
        baseline: Run | str | Path | None = None,
        every: int = 100,
        questions: int = 50,
        samples: int = 2,
        split: str | None = None,
        data_dir: str | Path | None = None,
        reply_form: str = "asked",
        max_tokens: int = 512,
        temperature: float = 0.6,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        if every < 1 or questions < 2 or samples < 1:
            raise ConfigError(
                f"WinRateCallback: every = {every}, questions = {questions}, samples = {samples}: at least 1 "
                "step, 2 questions and 1 sample"
            )
        if getattr(trainer, "is_fsdp_enabled", False) or getattr(trainer, "is_deepspeed_enabled", False):
            raise ConfigError(
                "WinRateCallback: the model is spread over processes (FSDP, DeepSpeed); measure its "
                "checkpoints instead: anchor-eval run, then anchor-eval compare --checkpoints"
            )
        if getattr(trainer.processing_class, "chat_template", None) is None:
            raise ConfigError(
                "WinRateCallback: the trainer's processing_class is no tokenizer with a chat template; "
                "questions are asked in turns"
            )
        form = read_reply_form(reply_form, "reply_form")
        if isinstance(form, str) or form.held:
            raise ConfigError(f"WinRateCallback: reply_form {reply_form}: asked or shown:K, nothing else")
        self.trainer = trainer
        self.judge = judge if isinstance(judge, Judge) else load_judge(judge)
        self.every = every
        self._spec = load_task(task).in_form(form)
        chosen = self._spec.load_questions(split or self._spec.evaluation_split, data_dir)[:questions]
        if len(chosen) < 2:
            raise DataError(f"{self._spec.name}: {len(chosen)} questions, and intervals need 2")
        self._questions = tuple(chosen)
        self._replying = Replying(samples, max_tokens, temperature, batch_size, seed)
        self._baseline = None if baseline is None else self._marks_of(baseline)
        self._looked_at = -1

    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Has the baseline's replies written, unless there is a run of them."""
        if not state.is_world_process_zero or self._baseline is not None:
            return
        if state.global_step:
            raise ConfigError(
                "WinRateCallback: training goes on from a checkpoint, whose model isn't the one that it "
                "began with; give baseline=RUN (anchor-eval run with the model of the beginning)"
            )
        scored = self._scored(model, 0)
        self._baseline = marks_of(scored)
        self._log(self._own_figures(scored))

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **others: Any) -> None:
        """Looks, if it is time."""
        due = state.global_step % self.every == 0 or state.global_step >= state.max_steps
        if not due or not state.is_world_process_zero or state.global_step == self._looked_at:
            return
        self._looked_at = state.global_step
        scored = self._scored(model, state.global_step)
        self._log({**self._own_figures(scored), **self._compared(marks_of(scored))})

    def _log(self, figures: Mapping[str, float]) -> None:
        """Into the trainer's log and its trackers.

        TRL's own ``log`` would end its averages here, and any log takes away one that is due at this step.
        """
        control = self.trainer.control
        due = control.should_log
        Trainer.log(self.trainer, dict(figures))
        control.should_log = due

    def _scored(self, model: Any, step: int) -> list[ScoredQuestion]:
        tokenizer = self.trainer.processing_class
        asked = [self._spec.asked_conversation(question) for question in self._questions]
        with _resting(model) as rested:
            replies = self._replying.to(rested, tokenizer, asked, step)
        items = list(zip(self._questions, replies, strict=True))
        return score_questions(self._spec, items, self.judge, progress=False)

    def _own_figures(self, scored: Sequence[ScoredQuestion]) -> dict[str, float]:
        found = summarise(scored, self.judge.rubric)
        figures: dict[str, float] = {}
        for name, key in (
            ("acc", "accuracy"),
            ("explanation_score", "explanation_score"),
            ("judged", "judged"),
        ):
            if name in found:
                summary = found[name]
                figures |= _with_ends(key, summary.value, summary.low, summary.high)
        return figures

    def _compared(self, marks: Marks) -> dict[str, float]:
        assert self._baseline is not None
        found = compare(marks, self._baseline, top_score=self.judge.rubric.max_score, settings=Settings())
        if found is None:
            tell(f"warning: {self._spec.name}: no question has judged explanations of model and baseline")
            return {}
        rates: dict[str, Estimate] = {
            "win": found.win,
            "tie": found.tie,
            "loss": found.loss,
            "win_minus_loss": found.margin,
        }
        return {
            key: value
            for name, one in rates.items()
            for key, value in _with_ends(name, one.value, one.low, one.high).items()
        }

    def _marks_of(self, baseline: Run | str | Path) -> Marks:
        run = baseline if isinstance(baseline, Run) else load_run(baseline)
        task = run.task(self._spec.name)
        info = task.judge
        if info is None or info.yardstick != self.judge.info.yardstick:
            by = "nobody" if info is None else info.asked
            raise DataError(
                f"{run.path}: judged by {by}, and the callback's judge by {self.judge.info.asked}; scores by "
                f"different rubrics can't be compared: anchor-eval score {run.path} --judge ..."
            )
        known = set(task.marks.ids)
        self._questions = tuple(question for question in self._questions if question.id in known)
        if len(self._questions) < 2:
            raise DataError(
                f"{run.path}: has {len(self._questions)} of the callback's questions; 2 are needed"
            )
        return task.marks


def _with_ends(name: str, value: float, low: float | None, high: float | None) -> dict[str, float]:
    found = {f"{PREFIX}/{name}": value}
    if low is not None and high is not None:
        found |= {f"{PREFIX}/{name}_low": low, f"{PREFIX}/{name}_high": high}
    return found


@contextmanager
def _resting(model: Any) -> Iterator[Any]:
    """The model without its wrappers, in evaluation mode; afterwards as it was."""
    inner = getattr(model, "module", model)
    training = inner.training
    inner.eval()
    try:
        yield inner
    finally:
        inner.train(training)
