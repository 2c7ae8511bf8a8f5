"""Faithfulness: whether explanations say what moved the choice, found out by asking the model again.

In: The replies that a run holds, the model that wrote them, a writer who changes explanations.
Out: Records a reply and figures a probe, in files beside the run's samples (``runs.probe_files``).
Not imported here: pages, boards and commands; they read the files.
"""
