"""How much of the judge's prompts vLLM's prefix cache saves, by the order of the statements.

    python -m benchmarks.judging.prefix_reuse --questions 40 --samples 16

Explanations of long questions, put to the local vLLM engine three times: shuffled, as they come; shuffled,
through a judge, which brings those of one question together; and in the order of the questions. The cache is
small (``--blocks`` of 32 tokens), as that of a big model under load is: with room for everything, no order
matters. Each time other questions are used, so that nothing is left from before.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from judges import Reply, Statement, Usage, load_judge
from judges.judge import Judge
from judges.rubrics.load import load_rubric
from judges.rubrics.prompt import JudgePrompt
from tests.tiny_models import make_tiny_model

RUBRIC = load_rubric()
WORDS = [
    "the",
    "of",
    "a",
    "river",
    "stone",
    "bread",
    "because",
    "three",
    "apples",
    "left",
    "follows",
    "given",
    "number",
    "answer",
    "so",
    "each",
]


def statements(questions: int, samples: int, seed: int) -> list[Statement]:
    """Questions of about 150 words with explanations of about 60, in the order of the questions."""
    rng = random.Random(seed)

    def text(words: int) -> str:
        return " ".join(rng.choices(WORDS, k=words))

    return [
        Statement(question, text(60))
        for question in (f"{seed}/{k}. {text(150)}" for k in range(questions))
        for _ in range(samples)
    ]


def main() -> None:
    """Prints the table for RESULTS.md."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--questions", type=int, default=40)
    options.add_argument("--samples", type=int, default=16)
    options.add_argument("--blocks", type=int, default=512, help="of 32 tokens, in the engine's cache")
    options.add_argument("--sequences", type=int, default=8, help="that the engine runs at a time")
    given = options.parse_args()

    with TemporaryDirectory() as folder:
        make_tiny_model(Path(folder) / "model")
        engine = {
            "backend": "vllm",
            "model": str(Path(folder) / "model"),
            "max_model_len": 2048,
            "engine_args": {
                "num_gpu_blocks_override": given.blocks,
                "max_num_seqs": given.sequences,
                "block_size": 32,
            },
        }
        with load_judge({**engine, "verdict_form": "compact"}, cache=None) as judge:
            print("| order | read | reused | seconds |\n|---|---|---|---|")
            _warm(judge)
            for label, shuffle, through in (
                ("shuffled, as they come", True, False),
                ("shuffled, through a judge", True, True),
                ("question by question", False, False),
            ):
                shown = statements(given.questions, given.samples, seed=len(label))
                if shuffle:
                    random.Random(0).shuffle(shown)
                usage, seconds = _asked(judge, shown, through)
                share = usage.cached_prompt_tokens / usage.prompt_tokens
                print(f"| {label} | {usage.prompt_tokens} | {share:.1%} | {seconds:.1f} |")


def _warm(judge: Judge) -> None:
    judge.assess_all(statements(2, 2, seed=0), progress=False)


def _asked(judge: Judge, shown: Sequence[Statement], through: bool) -> tuple[Usage, float]:
    clock = time.perf_counter()
    if through:
        before = judge.accounts
        judge.assess_all(shown, progress=False)
        usage = judge.accounts.since(before).usage
    else:
        prompt = JudgePrompt(RUBRIC, judge.form)
        asked = (prompt.conversation(statement) for statement in shown)
        usage = Usage()
        for _, outcome in judge.backend.replies(asked, judge.sampling):
            assert isinstance(outcome, Reply)
            usage += outcome.usage or Usage()
    return usage, time.perf_counter() - clock


if __name__ == "__main__":
    main()
