"""Runs on disk: found, read, judged; every field of a file checked.

In: Folders, samples logs, judgement files.
Out: Scored questions and summaries.
Not imported here: the harness (it needn't be installed to read a run), comparison, pages.
"""
