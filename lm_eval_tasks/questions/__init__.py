"""From rows of data sets to questions.

In: Files or a hub data set, and a layout.
Out: Questions with unique ids; a row that can't be read is named.
Not imported here: prompts, tasks, the harness.
"""
