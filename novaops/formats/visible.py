"""Text of others, made fit to be shown: what could move a cursor, erase, colour or reorder is written out instead. Pure."""

from __future__ import annotations

import re
from typing import Any

_UNSEEN = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: escape sequences begin with them
    "\xad\u200b\ufeff"  # no width
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidi controls: they show a text in another order than it has
    "\u2028\u2029"  # line and paragraph
    "\u2060-\u2065\u206a-\u206f\ufff9-\ufffb\U000e0000-\U000e007f"  # other controls of layout, and tags
    "]"
)
_TAB = "    "

LINES = frozenset({"after", "before", "description", "fix", "message", "ssh_config", "text", "trouble", "why"})
"""The keys of a document whose texts may have several lines. All others have one."""


def line(text: str) -> str:
    r"""The text as one line: a newline in it is shown as \n, an escape as \x1b. A tab is four spaces."""
    return _UNSEEN.sub(_written, text.replace("\t", _TAB))


def lines(text: str) -> str:
    """The same, with its newlines kept, and its tabs. A carriage return before a newline goes."""
    return _UNSEEN.sub(_but_layout, text.replace("\r\n", "\n"))


def document(data: Any, *, several: bool = False) -> Any:
    """The same for all texts of a JSON document, its keys included. `several`: newlines are kept."""
    if isinstance(data, str):
        return lines(data) if several else line(data)
    if isinstance(data, dict):
        return {document(key): document(value, several=key in LINES) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [document(value, several=several) for value in data]
    return data


def _written(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _but_layout(found: re.Match[str]) -> str:
    return found[0] if found[0] in "\n\t" else _written(found)
