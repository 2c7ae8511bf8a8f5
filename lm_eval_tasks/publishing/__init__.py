"""Runs as data sets and sites on the hub, and what everything that goes up must pass.

In: Runs; a folder with a card.
Out: Findings of keys and internal addresses; a repository on the hub.
Not imported here: commands, the harness; ``huggingface_hub`` and ``datasets`` only inside functions.
"""
