"""A recipe's text with settings written into it, its comments and its order kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from anchor_train.recipes.files import SHORT, override_path
from judges.errors import ConfigError


def with_settings(text: str, overrides: Iterable[str]) -> str:
    """The text of a recipe with ``dotted.key=value`` settings in their places.

    Raises:
        ConfigError: For a malformed override, or a text that is no mapping.
    """
    for override in overrides:
        keys, value = override_path(override)
        text = _with(text, keys, value)
    return text


def _with(text: str, keys: list[str], value: Any) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError("the recipe is no mapping of settings")
    node = root
    for depth, key in enumerate(keys):
        found = _entry(node, key)
        rest = keys[depth + 1 :]
        if found is None:
            return _inserted(text, node, key, _nested(rest, value))
        key_node, value_node = found
        if not rest:
            return _replaced(text, key_node, value_node, value)
        if not isinstance(value_node, yaml.MappingNode):
            # A short form (``model: NAME``), or nothing yet: it becomes a mapping.
            known = yaml.safe_load(text[value_node.start_mark.index : value_node.end_mark.index] or "null")
            short = {SHORT[key]: known} if depth == 0 and key in SHORT and known is not None else {}
            return _replaced(text, key_node, value_node, {**short, **_nested(rest, value)})
        node = value_node
    raise ConfigError("no setting was named")


def _entry(node: yaml.MappingNode, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next((pair for pair in node.value if pair[0].value == key), None)


def _nested(keys: list[str], value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _replaced(text: str, key: yaml.Node, old: yaml.Node, value: Any) -> str:
    end = _end(old)
    start = text.index(":", key.end_mark.index) + 1
    if end < start:  # a key without a value
        end = start
    return f"{text[:start]} {_flow(value)}{text[end:]}"


def _end(node: yaml.Node) -> int:
    """Where a value's own text ends: a block's mark is behind the comments that follow it."""
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _inserted(text: str, node: yaml.MappingNode, key: str, value: Any) -> str:
    entry = f"{key}: {_flow(value)}"
    if node.flow_style:
        place = node.end_mark.index - 1
        return f"{text[:place].rstrip()}{', ' if node.value else ''}{entry}{text[place:]}"
    first = node.value[0][0].start_mark
    if first.column == 0:  # at the end of the file
        return f"{text.rstrip()}\n{entry}\n"
    line = first.index - first.column
    return f"{text[:line]}{' ' * first.column}{entry}\n{text[line:]}"


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, Mapping | list):
        return yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False).strip()
    return yaml.safe_dump([value], default_flow_style=True, width=10**6).strip()[1:-1]
