"""The site, served on this machine and built again when runs change.

In: A folder of runs that others write to.
Out: The pages of ``pages``, over HTTP, to this machine alone.
Not imported here: the harness, commands; what the pages show is decided in ``pages``.
"""
