"""What was compared, in words: text and JSON, LaTeX, notes, a gate's verdict.

In: Comparisons as objects.
Out: Text.
Not imported here: anything that computes a figure; it is computed above.
"""
