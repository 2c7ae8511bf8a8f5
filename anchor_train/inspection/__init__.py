"""Looking at a run, before it starts and after: dry run, status, examples.

In: A run folder.
Out: Text and JSON for people.
Not imported here: commands; it changes no artifact.
"""
