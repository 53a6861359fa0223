"""POSIX sh, quoted in one place. Nothing else in novaops puts a value into a shell line."""

from __future__ import annotations

import base64
import pkgutil
import re
import secrets
from collections.abc import Iterable

PREAMBLE = """\
LC_ALL=C; export LC_ALL; unset LANG LANGUAGE POSIXLY_CORRECT
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
"""
"""What every script on a host starts with: tools that speak English, and sbin for those who log in without it."""

UNTIL_BOOTED = "until systemctl is-system-running --wait 2>/dev/null | grep -q -x -e running -e degraded -e maintenance; do sleep 1; done"
"""Waits until a host has booted. ssh may be there before systemd answers: then --wait alone returns at once."""


def quote(word: str) -> str:
    """`word` as exactly one sh word, whatever it holds.

    Raises ValueError for a NUL, which no argument can carry.
    """
    if "\0" in word:
        raise ValueError(f"a NUL byte cannot be passed to a command: {word!r}")
    if word and all((c.isalnum() and c.isascii()) or c in "@%+=:,./-_" for c in word):
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def join(words: Iterable[str]) -> str:
    """The words as one command line."""
    return " ".join(quote(word) for word in words)


def assign(**values: str | int) -> str:
    """Lines of sh that give each variable its value."""
    return "".join(f"{name}={quote(str(value))}\n" for name, value in values.items())


def whole(body: str) -> str:
    """`body` as a script that runs completely or not at all.

    A script read from a stream is executed as it arrives: a cut stream would run its first half, and a step that
    reads standard input would swallow the rest. As a function called on the last line neither can happen.
    """
    return f"main() {{\n{PREAMBLE}{body}\n}}\nmain </dev/null\n"


def here_file(path_word: str, content: bytes, otherwise: str) -> str:
    """Lines of sh that write `content` to the file `path_word` names (already a sh word), byte for byte.

    `otherwise` is the command for a write that fails, as on a full disk.
    """
    text = base64.encodebytes(content).decode("ascii")
    mark = f"END_{secrets.token_hex(8)}"
    return f"base64 -d >{path_word} <<'{mark}' || {otherwise}\n{text}{mark}\n"


def sh_file(package: str, name: str) -> str:
    """The text of `name`, a file of sh beside the module whose `__package__` is `package`; without the comments at its top.

    sh of a dozen lines or more is kept in such a file, where shellcheck reads it.
    """
    data = pkgutil.get_data(package, name)
    assert data is not None, f"{package} has no {name}"
    return re.sub(r"\A(?:#.*\n|\n)+", "", data.decode())


def lines_of(printed: str) -> list[str]:
    r"""The lines of what a program printed. They end at "\n" only: splitlines() also ends them at \x0c, \x1c, \x85 and U+2028,
    which may stand in a name that somebody on the host has chosen. A carriage return at the end of a line belongs to its end.
    """
    return [line.removesuffix("\r") for line in printed.removesuffix("\n").split("\n")] if printed else []


def whole_lines(text: str) -> list[str]:
    """The same lines with their ends, which put together are the text again."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)
