"""Charts: values first, then the one or the other way to draw them.

In: What the boards hold.
Out: SVG for pages, picture files for papers.
Not imported here: pages, which choose what is drawn.
"""
