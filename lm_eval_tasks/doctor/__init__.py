"""What is amiss with this installation and this machine, and the line to run for it.

In: Installed packages, engines imported in processes of their own, disks, judges that a user names.
Out: Findings; a text and an exit code are made of them.
Not imported here: runs that are measured, pages, the harness; nothing is generated or scored.
"""
