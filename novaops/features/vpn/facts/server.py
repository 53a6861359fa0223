"""An OpenVPN server of a host: its authority, its certificate, and whether it runs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from novaops.features.vpn.facts.server_question import ServerQuestion, certificate_of, key_of
from novaops.formats import ss
from novaops.formats.x509 import Certificate
from novaops.shell import lines_of


@dataclass(frozen=True)
class ServerState:
    """A server as it is. Each None where it is not there."""

    ca: Certificate | None = None
    certificate: Certificate | None = None
    ca_fits: bool = False
    """Whether the authority's private key is there, and is that of its certificate."""
    fits: bool = False
    """The same of the server's own."""
    tls_crypt: bool = False
    crl_until: int | None = None
    """When its list of revoked certificates expires, in seconds since 1970; after that it lets nobody in."""
    remote: str = ""
    """What profiles say after `remote`: ADDRESS PORT PROTOCOL."""
    token: str = ""
    """Of the last renewal."""
    listeners: tuple[str, ...] = ()
    """The programs that have its port."""
    routes: tuple[tuple[str, str], ...] = ()
    """Networks of the host's main table, and the device of each; without the default route."""
    closed: tuple[str, ...] = ()
    """Tables of nftables that pass nothing on but what they name."""
    answers: bool = False
    """Whether its management says that it is up."""
    now: int = 0

    @property
    def is_signed(self) -> bool:
        return self.ca is not None and self.certificate is not None and self.fits and self.certificate.issued_by(self.ca)

    @property
    def days_left(self) -> int:
        return self.certificate.days_left(self.now) if self.certificate is not None else 0


@dataclass(frozen=True)
class VpnServer(ServerQuestion[ServerState]):
    name: str
    device: str
    port: int
    protocol: str
    family: ClassVar[str] = "vpn_server"

    @property
    def call(self) -> tuple[str, ...]:
        return ("server", self.name, str(self.port), self.protocol)

    def read(self, said: Mapping[str, str]) -> ServerState:
        ca, certificate = (certificate_of(said.get(name, "")) for name in ("ca", "server"))
        until = re.search(r"nextUpdate=(.*)", said.get("crl", ""))
        routes = (line.split() for line in lines_of(said.get("routes", "")))
        return ServerState(
            ca,
            certificate,
            ca_fits=ca is not None and key_of(ca.public_key) == key_of(said.get("ca_key", "")),
            fits=certificate is not None and key_of(certificate.public_key) == key_of(said.get("server_key", "")),
            tls_crypt="tls_crypt" in said,
            crl_until=_date(until[1]) if until else None,
            remote=said.get("remote", "").strip(),
            token=said.get("token", "").strip(),
            listeners=tuple(dict.fromkeys(program for one in _listeners(said) for program, _ in one.processes or (("the kernel", 0),))),
            routes=tuple((words[0], words[words.index("dev") + 1]) for words in routes if "dev" in words and words[0] != "default"),
            closed=tuple(lines_of(said.get("closed", ""))),
            answers="CONNECTED,SUCCESS" in said.get("state", ""),
            now=int(said["now"]),
        )


def _date(text: str) -> int:
    """As openssl prints it: Nov 20 12:00:00 2036 GMT."""
    return int(datetime.strptime(text.strip(), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC).timestamp())


def _listeners(said: Mapping[str, str]) -> tuple[ss.Socket, ...]:
    return ss.listeners(said.get("listeners", "").encode("utf-8", "surrogateescape").strip(b"\n"))


def overlaps(network: str, routes: Iterable[tuple[str, str]], own: str) -> tuple[str, str] | None:
    """The first route, with its device, that shares addresses with the network; the device `own` does not count."""
    wanted = ipaddress.IPv4Network(network)
    for text, device in routes:
        try:
            found = ipaddress.IPv4Network(text)
        except ValueError:  # unreachable, blackhole, …
            continue
        if device != own and found.prefixlen and found.overlaps(wanted):
            return text, device
    return None
