"""What a model's reply says: explanation and choice, or why one can't be read.

In: A question and the text of a reply.
Out: A response.
Not imported here: judges' backends, the harness, files.
"""
