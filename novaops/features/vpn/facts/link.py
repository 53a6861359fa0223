"""The VPN links of a host: device, routes of each name's addresses, and whether the API answers through them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from novaops.model.question import Missing, Section, Singleton
from novaops.shell import lines_of, sh_file

TIMEOUT = 8
"""Seconds for the API to answer."""


@dataclass(frozen=True)
class LinkRoute:
    """One address of a name, or a network, and the device that it is routed over."""

    route: str
    """The name or network, as the inventory has it."""
    address: str
    device: str
    """"" where it is unreachable."""


@dataclass(frozen=True)
class LinkState:
    """A link as it is; the defaults are those of one that is not set up."""

    name: str
    device: str
    running: bool = False
    """Whether systemd says so, which proves nothing."""
    addresses: tuple[str, ...] = ()
    """The device's; none where it is not up."""
    server: str = ""
    handshake: int = 0
    """When the ends last agreed on keys, in seconds since 1970; 0 for never since the boot."""
    received: int = 0
    sent: int = 0
    """Bytes through the device since it was made."""
    restarts: int = 0
    routes: tuple[LinkRoute, ...] = ()
    unresolved: tuple[str, ...] = ()
    """Names that lead to no address now."""
    url: str = ""
    status: int = 0
    """The HTTP status that it answered; 0 where it did not answer."""
    source: str = ""
    """The host's own address in that request."""
    milliseconds: int = 0
    complaint: str = ""
    """curl's error message for a request without an answer."""
    error: str = ""
    """The last error of OpenVPN, in plain words; "" for none."""


@dataclass(frozen=True)
class Links:
    now: int
    """Seconds since 1970."""
    links: tuple[LinkState, ...]

    def named(self, name: str) -> LinkState | None:
        return next((link for link in self.links if link.name == name), None)


class LinkStates(Singleton[Links]):
    family: ClassVar[str] = "vpn-links"

    @classmethod
    def script_one(cls) -> str:
        return f"TIMEOUT={TIMEOUT}\n{sh_file(__package__, 'links.sh')}"

    @classmethod
    def parse_one(cls, section: Section) -> Links | Missing:
        lines = [line.split("\t") for line in lines_of(section.stdout)]
        if not lines or lines[-1] != ["end"]:
            return Missing.UNKNOWN
        begins = [number for number, line in enumerate(lines) if line[0] == "link"]
        links = tuple(_link(lines[begin:end]) for begin, end in pairwise([*begins, len(lines)]))
        return Links(int(lines[0][1]), links)


def _link(lines: Sequence[Sequence[str]]) -> LinkState:
    values: dict[str, list[Sequence[str]]] = {}
    for key, *rest in lines:
        values.setdefault(key, []).append(rest)

    def one(key: str, default: str = "") -> str:
        return next((found[0] for found in values.get(key, []) if found), default)

    def each(key: str) -> tuple[str, ...]:
        return tuple(found[0] for found in values.get(key, []))

    status, source, seconds, complaint = [*values.get("answer", [[]])[0], "", "", "", ""][:4]
    return LinkState(
        name=one("link"),
        device=one("device"),
        running="running" in values,
        addresses=each("address"),
        server=one("server"),
        handshake=int(one("handshake", "0")),
        received=int(one("rx", "0")),
        sent=int(one("tx", "0")),
        restarts=int(one("restarts") or 0),
        routes=tuple(LinkRoute(*found) for found in values.get("route", [])),
        unresolved=each("unresolved"),
        url=one("url"),
        status=int(status or 0),
        source=source,
        milliseconds=round(float(seconds or 0) * 1000),
        complaint=complaint,
        error=base64.b64decode(one("error")).decode("utf-8", "replace").strip(),
    )
