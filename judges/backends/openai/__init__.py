"""OpenAI-compatible endpoints: requests, their dialects, balance and health.

In: Conversations.
Out: Replies, or failures with the endpoint's reason.
Not imported here: other engines; the openai package is loaded when a backend is made.
"""
