"""What several stages are made of: asking models, showing examples, what a dry run looks at.

In: Jobs and records.
Out: Replies in a journal; text.
Not imported here: kinds of stages, but for questions and the form that they are asked in.
"""
