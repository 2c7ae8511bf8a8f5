"""Looking at a run, before it starts and after: dry run, status, examples, export.

In: A run folder.
Out: Text and JSON for people, a folder to hand on.
Not imported here: commands; it changes no artifact.
"""
