"""Quoting of values in nginx's configuration. Nothing else in novaops quotes for nginx. Pure."""

from __future__ import annotations

import hashlib
import re
import unicodedata

DOLLAR = "novaops_dollar"
"""A variable that holds a dollar sign: where nginx expands variables, it has no escape for one."""


_LONGEST_VARIABLE = 28
"""Characters of a name inside a variable's name: nginx's table of variables takes 46 in all, unless it is told otherwise."""


def quoted(text: str) -> str:
    """One word of a directive that expands no variables, such as a path or a server name.

    Raises ValueError for control characters: nginx would accept a line break inside a word.
    """
    if any(unicodedata.category(c) == "Cc" for c in text):
        raise ValueError("control characters cannot stand in nginx's configuration")
    escaped = re.sub(r'\\(?=[\\"\'trn]|$)|"', lambda found: "\\" + found.group(), text)
    return f'"{escaped}"'


def literal(text: str) -> str:
    """One word of a directive that expands variables, such as a header's value. Nothing in `text` is expanded."""
    return quoted(text).replace("$", f"${{{DOLLAR}}}")


def exactly(text: str) -> str:
    """A key of a `map` that only this text matches, in this case: plain keys ignore case."""
    return quoted("~^" + "".join(c if c.isascii() and c.isalnum() else "".join(f"\\x{b:02x}" for b in c.encode()) for c in text) + r"\z")


def variable(name: str) -> str:
    """The name as a part of a variable's name; no two names give the same, although nginx ignores case in those of variables."""
    escaped = "".join(c if c.isascii() and (c.islower() or c.isdigit()) else f"_{ord(c):x}_" for c in name)
    return escaped if len(escaped) <= _LONGEST_VARIABLE else f"_{hashlib.sha256(name.encode()).hexdigest()[:24]}"
