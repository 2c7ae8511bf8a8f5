"""A repository on the hub: who may write to it, what it holds already, and the upload.

Made of ``huggingface_hub``'s client alone, whose ``upload_folder`` sends nothing twice: a second call after a
broken one goes on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from judges.errors import ConfigError, PublishingError
from judges.storage.files import sha256_of
from lm_eval_tasks.publishing.scan import files_of

if TYPE_CHECKING:
    from huggingface_hub import HfApi

RepositoryType: TypeAlias = Literal["model", "dataset", "space"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LONGEST = 96
_HUBS_OWN = ".gitattributes"
_FIRST_COMMIT = "initial commit"
_NAMED = 4
_PREFIXES: dict[RepositoryType, str] = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True, slots=True)
class Repository:
    """Where something goes.

    Attributes:
        name: ``ORG/NAME``.
        kind: What it holds.
        public: Whether everybody may see it.
        replace: Whether other content that it has is replaced.
    """

    name: str
    kind: RepositoryType
    public: bool = False
    replace: bool = False

    def __post_init__(self) -> None:
        """Refuses a name that the hub would.

        Raises:
            ConfigError: With what a name looks like.
        """
        if not is_name(self.name):
            raise ConfigError(
                f"--to {self.name!r} is no name on the hub: ORG/NAME, of letters, digits, '-', '_' and '.', "
                f"at most {_LONGEST} of them (for yourself ORG is your user name)"
            )


def is_name(name: str) -> bool:
    """Whether the hub takes this as ``ORG/NAME``."""
    bad = name.endswith((".git", ".ipynb", "-", ".")) or "--" in name or ".." in name
    return _NAME.fullmatch(name) is not None and len(name) <= _LONGEST and not bad


def connect() -> HfApi:
    """The hub's client, with a token that the hub takes.

    Raises:
        ConfigError: If there is no token.
        PublishingError: If the hub refuses it, or can't be reached.
    """
    from huggingface_hub import HfApi, get_token

    token = get_token()
    if token is None:
        raise ConfigError(
            "no token for the hub: log in (hf auth login), or set HF_TOKEN to one that may write; "
            "--dry-run needs none"
        )
    api = HfApi(token=token)
    with _told("the hub"):
        api.whoami()
    return api


def look(api: HfApi, repository: Repository) -> bool:
    """Whether the repository is there already.

    Raises:
        PublishingError: If everybody may see it and that isn't asked for, or if the hub fails.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    with _told(repository.name):
        try:
            info = api.repo_info(repository.name, repo_type=repository.kind)
        except RepositoryNotFoundError:
            return False
    if not info.private and not repository.public:
        raise PublishingError(
            f"{repository.name} is there and everybody may see it: --public says that this is meant; "
            "or make it private on the hub, or take another name"
        )
    return True


def upload(api: HfApi, repository: Repository, folder: Path, card: str, message: str) -> str:
    """Puts a folder into its repository, which is made where there is none.

    Args:
        api: The client.
        repository: Where to.
        folder: What.
        card: Its card, which the hub is asked about first.
        message: Of the commit.

    Returns:
        The repository's address.

    Raises:
        PublishingError: If it holds something else, or the hub refuses or fails.
    """
    from huggingface_hub import DatasetCard, ModelCard, SpaceCard

    reader = {"model": ModelCard, "dataset": DatasetCard, "space": SpaceCard}[repository.kind]
    there = look(api, repository)
    with _told(repository.name):
        try:
            reader(card).validate()
        except ValueError as error:
            if getattr(error, "response", None) is not None:
                raise
            raise PublishingError(f"the hub refuses the card: {' '.join(str(error).split())}") from None
        others = _others(api, repository, folder) if there else []
    if others and not repository.replace:
        named = ", ".join(others[:_NAMED]) + (
            f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
        )
        raise PublishingError(
            f"{repository.name} is there with other content ({named}): --replace puts this in its place "
            "(the hub keeps its history), or take another name"
        )
    with _told(repository.name, sending=True):
        if not there:
            api.create_repo(
                repository.name,
                repo_type=repository.kind,
                private=not repository.public,
                exist_ok=True,
                space_sdk="static" if repository.kind == "space" else None,
            )
        api.upload_folder(
            repo_id=repository.name,
            repo_type=repository.kind,
            folder_path=folder,
            commit_message=message,
            # The hub gives a new Space files of its own.
            delete_patterns="*" if repository.replace or repository.kind == "space" else None,
        )
    return f"{api.endpoint}/{_PREFIXES[repository.kind]}{repository.name}"


def _others(api: HfApi, repository: Repository, folder: Path) -> list[str]:
    """What a repository holds that this folder would change or doesn't know."""
    from huggingface_hub.hf_api import RepoFile

    commits = api.list_repo_commits(repository.name, repo_type=repository.kind)
    if len(commits) == 1 and commits[0].title == _FIRST_COMMIT:
        return []  # the hub's own files alone
    local = {path.relative_to(folder).as_posix(): path for path in files_of(folder)}
    found = []
    for entry in api.list_repo_tree(repository.name, repo_type=repository.kind, recursive=True):
        if not isinstance(entry, RepoFile) or entry.path == _HUBS_OWN:
            continue
        path = local.get(entry.path)
        large = None if entry.lfs is None else entry.lfs.sha256
        if path is None or path.stat().st_size != entry.size or not _same(path, entry.blob_id, large):
            found.append(entry.path)
    return found


def _same(path: Path, blob: str, large: str | None) -> bool:
    if large is not None:
        return sha256_of(path) == large
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == blob


@contextmanager
def _told(what: str, *, sending: bool = False) -> Iterator[None]:
    """Says in one line what the hub or the way to it refused."""
    from huggingface_hub import errors

    # Of the HTTP library that the client is built on.
    http_error = cast("type[Exception]", errors.HfHubHTTPError.__mro__[1])
    again = ": run the same line again, it goes on where this one stopped" if sending else ""
    try:
        yield
    except errors.HfHubHTTPError as error:
        raise PublishingError(_refusal(what, error, again)) from None
    except errors.OfflineModeIsEnabled:
        raise PublishingError(f"{what}: HF_HUB_OFFLINE is set, so nothing is sent: unset it") from None
    except errors.LocalTokenNotFoundError:
        raise ConfigError("no token for the hub: log in (hf auth login), or set HF_TOKEN") from None
    except (http_error, OSError, RuntimeError) as error:
        cause = error.__cause__ or error
        if isinstance(cause, errors.HfHubHTTPError):
            raise PublishingError(_refusal(what, cause, again)) from None
        reason = " ".join(str(cause).split()) or type(cause).__name__
        raise PublishingError(
            f"{what}: the connection broke off ({reason}){again or ': try again'}"
        ) from None


def _refusal(what: str, error: Exception, again: str) -> str:
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    said = getattr(error, "server_message", None) or str(error).splitlines()[0]
    reason = " ".join(str(said).split())
    if status == 401:
        return f"{what}: the hub refuses the token ({reason}): hf auth login, or another HF_TOKEN"
    if status == 403:
        return (
            f"{what}: the token may not write there ({reason}): one with the right to write, or another ORG"
        )
    if status == 429:
        return f"{what}: the hub asks for fewer requests ({reason}): run the same line again later"
    if status is not None and status >= 500:
        return f"{what}: the hub failed with {status} ({reason}){again or ': try again'}"
    return f"{what}: the hub refuses ({status}: {reason})"
