"""What a task is: the YAML files that lm-evaluation-harness reads, and what they say.

In: A task's name or file.
Out: Its questions, prompts and sampling.
Not imported here: the harness, runs, statistics.
"""
