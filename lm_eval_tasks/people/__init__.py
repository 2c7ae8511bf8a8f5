"""People as judges: statements drawn for them, a page to rate them on, and their ratings read back.

In: Runs, and the files that the page exports.
Out: One page that works from a file, and judgements beside the samples like those of any other judge.
Not imported here: the harness, comparison, the leaderboard's pages.
"""
