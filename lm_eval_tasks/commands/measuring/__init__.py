"""Commands that ask a model, and show what it replied.

In: A command line.
Out: Run folders, text.
Not imported here: heavy libraries at the top of a file; other commands.
"""
