"""A run folder: the unit of work, used by one process at a time.

::

    my-run/
      recipe.yaml       what the user says
      resolved.yaml     the same with nothing left out, as last used
      command-line.json what --set said then
      manifest.json     finished stages
      replies.sqlite    replies of the judges, never paid for twice
      questions/ sft/ round-1/sample/ ... evaluate/table/     a folder for each stage, its artifacts in it
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from anchor_train.recipes.config import Recipe
from anchor_train.recipes.edit import with_settings
from anchor_train.recipes.files import load_recipe, recipe_from, resolved_yaml
from anchor_train.run.manifest import Manifest
from judges.errors import ConfigError, DataError
from judges.output import run_log
from judges.storage.files import read_object, replacing, write_json

OVERRIDES = "command-line.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps what.

    Attributes:
        path: The folder, absolute.
    """

    path: Path

    @staticmethod
    def open(path: Path | str) -> RunFolder:
        """An existing run folder.

        Raises:
            ConfigError: If it isn't one.
        """
        folder = RunFolder(Path(path).resolve())
        if not folder.recipe_path.is_file():
            raise ConfigError(
                f"{path}: no recipe.yaml there, so it is no run folder "
                f"(make one: anchor-train init {path} --model MODEL --task TASK)"
            )
        return folder

    @staticmethod
    def create(path: Path | str, recipe: str) -> RunFolder:
        """A new run folder with this recipe.

        Raises:
            ConfigError: If the folder isn't empty.
        """
        folder = RunFolder(Path(path).resolve())
        if folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
            raise ConfigError(f"{path}: exists and is not an empty folder")
        folder.path.mkdir(parents=True, exist_ok=True)
        with replacing(folder.recipe_path) as file:
            file.write(recipe)
        return folder

    @property
    def recipe_path(self) -> Path:
        """The recipe."""
        return self.path / "recipe.yaml"

    @property
    def log(self) -> Path:
        """What engines and libraries print."""
        return self.path / run_log.FILE

    @property
    def replies(self) -> Path:
        """The judges' reply cache."""
        return self.path / "replies.sqlite"

    def recipe(self, overrides: Iterable[str] = ()) -> Recipe:
        """Reads the recipe, with ``a.b=value`` overrides."""
        return load_recipe(self.recipe_path, overrides)

    def keep_resolved(self, recipe: Recipe, overrides: Sequence[str] = ()) -> None:
        """Writes down what is used now, and which of it the command line said."""
        with replacing(self.path / "resolved.yaml") as file:
            file.write(resolved_yaml(recipe))
        if overrides or (self.path / OVERRIDES).exists():
            write_json(self.path / OVERRIDES, {"set": list(overrides)})

    @property
    def last_overrides(self) -> tuple[str, ...]:
        """What the command line set when the run was last worked on."""
        path = self.path / OVERRIDES
        return tuple(read_object(path)["set"]) if path.is_file() else ()

    def save_settings(self, overrides: Sequence[str]) -> None:
        """Writes settings into the recipe, whose comments stay.

        Raises:
            ConfigError: If they are wrong, or can't be written into this recipe's text.
        """
        wanted = self.recipe(overrides)
        text = with_settings(self.recipe_path.read_text(encoding="utf-8"), overrides)
        if recipe_from(yaml.safe_load(text), self.recipe_path) != wanted:
            raise ConfigError(f"{self.recipe_path}: {', '.join(overrides)} must be written into it by hand")
        with replacing(self.recipe_path) as file:
            file.write(text)

    def stage(self, key: str) -> Path:
        """Folder of a stage."""
        return self.path / key

    def manifest(self) -> Manifest:
        """The finished stages."""
        return Manifest.load(self.path / "manifest.json")

    def save(self, manifest: Manifest) -> None:
        """Writes the finished stages down."""
        manifest.save(self.path / "manifest.json")

    @contextmanager
    def lock(self) -> Iterator[int]:
        """Holds the folder against other processes; the lock ends with this process, however it ends.

        Yields:
            The lock's file descriptor: a child process that inherits it holds the folder too.

        Raises:
            ConfigError: If another process holds it.
        """
        with (self.path / ".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise ConfigError(f"{self.path}: in use by another process (pid {holder})") from None
            except OSError as error:
                raise DataError(f"{self.path}: can't be locked: {error.strerror}") from None
            file.seek(0)
            file.truncate()
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield file.fileno()

    def disk_bytes(self) -> int:
        """Bytes that the run takes on disk."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())
