"""Many requests as one batch at half price: written to disk, uploaded, waited for, read.

In: Conversations, each with the key of its reply.
Out: Outcomes, hours later perhaps, and in another process.
Not imported here: the judge and its cache.
"""
