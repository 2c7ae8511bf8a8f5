"""Pocket: questions with ground truth, an oracle that checks explanations by computation, and a model.

The pocket family makes every claim about the method testable offline: its questions are generated and
unlimited, what an explanation of them is worth can be computed, and a language model of about a million
parameters that speaks our prompts ships beside them.
"""

from __future__ import annotations

from pathlib import Path


def model_folder() -> Path:
    """The folder of the shipped pocket model, in Hugging Face's form."""
    return Path(__file__).parent / "model"


def lm_eval_arguments() -> tuple[str, str]:
    """The shipped model as lm-evaluation-harness takes it: kind of model, and its arguments."""
    return "hf", f"pretrained={model_folder()},dtype=float32"
