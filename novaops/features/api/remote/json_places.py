"""JSON with the lines on which its values begin. Python's own reader forgets them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Placed:
    value: Any
    line: int


def elements(text: str, start: int = 0, line: int = 1) -> Iterator[Placed]:
    """The values of the list that begins at `start`, which is on `line`. Raises ValueError where there is none, JSONDecodeError."""
    position = _BLANKS.match(text, start).end()  # type: ignore[union-attr] # it matches nothing too
    if text[position : position + 1] != "[":
        raise ValueError("not a list")
    position, counted = position + 1, start
    while True:
        position = _BLANKS.match(text, position).end()  # type: ignore[union-attr] # see above
        if text[position : position + 1] == "]":
            return
        value, end = _DECODER.raw_decode(text, position)
        line, counted = line + text.count("\n", counted, position), position
        yield Placed(value, line)
        position = _BLANKS.match(text, end).end()  # type: ignore[union-attr] # see above
        position += text[position : position + 1] == ","


def members(text: str) -> Iterator[tuple[str, int, int]]:
    """The names of an object, with the place and the line of their values. The whole text is known to be an object of JSON."""
    position, line, counted = text.index("{") + 1, 1, 0
    while True:
        position = _BLANKS.match(text, position).end()  # type: ignore[union-attr] # see above
        if text[position] == "}":
            return
        name, end = _DECODER.raw_decode(text, position)
        start = _BLANKS.match(text, text.index(":", end) + 1).end()  # type: ignore[union-attr] # see above
        line, counted = line + text.count("\n", counted, start), start
        yield name, start, line
        position = _BLANKS.match(text, _DECODER.raw_decode(text, start)[1]).end()  # type: ignore[union-attr] # see above
        position += text[position] == ","
