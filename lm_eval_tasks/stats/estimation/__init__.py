"""Estimates by question: means, ratios and other figures with intervals and tests.

In: Arrays of values by question.
Out: Estimates, intervals, p values.
Not imported here: anything that knows of models, judges or files.
"""
