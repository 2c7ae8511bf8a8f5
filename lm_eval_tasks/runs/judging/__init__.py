"""Judging what runs hold: while it is written, all at once, again, or by a panel.

In: Replies of a run, a judge.
Out: Scored questions, judgement files beside the logs.
Not imported here: the harness, comparison, pages.
"""
