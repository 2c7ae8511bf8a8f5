"""One file a kind of page, and the site that they make up.

In: Boards and charts.
Out: HTML, with every foreign text escaped.
Not imported here: statistics of their own.
"""
