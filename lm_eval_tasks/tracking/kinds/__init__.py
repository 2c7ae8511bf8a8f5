"""One file for each tracker: the few lines that its library needs.

In: A project, a run's name and id.
Out: An object that takes figures and texts (:class:`lm_eval_tasks.tracking.target.Tracker`).
Not imported here: anything of ours.
"""
