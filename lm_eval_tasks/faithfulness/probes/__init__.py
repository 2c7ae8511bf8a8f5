"""The probes, one a file: what is asked about a reply, and what figures come of all replies.

In: A reply, and the answers to what was asked.
Out: Asks; a record a reply; figures.
Not imported here: models, writers, files.
"""
