"""Values of the wrong form, at every key of every section: a sentence in the inventory's words, never what Python makes of the value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from novaops.engine import inventory
from novaops.engine.playbooks import Playbooks

WRONG: list[Any] = [{"a": "b"}, ["x"], [["x"]], [{"a": {"b": "c"}}], None, "", "a b", "{}", "-1", "99999999", {"a": ["b"]}]
PYTHON = re.compile(r"[\[{(]'|None|False|True|Input|should|Field|<class|object at|Value error|pattern")
DEEPEST = 6
PLAYBOOKS = Playbooks(Path("/nonexistent")).by_name

Path_ = tuple[str | int, ...]


def keys(schema: dict[str, Any], known: dict[str, Any], path: Path_ = ()) -> Iterator[Path_]:
    """The path of every key that a schema has."""
    if "$ref" in schema:
        schema = known[schema["$ref"].rsplit("/", maxsplit=1)[-1]]
    for one in (*schema.get("anyOf", []), *schema.get("oneOf", [])):
        yield from keys(one, known, path)
    if isinstance(schema.get("items"), dict):
        yield from keys(schema["items"], known, (*path, 0))
    for name, below in schema.get("properties", {}).items():
        yield (*path, name)
        if len(path) < DEEPEST:
            yield from keys(below, known, (*path, name))


def at(path: Path_, value: Any, more: dict[str, str]) -> Any:
    for part in reversed(path):
        value = [value] if part == 0 else {part: value}
    if more and isinstance(value, list) and isinstance(value[0], dict):
        value[0] |= {key: one for key, one in more.items() if key not in value[0]}
    return value


@pytest.mark.parametrize("section", PLAYBOOKS)
def test_every_key(section: str) -> None:
    form = TypeAdapter(PLAYBOOKS[section].module.Settings)
    schema = form.json_schema()
    for path in {(), (0,), *keys(schema, schema.get("$defs", {}))}:
        for wrong in WRONG:
            for more in ({}, {"serve": "true"}) if section == "vpn" else ({},):
                try:
                    form.validate_python(at(path, wrong, more))
                except ValidationError as error:
                    for one in error.errors():
                        said = inventory.message(one)
                        assert not PYTHON.search(said), (path, wrong, said)
