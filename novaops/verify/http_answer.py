"""A request to a web server, and what came back, in any version of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LARGEST = 1 << 18
"""Bytes of an answer that are read."""
AT_ONCE = 1 << 14
"""Bytes that are read at a time, at the most."""
LONGEST = 60.0
"""Seconds after which an answer that still goes on is left."""


@dataclass(frozen=True)
class HttpAnswer:
    """What came back; `status` 0 when nothing did, and `trouble` says why."""

    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    trouble: str = ""
    arrivals: tuple[tuple[float, bytes], ...] = field(default=(), repr=False)
    """The parts of the body, each with the seconds since the request was sent."""
    seconds: float = 0.0
    """Until the end of it."""
    version: str = ""
    """Of HTTP: 1.1 or 2."""

    def all(self, name: str) -> tuple[str, ...]:
        """The values of each header of that name."""
        return tuple(value for each, value in self.headers if each.lower() == name.lower())

    def header(self, name: str) -> str:
        return ", ".join(self.all(name))

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def whole(self) -> bytes:
        """Headers and body."""
        return "\n".join(f"{name}: {value}" for name, value in self.headers).encode("utf-8", "replace") + b"\n" + self.body

    def __str__(self) -> str:
        return f"it answers {self.status}" if self.status else self.trouble


@dataclass(frozen=True)
class Request:
    path: str
    host: str
    """As the header Host says it."""
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def fields(self) -> dict[str, str]:
        """All of its headers."""
        own = {"Host": self.host, "User-Agent": "novaops-verify", "Accept": "*/*"}
        length = {"Content-Length": str(len(self.body))} if self.body or self.method == "POST" else {}
        return {**own, **length, **self.headers}

    @property
    def bytes(self) -> bytes:
        """As HTTP/1.1 has it."""
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in self.fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body
