"""What judging takes: estimated before, counted while it runs, bounded by a budget.

In: Replies and their usage.
Out: Accounts, estimates, the end of a budget.
Not imported here: anything of judges but records and errors.
"""
