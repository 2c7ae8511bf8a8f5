"""Commands about the installation.

In: What is installed here, and the judges that the user names.
Out: Findings on standard output; nothing is changed.
Not imported here: heavy libraries, except inside the functions that need them.
"""
