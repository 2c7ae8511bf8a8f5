"""A static site that shows how runs compare.

In: Compared runs.
Out: A folder of pages that open from a file.
Not imported here: the harness, commands; a figure that no other room computed.
"""
