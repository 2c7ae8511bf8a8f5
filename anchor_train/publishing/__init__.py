"""A trained model to hand on: its folder, its card, and what the hub has to know of it.

In: A run with a finished training.
Out: A folder with a model card.
Not imported here: commands, inspection; torch, peft and ``huggingface_hub`` only inside functions.
"""
