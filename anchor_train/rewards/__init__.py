"""Rewards for reinforcement learning: what an explanation is worth while a model is being trained.

In: A task, a judge, completions as TRL's ``GRPOTrainer`` has them.
Out: Reward functions, and the questions as a data set of that trainer.
Not imported here: recipes, stages, runs on disk; torch and TRL.
"""

from anchor_train.rewards.explanation import explanation_reward
from anchor_train.rewards.questions import question_set

__all__ = ["explanation_reward", "question_set"]
