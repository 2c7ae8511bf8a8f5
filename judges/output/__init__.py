"""What the user sees while something runs, and the log that keeps the rest.

In: Lines that are told, and how far a phase is.
Out: One progress line a phase on standard error; ``log.txt`` in the run folder.
Not imported here: anything of ``judges`` but errors.
"""
