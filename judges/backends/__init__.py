"""Who answers: one protocol, one folder for each engine or kind of endpoint.

In: Conversations and a sampling setting.
Out: A reply or a failure for each, with usage.
Not imported here: rubrics, cache or judge: a backend knows nothing of judging.
"""
