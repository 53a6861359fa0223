"""The clients of an OpenVPN server: their certificates, and who of them is connected."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

from novaops.features.vpn.facts.server_question import ServerQuestion
from novaops.formats.x509 import DAY
from novaops.model.question import Missing
from novaops.shell import lines_of


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
class Issued:
    """A certificate that was given to a client."""

    name: str
    serial: str
    state: Literal["valid", "revoked", "expired"]
    until: int
    """Seconds since 1970."""
    revoked: int = 0

    def days_left(self, now: int) -> int:
        """Whole days; negative when it has expired."""
        return (self.until - now) // DAY


@dataclass(frozen=True)
class Clients:
    """The clients of one server."""

    issued: tuple[Issued, ...]
    """In the order they were made, without the server's own."""
    connected: tuple[Connection, ...] = ()
    now: int = 0

    def valid(self, name: str) -> Issued | None:
        """The one certificate of that name that is let in."""
        return next((one for one in self.issued if one.name == name and one.state == "valid"), None)

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
        return Clients(tuple(issued(said["index"], now)), tuple(connections(said.get("status", ""))), now)


def issued(index: str, now: int) -> Iterable[Issued]:
    """The clients in openssl's database (index.txt). Raises ValueError for a line that it would not write."""
    for line in lines_of(index):
        state, until, revoked, serial, _, subject = line.split("\t")
        name = subject.removeprefix("/CN=")
        if name.startswith("server:"):
            continue
        ends = _asn1(until)
        word: Literal["valid", "revoked", "expired"] = "revoked" if state == "R" else "expired" if ends <= now else "valid"
        yield Issued(name, serial, word, ends, _asn1(revoked.partition(",")[0]) if revoked else 0)


def _asn1(text: str) -> int:
    """A date of openssl's database: YYMMDDHHMMSSZ up to 2049, YYYYMMDDHHMMSSZ after it."""
    long = len(text) == len("20500101000000Z")
    return int(datetime.strptime(text if long else f"20{text}", "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp())


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
            counts = (int(one[name]) for name in ("Bytes Received", "Bytes Sent", "Connected Since (time_t)"))
            address = re.sub(r"^(udp|tcp)[46]?(-server)?:", "", one["Real Address"])
            yield Connection(one["Common Name"], address, one["Virtual Address"], *counts)
