"""Can this judge be trusted? Probes of a judge on a run's own explanations, without people.

In: Runs, a judge.
Out: Figures with intervals by question, and what they say in words, beside the samples and as text.
Not imported here: comparison, pages, commands.
"""
