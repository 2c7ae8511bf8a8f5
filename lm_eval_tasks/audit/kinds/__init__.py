"""One file a kind of probe: which statements the judge is asked about, and what its verdicts say.

In: Samples of a run.
Out: Probes; from their answers, figures.
Not imported here: files, judges' backends.
"""
