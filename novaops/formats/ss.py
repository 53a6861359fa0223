r"""What `ss -l -n -p -H` prints: who listens where. Pure.

The name of a process is chosen by whoever runs it. It has 15 bytes at most, of any kind: a newline, or `",pid=1,`. What ss prints
between two names has more than 15, so that the longest name that fits is the right one, and nothing in a name is taken for ss's words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_USER = rb'\("(?P<program>(?s:.){0,15})",pid=(?P<pid>\d+),fd=\d+\)'
_USERS = re.sub(rb"\?P<\w+>", b"?:", _USER)
_LINE = re.compile(
    rb"(?P<state>[A-Z-]+)[ \t]+\d+[ \t]+\d+[ \t]+(?P<address>\S+):(?P<port>\d+)[ \t]+\S+"
    rb"(?:[ \t]+users:\((?P<users>" + _USERS + rb"(?:," + _USERS + rb")*)\))?[ \t]*(?:\n|\Z)"
)


@dataclass(frozen=True)
class Socket:
    place: str
    """As ss writes it: ADDRESS:PORT, with brackets and the name of an interface."""
    address: str
    """Without brackets and interface."""
    port: int
    processes: tuple[tuple[str, int], ...]
    """Name and number of each; none for what the kernel itself listens on. Names may hold anything but NUL."""


def listeners(printed: bytes) -> tuple[Socket, ...]:
    """Raises ValueError for what ss does not print."""
    return tuple(_sockets(printed))


def _sockets(printed: bytes) -> Iterator[Socket]:
    at = 0
    while at < len(printed):
        found = _LINE.match(printed, at)
        if found is None:
            raise ValueError(f"ss said: {printed[at : at + 200].decode('utf-8', 'replace')}")
        at = found.end()
        address, port = found["address"].decode("ascii", "replace"), int(found["port"])
        users = re.finditer(_USER, found["users"] or b"")
        processes = tuple((user["program"].decode("utf-8", "surrogateescape"), int(user["pid"])) for user in users)
        yield Socket(f"{address}:{port}", address.partition("%")[0].strip("[]"), port, processes)
