"""Texts that try to grade themselves, for tests of prompts and audits of judges.

In: ``injections.yaml``.
Out: Each text with what it is called and what a rule notices of it.
Not imported here: judges, backends.
"""
