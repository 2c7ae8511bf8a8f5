"""``python -m lm_eval_tasks`` is ``anchor-eval``."""

from lm_eval_tasks.cli import main

main(prog_name="anchor-eval")
