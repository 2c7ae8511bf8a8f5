"""A run on disk: its folder, artifacts, manifest, and the words for stages.

In: A recipe.
Out: What stages read and leave.
Not imported here: the pipeline's graph, stages, training.
"""
