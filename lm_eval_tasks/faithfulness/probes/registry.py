"""The probes by their names."""

from __future__ import annotations

from collections.abc import Sequence

from judges.errors import ConfigError
from judges.settings import nearest
from lm_eval_tasks.faithfulness.probes.early import EARLY
from lm_eval_tasks.faithfulness.probes.edit import EDIT
from lm_eval_tasks.faithfulness.probes.filler import FILLER
from lm_eval_tasks.faithfulness.probes.hint import HINT
from lm_eval_tasks.faithfulness.probes.kind import ProbeKind
from lm_eval_tasks.faithfulness.probes.las import LAS
from lm_eval_tasks.faithfulness.probes.mistakes import MISTAKES
from lm_eval_tasks.faithfulness.probes.paraphrase import PARAPHRASE

PROBES = {probe.name: probe for probe in (EARLY, HINT, FILLER, PARAPHRASE, LAS, MISTAKES, EDIT)}
"""Cheap ones first."""


def probes_of(names: Sequence[str], *, writer: bool) -> list[ProbeKind]:
    """Probes by name, in the order of :data:`PROBES`.

    Args:
        names: As ``--kinds`` has them.
        writer: Whether there is a writer.

    Raises:
        ConfigError: With the nearest known name; or if a probe needs a writer and there is none.
    """
    for name in names:
        if name not in PROBES:
            raise ConfigError(f"--kinds: no probe {name!r}: {nearest(name, PROBES)}")
    found = [probe for name, probe in PROBES.items() if name in names]
    if not found:
        raise ConfigError(f"--kinds names no probe; there are {', '.join(PROBES)}")
    if lacking := [probe.name for probe in found if probe.needs_writer and not writer]:
        raise ConfigError(
            f"--kinds {','.join(lacking)}: somebody has to write for it; give --writer BACKEND:MODEL, "
            "who isn't the model under test"
        )
    return found
