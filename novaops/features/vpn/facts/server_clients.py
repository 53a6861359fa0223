"""The clients of an OpenVPN server: their certificates, and who of them is connected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from novaops.features.vpn.facts.revocations import Issued, Revocations, compared, recorded
from novaops.features.vpn.facts.server_question import ServerQuestion, certificate_of
from novaops.model.question import Missing
from novaops.shell import lines_of

_MOST = 2**64
_LATEST = 253402300799
"""The end of the year 9999, in seconds since 1970."""


@dataclass(frozen=True)
class Connection:
    """A client that is connected now."""

    name: str
    address: str
    """Where it comes from, with the port."""
    inside: str
    """Its address in the VPN."""
    received: int
    sent: int
    """Bytes, as the server sees them."""
    since: int
    """Seconds since 1970."""


@dataclass(frozen=True)
class Clients:
    """The clients of one server."""

    issued: tuple[Issued, ...] = ()
    """In the order they were made, without the server's own."""
    connected: tuple[Connection, ...] = ()
    now: int = 0
    revocations: Revocations = field(default_factory=Revocations)

    def valid(self, name: str) -> Issued | None:
        """The one certificate of that name that is let in."""
        return next((one for one in self.issued if one.name == name and one.state == "valid"), None)

    @property
    def revoked_inside(self) -> tuple[Connection, ...]:
        """Those that are connected, and have none but revoked certificates."""
        newest = self.newest
        return tuple(one for one in self.connected if one.name in newest and newest[one.name].state == "revoked")

    @property
    def newest(self) -> dict[str, Issued]:
        """By name, the certificate that counts: the valid one, or else the last."""
        found: dict[str, Issued] = {}
        for one in self.issued:
            if one.name not in found or found[one.name].state != "valid":
                found[one.name] = one
        return found


@dataclass(frozen=True)
class VpnClients(ServerQuestion[Clients]):
    """ABSENT where there is no such server, and never was."""

    server: str
    family: ClassVar[str] = "vpn_clients"

    @property
    def call(self) -> tuple[str, ...]:
        return ("clients", self.server)

    def read(self, said: Mapping[str, str]) -> Clients | Missing:
        if "index" not in said:
            return Missing.ABSENT
        now = int(said["now"])
        every = tuple(recorded(said["index"], now))
        listed = compared(said.get("crl"), certificate_of(said.get("ca", "")), every, now)
        return Clients(tuple(clients_of(every)), tuple(connections(said.get("status", ""))), now, listed)


def clients_of(every: Iterable[Issued]) -> Iterable[Issued]:
    """Those that were given to clients, without the server's own."""
    return (one for one in every if not one.name.startswith("server:"))


def connections(status: str) -> Iterable[Connection]:
    """The connected clients in the answer to `status 3`. Its header line names the columns."""
    columns: list[str] = []
    for line in lines_of(status):
        words = line.split("\t")
        if words[:2] == ["HEADER", "CLIENT_LIST"]:
            columns = words[2:]
        elif words[0] == "CLIENT_LIST":
            one = dict(zip(columns, words[1:], strict=False))
            if one["Common Name"] == "UNDEF":
                continue
            counts = [int(one[name]) for name in ("Bytes Received", "Bytes Sent", "Connected Since (time_t)")]
            if not all(0 <= count <= _MOST for count in counts) or counts[-1] > _LATEST:
                raise ValueError("the server counts what cannot be counted")
            address = re.sub(r"^(udp|tcp)[46]?(-server)?:", "", one["Real Address"])
            yield Connection(one["Common Name"], address, one["Virtual Address"], *counts)
