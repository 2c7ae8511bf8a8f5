"""Runs compared: which may stand in one table, every pair of them, who is told apart; agreement, power.

In: Runs.
Out: Tables of pairs with what a reader must know, as values, text and JSON; the pages only show them.
Not imported here: the harness, pages, commands.
"""
