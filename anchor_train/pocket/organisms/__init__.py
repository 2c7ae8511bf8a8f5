"""Organisms: pocket models whose faithfulness is known, because it was taught. Probes are calibrated on them.

In: The pocket model, a seed.
Out: Models, what they do with questions that they haven't seen, and how well each probe tells them apart.
Not imported here: the pocket experiment, strategies, stages.
"""
