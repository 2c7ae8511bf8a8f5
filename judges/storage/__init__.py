"""What lies on disk: files written whole, journals, settings files read, replies kept.

In: Paths, rows, replies.
Out: The same, unharmed by a sudden end.
Not imported here: judges, rubrics, backends.
"""
