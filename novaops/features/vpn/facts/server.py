"""An OpenVPN server of a host: its authority, its certificate, and whether it runs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from novaops.features.vpn.facts.revocations import compared, recorded
from novaops.features.vpn.facts.server_clients import Clients, clients_of, connections
from novaops.features.vpn.facts.server_question import ServerQuestion, certificate_of, has_key
from novaops.formats import ss
from novaops.formats.iptables import Protocol
from novaops.formats.x509 import Certificate
from novaops.shell import lines_of

_BY_UFW = re.compile(r"ufw allow (\d+/(?:udp|tcp)) comment 'novaops'")
_KEPT = re.compile(r"[0-9A-Fa-f]+\.pem")


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
    clients: Clients = field(default_factory=Clients)
    """Empty where the authority has no record."""
    revoked_itself: bool = False
    """Whether the record says that the server's own certificate is revoked."""
    unrecorded: tuple[str, ...] = ()
    """Serials of certificates that the authority has signed, and its record does not have."""
    list_is_closed: bool = False
    """Whether the server, which runs as nobody, cannot read the list of revoked certificates."""
    remote: str = ""
    """What profiles say after `remote`: ADDRESS PORT PROTOCOL."""
    token: str = ""
    """Of the last renewal."""
    listens: bool = False
    """Whether the process of its own unit has its port."""
    listeners: tuple[str, ...] = ()
    """The programs of others that have it."""
    units: tuple[str, ...] = ()
    """The units of these, as far as they have one."""
    configured: tuple[int, Protocol] | None = None
    """The port and the protocol, "udp" or "tcp", of its configuration as it is."""
    beside: tuple[str, ...] = ()
    """The programs of others that have that port."""
    ufw: frozenset[str] = frozenset()
    """What ufw lets in for novaops: PORT/PROTOCOL."""
    routes: tuple[tuple[str, str], ...] = ()
    """Networks of the host's main table, and the device of each; without the default route."""
    closed: tuple[str, ...] = ()
    """Tables of nftables that pass nothing on but what they name."""
    answers: bool = False
    """Whether its management says that it is up."""
    stale: tuple[str, ...] = ()
    """The files that have changed since the server read them. It reads the list of revoked certificates for each client anew."""
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
        every, now = tuple(recorded(said.get("index", ""), int(said["now"]))), int(said["now"])
        states: dict[int, str] = {int(one.serial, 16): one.state for one in every}
        kept = [name.removesuffix(".pem") for name in said.get("certs", "").split() if _KEPT.fullmatch(name)]
        own = int(ca.serial, 16) if ca is not None else 0
        routes = (line.split() for line in lines_of(said.get("routes", "")))
        main = int(said.get("main", "").strip() or 0)
        return ServerState(
            ca,
            certificate,
            ca_fits=has_key(ca, said.get("ca_key", "")),
            fits=has_key(certificate, said.get("server_key", "")),
            tls_crypt="tls_crypt" in said,
            clients=Clients(
                tuple(clients_of(every)), tuple(connections(said.get("state", ""))), now, compared(said.get("crl"), ca, every, now)
            ),
            revoked_itself=certificate is not None and states.get(int(certificate.serial, 16)) == "revoked",
            unrecorded=tuple(serial for serial in kept if int(serial, 16) not in {own, *states}),
            list_is_closed="crl_closed" in said,
            remote=said.get("remote", "").strip(),
            token=said.get("token", "").strip(),
            listens=main in _processes(said.get("listeners", "")),
            listeners=_others(said.get("listeners", ""), main),
            units=_units(said.get("holders", ""), main),
            configured=_configured(said.get("configured", "")),
            beside=_others(said.get("present_listeners", ""), main),
            ufw=frozenset(found[1] for line in lines_of(said.get("ufw", "")) if (found := _BY_UFW.fullmatch(line))),
            routes=tuple((words[0], words[words.index("dev") + 1]) for words in routes if "dev" in words and words[0] != "default"),
            closed=tuple(lines_of(said.get("closed", ""))),
            stale=tuple(lines_of(said.get("stale", ""))),
            answers="CONNECTED,SUCCESS" in said.get("state", ""),
            now=now,
        )


_KERNEL = -1


def _processes(printed: str) -> dict[int, str]:
    """Who listens, as ss prints it: names by the numbers of processes. A name proves nothing."""
    sockets = ss.listeners(printed.encode("utf-8", "surrogateescape").strip(b"\n"))
    return {number: program for one in sockets for program, number in one.processes or (("the kernel", _KERNEL),)}


def _others(printed: str, main: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(program for number, program in _processes(printed).items() if number != main))


def _units(said: str, main: int) -> tuple[str, ...]:
    holders = (line.partition(" ") for line in lines_of(said))
    return tuple(dict.fromkeys(unit for number, _, unit in holders if unit and number != str(main)))


def _configured(said: str) -> tuple[int, Protocol] | None:
    """What somebody else wrote there may be anything."""
    found = re.fullmatch(r"(\d{1,5}) (udp|tcp)\S*\s*", said)
    return (int(found[1]), "udp" if found[2] == "udp" else "tcp") if found else None


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
