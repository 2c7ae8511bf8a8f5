"""What scripts and notebooks read of a training run: its preference pairs, as TRL's trainers take them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from anchor_train.records import conversation_to_json
from anchor_train.run.run_folder import RunFolder
from anchor_train.stages.form import asked_in_form
from anchor_train.stages.pairs import PAIRS, read_pairs
from anchor_train.stages.questions import FILE, read_questions
from judges.errors import DataError
from judges.settings import nearest

if TYPE_CHECKING:
    import datasets


def load_pairs(run: str | Path, strategy: str = "anchor", round: int | None = None) -> datasets.Dataset:
    """The preference pairs of a run, in the conversational form of ``trl.DPOTrainer``.

    Args:
        run: Run folder of ``anchor-train``.
        strategy: Whose pairs: ``anchor`` or ``rank``.
        round: Of which round; default: the last that has some.

    Returns:
        Columns ``prompt``, ``chosen``, ``rejected`` (lists of ``{role, content}``), and ``question_id``,
        ``behaviour`` and ``gold``, which the trainer leaves alone.

    Raises:
        ConfigError: If it is no run folder.
        DataError: If there are no such pairs yet.
    """
    import datasets

    folder = RunFolder.open(run)
    found = {
        (path.parts[-3], int(path.parts[-4].removeprefix("round-"))): path.parent
        for path in folder.path.glob(f"round-*/*/pairs/{PAIRS}")
    }
    rounds = [number for name, number in found if name == strategy and round in (None, number)]
    questions = folder.stage("questions")
    if not rounds or not (questions / FILE).is_file():
        known = sorted({name for name, _ in found})
        hint = nearest(strategy, known) if known else "there are none yet; anchor-train pairs makes them"
        of = "" if round is None else f" of round {round}"
        raise DataError(f"{run}: no pairs of strategy {strategy!r}{of}: {hint}")
    spec = asked_in_form(folder, folder.recipe(folder.last_overrides))
    by_id = {question.id: question for question in read_questions(questions)}
    rows: list[dict[str, Any]] = []
    for pair in read_pairs(found[strategy, max(rounds)]):
        example = pair.example(spec.explain_conversation(by_id[pair.question_id]))
        rows.append(
            {
                "prompt": conversation_to_json(example.prompt),
                "chosen": [{"role": "assistant", "content": example.chosen}],
                "rejected": [{"role": "assistant", "content": example.rejected}],
                "question_id": pair.question_id,
                "behaviour": str(pair.behaviour),
                "gold": pair.gold,
            }
        )
    return datasets.Dataset.from_list(rows)
