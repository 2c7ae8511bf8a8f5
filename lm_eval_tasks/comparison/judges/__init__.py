"""Judges compared, and a cheap one corrected by a better one.

In: Judgements beside samples, audits.
Out: The leaderboard of judges; corrected win - loss.
Not imported here: judges' backends, pages, commands.
"""
