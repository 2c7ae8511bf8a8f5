"""The ways of judging that are compared, the environments they run in, and what the server answers them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).with_name("clients")
ROOT = Path(__file__).resolve().parents[2]

REQUIREMENTS = {
    "inspect_ai": ("inspect_ai==0.3.285", "openai"),
    "alpaca_eval": ("alpaca_eval==0.6.6",),
    "distilabel": ("distilabel[openai]==1.5.3", "requests"),
    "prometheus": ("prometheus-eval==0.1.20", "torch"),
    "lighteval": ("lighteval[litellm]==0.13.0", "torch"),
}
"""Environment -> what pip installs there. torch without a build: set pip to the CPU wheels beforehand."""


@dataclass(frozen=True)
class Way:
    """One way of judging.

    Attributes:
        name: For the table.
        environment: Where it runs; None for this interpreter's own.
        client: Script in ``clients``.
        arguments: Of the script, after the job.
        in_flight: Requests at once; None for what it ships with.
        share: Part of the items that it judges: the slow ones keep their pace.
    """

    name: str
    environment: str | None
    client: str
    arguments: tuple[str, ...] = ()
    in_flight: int | None = None
    share: float = 1.0


OURS = "ours"
WAYS = (
    Way("naive loop", None, "naive", share=1 / 32),
    Way("hand-written asyncio", None, "handwritten", in_flight=64),
    Way("AlpacaEval, as shipped", "alpaca_eval", "alpaca", share=1 / 2),
    Way("AlpacaEval, tuned", "alpaca_eval", "alpaca", in_flight=64),
    Way("inspect_ai eval, as shipped", "inspect_ai", "inspect_graded"),
    Way("inspect_ai eval, tuned", "inspect_ai", "inspect_graded", in_flight=64),
    Way("inspect_ai score, tuned", "inspect_ai", "inspect_graded", ("score",), in_flight=64),
    Way("prometheus-eval, as shipped", "prometheus", "prometheus", share=3 / 16),
    Way("prometheus-eval, tuned", "prometheus", "prometheus", in_flight=64),
    Way("distilabel pipeline, as shipped", "distilabel", "distil"),
    Way("distilabel task, all at once", "distilabel", "distil", ("task",)),
    Way("lighteval, as shipped", "lighteval", "light", share=1 / 2),
    Way("lighteval, tuned", "lighteval", "light", in_flight=64),
    Way(OURS, None, "ours"),
)

_TOKEN = {"token": "m", "logprob": -0.1, "bytes": None}
_OTHER = {"token": "M", "logprob": -2.4, "bytes": None}
REPLIES: dict[str, dict[str, Any]] = {
    "alpaca": {"text": "m", "logprobs": {"content": [{**_TOKEN, "top_logprobs": [_TOKEN, _OTHER]}]}},
    "inspect_graded": {"text": "Each step follows from the one before it.\n\nGRADE: C"},
    "prometheus": {"text": "Each step follows from the one before it. [RESULT] 4"},
    "distil": {"text": "Each step follows from the one before it. [RESULT] 4"},
    "light": {"text": "Each step follows from the one before it. 4"},
}
"""Client -> the reply that its parser takes; the server answers the others in our verdict form."""


def python_of(environment: str | None, folder: Path) -> str:
    """The interpreter of an environment; makes the environment if it isn't complete.

    Args:
        environment: A key of ``REQUIREMENTS``; None for this interpreter.
        folder: Where environments lie.
    """
    if environment is None:
        return sys.executable
    home = folder / environment
    python, complete = home / "bin" / "python", home / "complete.json"
    wanted = json.dumps(REQUIREMENTS[environment])
    if not complete.is_file() or complete.read_text() != wanted:
        print(f"installing {' '.join(REQUIREMENTS[environment])} to {home}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[environment]]
        subprocess.run(pip, check=True)
        complete.write_text(wanted)
    return str(python)


def judged_by(way: Way, job: dict[str, Any], folder: Path, venvs: Path) -> dict[str, Any]:
    """Runs a client on a job in an empty folder; what it prints lies there in ``output.txt``.

    Raises:
        SystemExit: If it fails; with the end of its output.
    """
    folder.mkdir()
    file, output = folder / "job.json", folder / "output.txt"
    file.write_text(json.dumps({**job, "in_flight": way.in_flight, "folder": str(folder)}))
    environment = {**os.environ, "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": job["url"]}
    environment |= {"OPENAI_API_BASE": job["url"], "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
    if way.environment is None:
        environment["PYTHONPATH"] = str(ROOT)
    else:
        environment.pop("PYTHONPATH", None)
    python = python_of(way.environment, venvs)
    command = [python, str(CLIENTS / f"{way.client}.py"), str(file), *way.arguments]
    with output.open("w") as log:
        code = subprocess.run(
            command, env=environment, stdout=log, stderr=subprocess.STDOUT, cwd=folder
        ).returncode
    lines = output.read_text(errors="replace").splitlines()
    if code:
        raise SystemExit(f"{way.name} failed:\n" + "\n".join(lines[-20:]))
    result: dict[str, Any] = json.loads(lines[-1])
    return result
