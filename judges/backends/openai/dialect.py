"""What an endpoint was found to take: fields that it refuses, completions a request, the reply's form."""

from __future__ import annotations

from dataclasses import dataclass, field

from judges.backends.openai.wire import FormKind

TRIALS = 3
"""Replies after which a form that was never kept to is given up."""


@dataclass(slots=True)
class Dialect:
    """Evidence about one endpoint, gathered reply by reply.

    An address may stand for several servers of which some don't know the form; so a refused or ignored form
    counts against it, and it is given up only after :data:`TRIALS` such replies and none in the form. Until
    then, and wherever the form has been kept to, only the reply in question is read as it comes.

    Attributes:
        form: How replies are held to the form; None until the endpoint has been asked who it is.
        token_limit: Name of the field that bounds a reply's length.
        left_out: Fields that it refused.
        single: Whether it gives one completion to a request.
        tried: Requests with a form that came back.
        kept: Replies in the form.
        missed: Replies where the form was refused or ignored.
    """

    form: FormKind | None
    token_limit: str
    left_out: set[str] = field(default_factory=set)
    single: bool = False
    tried: int = 0
    kept: int = 0
    missed: int = 0

    @property
    def undecided(self) -> bool:
        """Whether the form is still being tried, one request at a time."""
        return self.form == "json_schema" and not self.kept and self.tried < TRIALS

    @property
    def constrains(self) -> bool | None:
        """Whether all replies were held to the form; None until that is known."""
        if self.form == "none" or self.missed:
            return False
        return True if self.kept else None

    @property
    def missing(self) -> set[str]:
        """Fields that were refused and for which nothing else is sent."""
        bound = self.token_limit not in self.left_out
        return self.left_out - {"max_tokens", "max_completion_tokens"} if bound else self.left_out

    def keep(self) -> bool:
        """A reply in the form arrived; returns whether it is the first."""
        self.kept += 1
        return self.kept == 1

    def miss(self) -> bool:
        """The form was refused or ignored; returns whether it is given up with this one."""
        self.missed += 1
        if self.kept or self.missed < TRIALS or self.form == "none":
            return False
        self.form = "none"
        return True

    def leave_out(self, name: str) -> str | None:
        """A field was refused; returns what is sent in its place, None if it is left out."""
        other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}.get(name)
        if other is not None and other not in self.left_out:
            self.left_out.add(name)
            self.token_limit = other
            return other
        if name == "n":
            self.single = True
        else:
            self.left_out.add(name)
        return None
