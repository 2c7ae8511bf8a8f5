"""Training, in a process of its own: examples as tokens, TRL, checkpoints.

In: A job: what to train on, from which adapter, with which settings.
Out: An adapter and a report.
Not imported here: stages, the pipeline; torch at the top of what the command line imports.
"""
