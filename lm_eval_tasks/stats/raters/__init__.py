"""How well raters of the same statements agree, and whether a judge may stand for people.

In: A table of ratings, raters by statements, and the question of each statement.
Out: Coefficients with intervals by question, the alt-test.
Not imported here: files, judges, runs.
"""
