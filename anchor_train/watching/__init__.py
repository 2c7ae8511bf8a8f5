"""A training of anybody's, watched: what its explanations are worth while it runs.

In: A trainer of transformers' or TRL's, a task, a judge.
Out: Figures with intervals in the trainer's own log.
Not imported here: recipes, stages, our own trainings.
"""

from anchor_train.watching.win_rate import WinRateCallback

__all__ = ["WinRateCallback"]
