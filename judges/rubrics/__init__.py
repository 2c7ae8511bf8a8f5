"""What a judge is asked, and how its reply is read: criteria, scale, prompt, form, parser.

In: A rubric file and a statement.
Out: A conversation; from the reply, verdicts or why there are none.
Not imported here: backends, cache or judge: what is asked doesn't depend on who answers.
"""
