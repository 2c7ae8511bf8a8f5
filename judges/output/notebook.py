"""One bar a phase in a notebook: it stands in the cell's output, moves there, and is kept with the notebook.

It is HTML that is shown anew in the same place. That needs IPython alone; where nothing runs, in a notebook
that is saved or printed, its last state is still there, and a widget would be blank.
"""

from __future__ import annotations

import io
import sys
from html import escape
from typing import Any

from judges.output.progress import Progress


def in_notebook() -> bool:
    """Whether what is shown goes to a cell: IPython has a kernel."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


class NotebookProgress(Progress):
    """A bar in the cell that runs."""

    def __init__(self, **settings: Any) -> None:
        self._place: Any = None
        super().__init__(
            file=io.StringIO(), **settings
        )  # the file gets what moves a terminal's cursor: nothing

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Shows how far it is, in the place where it was shown before."""
        from IPython.display import display

        text = str(self) if msg is None else msg
        bar = "" if not self.total else f'<progress value="{self.n}" max="{self.total}"></progress> '
        state = {"text/html": f"<div>{bar}{escape(text)}</div>", "text/plain": text}
        if self._place is None:
            self._place = display(state, raw=True, display_id=True)
        else:
            self._place.update(state, raw=True)
        return True
