"""The figures: win, tie and loss, metrics, ratings, intervals, as functions of values.

In: Arrays and scored questions.
Out: Estimates with intervals.
Not imported here: files, clocks, judges' backends; randomness without a seed.
"""
