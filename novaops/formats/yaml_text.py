"""YAML in which every scalar is the text as it stands, with the line of each value.

What a text means (a number, a switch) is decided by the schema: so `tls: off` stays off, `mode: 0644` stays 0644 and
`name: no` stays no, which YAML itself would turn into False, 420 and False.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from novaops.errors import InventoryError

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    data: Any
    """Mappings, lists, texts, and None for nothing."""
    lines: Mapping[Path, int]
    """The line, from 1, of each value by its path."""

    def line(self, path: Path) -> int:
        """The line of the value at `path`, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def load(text: str, name: str, *, any_tag: bool = False) -> Document:
    """Raises InventoryError, with `name` and the line, for what is no YAML or has a key twice; and for a tag, unless `any_tag` is given."""
    try:
        _refuse_depth(text, name)
        node = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as error:
        raise _not_yaml(error, text, name) from None
    if "!" in text and not any_tag:
        _refuse_tags(node, name)
    lines: dict[Path, int] = {}
    data = _value(node, (), lines, name) if node is not None else None
    return Document(data, lines)


def _refuse_depth(text: str, name: str) -> None:
    """Raises InventoryError where values are nested so deep that libyaml, which calls itself for each, would run out of stack."""
    if text.count("[") + text.count("{") < _DEEPEST and not _INDENTED.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise InventoryError(f"{name}:{line}: this is nested more than {_DEEPEST} deep")


def _refuse_tags(root: yaml.Node | None, name: str) -> None:
    """Raises InventoryError for a tag that asks for something, such as `!vault` for decryption: the text alone would be taken instead."""
    seen: set[int] = set()
    nodes = [root] if root else []
    while nodes:
        node = nodes.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if node.tag not in _TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            why = "Without it the text would count as it stands."
            fix = "write the value itself; a secret is named as env:NAME, file:PATH or cmd:WORDS"
            raise InventoryError(f"{name}:{node.start_mark.line + 1}: the tag {tag} is not known here", why=why, fix=fix)
        if isinstance(node, yaml.MappingNode):
            nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value


def _not_yaml(error: yaml.YAMLError, text: str, name: str) -> InventoryError:
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return InventoryError(f"{name}: this is not YAML", why=str(error))
    if isinstance(error, yaml.composer.ComposerError) and "another document" in str(error):
        why = "An inventory is one document; --- begins another one."
        return InventoryError(f"{name}:{mark.line + 1}: a second document begins here", why=why, fix="put all into one, or into two files")
    before = text.splitlines()[: mark.line + 1]
    if tabs := [number for number, line in enumerate(before, 1) if "\t" in line[: len(line) - len(line.lstrip())]]:
        why = "YAML takes no tabs there."
        return InventoryError(f"{name}:{tabs[-1]}: this line is indented with a tab", why=why, fix="write spaces")
    return InventoryError(f"{name}:{mark.line + 1}: this is not YAML", why=str(getattr(error, "problem", None) or error))


_DEEPEST = 50
"""An alias can stand inside its own anchor; nothing sensible is nested this deep."""

_MOST = 1_000_000
"""A few aliases can stand for more values than there is memory for; those of ten thousand hosts are fewer."""

_INDENTED = re.compile(rf"^[ ?:-]{{{_DEEPEST}}}", re.MULTILINE)
"""How a line begins whose value may be so deep."""

_KINDS = ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "seq", "map")
_TAGS = {"!", *(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)}
"""Those that change nothing of what is read here."""

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where PyYAML has it: ten times as fast as the one in Python."""


def _value(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> Any:
    if len(path) > _DEEPEST:
        raise InventoryError(f"{name}:{node.start_mark.line + 1}: this is nested without end")
    lines.setdefault(path, node.start_mark.line + 1)
    if len(lines) > _MOST:
        raise InventoryError(f"{name}:{node.start_mark.line + 1}: this has more than {_MOST} values, by aliases of aliases")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines, name)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, number), lines, name) for number, item in enumerate(node.value)]
    plain = not getattr(node, "style", None)  # None, or "" where libyaml has read it
    return None if plain and node.value in {"", "~", "null"} else node.value


def _mapping(node: yaml.MappingNode, path: Path, lines: dict[Path, int], name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    merged: dict[str, Any] = {}
    for key, value in node.value:
        where = f"{name}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise InventoryError(f"{where}: a key must be a text")
        if key.value == "<<" and not key.style:
            for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                inherited = _value(part, path, lines, name)
                if not isinstance(inherited, dict):
                    raise InventoryError(f"{where}: << takes a mapping")
                merged = {**inherited, **merged}
            continue
        if key.value in found:
            raise InventoryError(f"{where}: {key.value} stands here a second time", why="Only one of them could count.")
        lines[(*path, key.value)] = key.start_mark.line + 1
        found[key.value] = _value(value, (*path, key.value), lines, name)
    return {**merged, **found}
