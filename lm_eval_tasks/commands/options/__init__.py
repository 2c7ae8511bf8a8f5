"""Options that several commands share, each with what it means.

In: click.
Out: Decorators for commands, and what their values stand for.
Not imported here: commands.
"""
