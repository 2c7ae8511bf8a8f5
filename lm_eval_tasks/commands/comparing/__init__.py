"""Commands that compare runs, as text, as pages, as a verdict.

In: A command line.
Out: Text, pages, exit codes.
Not imported here: heavy libraries at the top of a file; other commands.
"""
