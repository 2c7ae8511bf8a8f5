"""A Hugging Face model in this process.

In: Conversations.
Out: Replies that depend on the seed alone, not on the batch.
Not imported here: torch at the top of `backend`: it is loaded when an engine is made.
"""
