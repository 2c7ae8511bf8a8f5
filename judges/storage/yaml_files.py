"""YAML from anywhere: plain data only, and no more of it than a settings file can hold.

Size, depth and what aliases come to are bounded before anything is built: ten lines of aliases of aliases
would otherwise be a billion entries. A key that is given twice is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from judges.errors import ConfigError

if TYPE_CHECKING or not yaml.__with_libyaml__:
    SafeLoader = yaml.SafeLoader
else:
    from yaml.cyaml import CParser

    class SafeLoader(Composer, CParser, SafeConstructor, Resolver):
        """``yaml.SafeLoader`` with libyaml's parser, which is several times as fast.

        Not ``yaml.CSafeLoader``: that composes nodes in C as well, where text nested deep ends the process.
        """

        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)
            Composer.__init__(self)
            SafeConstructor.__init__(self)
            Resolver.__init__(self)


MAX_YAML_BYTES = 1_000_000
MAX_DEPTH = 64

# Nodes and characters with aliases written out; a file without aliases can't reach it.
_MAX_EXPANDED = 2 * MAX_YAML_BYTES
_TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"


def load_yaml(path: Path, loader: type[SafeLoader] = SafeLoader) -> dict[str, Any]:
    """Reads a YAML mapping from a file.

    Args:
        path: The file.
        loader: :class:`SafeLoader`, or one that knows further harmless tags.

    Raises:
        ConfigError: If the file is absent, too large, too deep, not YAML, or not a mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_YAML_BYTES + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if not isinstance(error, OSError) and len(content) > MAX_YAML_BYTES:
            raise _too_large(path) from None
        raise ConfigError(f"{path}: can't be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_YAML_BYTES:
        raise _too_large(path)
    value = read_yaml(text, str(path), loader)
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected settings (key: value), found {type(value).__name__}")
    return value


def read_yaml(text: str, where: str, loader: type[SafeLoader] = SafeLoader) -> Any:
    """Reads a YAML value from a text.

    Args:
        text: The text.
        where: Where it stands, for the message.
        loader: As ``load_yaml`` takes it.

    Raises:
        ConfigError: If it is not YAML, too deep, or has a key twice.
    """
    try:
        return _bounded(text, loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"{where}: not valid YAML: {problem}") from None


def _too_large(path: Path) -> ConfigError:
    return ConfigError(f"{path}: more than {MAX_YAML_BYTES:,} bytes is too large for a settings file")


def _bounded(text: str, kind: type[SafeLoader]) -> Any:
    loader = kind(text)
    try:
        # Nodes share what an alias repeats, so that composing them costs no more than the text.
        node = loader.get_single_node()
        if node is None:
            return None
        if _expanded(node, {}, 1) > _MAX_EXPANDED:
            raise yaml.YAMLError("its aliases come to more than a settings file may hold")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _expanded(node: yaml.Node, known: dict[int, int | None], depth: int) -> int:
    """Nodes and characters below a node, each alias written out."""
    if depth > MAX_DEPTH:
        raise yaml.YAMLError(f"nested more than {MAX_DEPTH} deep")
    if id(node) in known:
        size = known[id(node)]
        if size is None:
            raise yaml.YAMLError("an alias holds itself")
        return size
    known[id(node)] = None
    if isinstance(node, yaml.ScalarNode):
        total = 1 + len(node.value)
    else:
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        children = node.value if isinstance(node, yaml.SequenceNode) else [n for p in node.value for n in p]
        total = 1 + sum(_expanded(child, known, depth + 1) for child in children)
    known[id(node)] = total
    return total


def _check_keys(node: yaml.MappingNode) -> None:
    """Refuses a key that stands twice, however it is spelt: the loader takes the last one without a word."""
    seen: dict[Any, int] = {}
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            plain = key.tag in (_TEXT, _MERGE)
            value = (key.tag, key.value) if plain else SafeConstructor().construct_object(key)
            line = key.start_mark.line + 1
            if (before := seen.get(value)) is not None:
                lines = f"line {line}" if before == line else f"lines {before} and {line}"
                raise yaml.YAMLError(f"{key.value!r} is given twice, in {lines}")
            seen[value] = line
