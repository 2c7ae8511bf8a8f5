"""How the pocket model is made: its language, its upbringing, its weights.

In: A seed.
Out: The model that ships with lm_eval_tasks.
Not imported here: the experiment, which only uses the model.
"""
