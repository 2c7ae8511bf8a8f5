"""Any backend, spread over the workers of a Ray cluster.

In: Conversations and the settings of another backend.
Out: That backend's replies, none lost when a worker dies.
Not imported here: a particular engine; ray at the top of a file.
"""
