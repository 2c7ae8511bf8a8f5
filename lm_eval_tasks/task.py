"""The name of the task class that task files use: ``class: !function lm_eval_tasks.task.ExplainTask``."""

from lm_eval_tasks.harness.task import ExplainTask

__all__ = ["ExplainTask"]
