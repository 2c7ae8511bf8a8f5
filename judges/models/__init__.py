"""What is known of models as such: their prompts' templates, their thoughts, their families.

In: Conversations, replies, names of models.
Out: Prompts, replies without thoughts, notes.
Not imported here: engines; a tokenizer is handed in.
"""
