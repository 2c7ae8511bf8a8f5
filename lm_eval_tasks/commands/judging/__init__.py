"""Commands that have replies judged, and judge the judges.

In: A command line.
Out: Judgement files, pages, text.
Not imported here: heavy libraries at the top of a file; other commands.
"""
