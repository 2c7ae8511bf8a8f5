"""What notebooks and scripts call: results that print, show as HTML, and become frames (docs/python.md).

In: Run folders, or runs that are loaded.
Out: Judgements beside a run's samples, comparisons and sites; the same figures as the commands'.
Not imported here: commands, the harness.
"""

from lm_eval_tasks.api.comparing import Comparison, compare, leaderboard
from lm_eval_tasks.api.judging import score
from lm_eval_tasks.runs.discovery import Run
from lm_eval_tasks.runs.from_elsewhere import Fields, run_of_explanations
from lm_eval_tasks.runs.reply_table import Replies

__all__ = ["Comparison", "Fields", "Replies", "Run", "compare", "leaderboard", "run_of_explanations", "score"]
