"""Experiment trackers: what a run gave, as figures with their intervals over training steps.

In: A run folder, a comparison or a training's stages; the name of a tracker.
Out: Figures and, where asked for, texts in that tracker, under one run's name however often it is called.
Not imported here: pages and commands; a tracker's library, except where that tracker is opened.
"""
