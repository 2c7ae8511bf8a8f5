"""Where lm-evaluation-harness runs our tasks: the task class, generation in a process of its own.

In: A task and what the harness is told.
Out: A run folder, as the harness leaves it.
Not imported here: comparison, leaderboard, commands.
"""
