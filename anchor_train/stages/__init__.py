"""What each stage does: reads what others left, leaves artifacts and a summary.

In: A stage job.
Out: A stage result.
Not imported here: the pipeline, inspection, commands.
"""
