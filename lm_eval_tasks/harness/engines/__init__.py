"""The engines that lm-evaluation-harness runs: what each can do, and how it is brought to do it.

In: A model's arguments and generation settings.
Out: Models of the harness, checked against the machine and held to what they are told.
Not imported here: the rest of ``harness``, runs, comparison.
"""
