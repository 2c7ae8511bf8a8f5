"""What a run is told: settings, checked at once, and the files that hold them.

In: YAML and command-line settings.
Out: A recipe.
Not imported here: torch, run folders, stages.
"""
