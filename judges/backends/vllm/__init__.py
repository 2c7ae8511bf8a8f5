"""vLLM on this machine, in a process that ends with its parent.

In: Conversations.
Out: Replies.
Not imported here: vllm at the top of a file: it is loaded in the engine's process alone.
"""
