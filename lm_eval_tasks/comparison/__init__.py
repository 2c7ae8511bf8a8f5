"""Models and judges compared: pairs, tournaments, agreement, power.

In: Runs, or values of their questions.
Out: Comparisons, and their text and JSON.
Not imported here: the harness, pages, commands.
"""
