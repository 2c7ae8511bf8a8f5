"""Who is preferred to whom: behaviour, pairs and groups, as functions of records.

In: Scored samples.
Out: Pairs and groups, or why there is none.
Not imported here: files, models, torch, stages.
"""
