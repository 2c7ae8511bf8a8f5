"""Which stages a recipe has, which of them are finished, and running the rest.

In: A recipe and a run folder.
Out: A run that is complete, or says where it stopped.
Not imported here: what a stage does (it is loaded by name), inspection, commands.
"""
