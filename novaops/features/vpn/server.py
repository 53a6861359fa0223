"""What an entry of `vpn:` with `serve: true` asks of its host. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from novaops.engine.desired import HostView
from novaops.errors import UsageError
from novaops.features.vpn.facts.server import VpnServer
from novaops.features.vpn.paths import SERVERS_OWN, SOCKETS, UNITS, ServerPaths
from novaops.features.vpn.resources.server_authority import YEARS, Authority
from novaops.features.vpn.resources.server_forwarding import Forwarding, ForwardingRemoved
from novaops.features.vpn.resources.server_preconditions import ServerPreconditions
from novaops.features.vpn.resources.server_removed import AuthorityForgotten, FolderRemoved, PortClosed
from novaops.features.vpn.resources.server_running import NewUnit, ServerAnswers
from novaops.features.vpn.settings import Server
from novaops.formats.names import is_address
from novaops.model.plan import Resource
from novaops.resources.directory import Directory
from novaops.resources.file import File
from novaops.resources.open_port import OpenPort
from novaops.resources.package import Package
from novaops.resources.unit import Unit

_RELOAD = ("systemctl", "daemon-reload")
_PASSED = "0x40000000"
"""The bit of a packet's mark by which a server's table of nftables says that it has seen the packet."""
_SYSCTL = "# managed by novaops\nnet.ipv4.ip_forward = 1\n"


@dataclass(frozen=True)
class Renewal:
    """A new certificate for the server itself."""

    days: int = YEARS
    token: str = ""
    """Tells one renewal from another: it is done once the host has written the token down. "" for none."""


def resources(entry: Server, host: HostView, renewal: Renewal | None = None, beside: Iterable[Server] = ()) -> Iterator[Resource]:
    """A server that is present, or one that is removed except for its authority and its clients.

    `beside`: all servers of the host. A port that one leaves stays open where another one comes to have it.
    Raises UsageError where no address is known by which clients reach it.
    """
    present = [one for one in beside if one.state == "present" and one.name != entry.name]
    others = frozenset((one.port, one.protocol) for one in present)
    leaving = tuple(_question(one) for one in beside if one.state == "absent" and one.name != entry.name)
    yield from _present(entry, host, renewal or Renewal(), others, leaving) if entry.state == "present" else _absent(entry, others)


def forgotten(entry: Server) -> Resource:
    """The authority removed, too, with the certificates of all clients."""
    return AuthorityForgotten(entry.name)


def _present(
    entry: Server, host: HostView, renewal: Renewal, others: frozenset[tuple[int, str]], leaving: tuple[VpnServer, ...]
) -> Iterator[Resource]:
    paths, question, address = ServerPaths(entry.name), _question(entry), _address(entry, host)

    def rendered(path: str, template: str, then: tuple[str, ...] = (), **values: Any) -> File:
        return File(path, host.templates.render(f"vpn/server/{template}.j2", name=entry.name, **values), then=then)

    def restart(unit: str) -> tuple[str, ...]:
        return ("systemctl", "try-restart", "--", unit)

    yield ServerPreconditions(question, entry.network, leaving)
    yield from (Package("openvpn"), Package("openssl"), Package("nftables"))
    yield Directory(paths.folder, "0700")
    yield rendered(f"{paths.folder}/openssl.cnf", "openssl.cnf", folder=paths.folder)
    yield Authority(question, renewal.days, renewal.token)
    yield File(f"{paths.folder}/remote", f"{address} {entry.port} {entry.protocol}\n")
    yield from (Directory("/etc/novaops"), Directory(SERVERS_OWN))
    yield rendered(f"{UNITS}/{paths.forward_unit}", "forward.service", _RELOAD, script=paths.forward_script)
    yield rendered(
        *(paths.forward_script, "forward.sh", restart(paths.forward_unit)),
        device=entry.device,
        network=entry.network,
        table=f"novaops_vpn_{entry.name}",
        reaches=entry.reaches,
        passed=_PASSED,
        kept=paths.ip_forward_before,
    )
    yield Forwarding(entry.name)
    yield File(paths.sysctl, _SYSCTL)
    yield OpenPort(entry.port, entry.protocol)
    yield PortClosed(question, stays=True, others=others)  # before the configuration is written, which still says where it listened
    yield Directory(paths.drop_ins)
    yield rendered(f"{paths.drop_ins}/novaops.conf", "server.service", _RELOAD, script=paths.forward_script)
    network = ipaddress.IPv4Network(entry.network)
    yield rendered(
        *(paths.configuration, "server.conf", restart(paths.unit)),
        port=entry.port,
        proto=_proto(entry.protocol, address),
        device=entry.device,
        network=str(network.network_address),
        mask=str(network.netmask),
        folder=paths.folder,
        crl=f"{paths.folder}.crl.pem",
        socket=f"{SOCKETS}/{entry.name}.sock",
    )
    yield NewUnit(paths.unit)
    yield ServerAnswers(question)


def _absent(entry: Server, others: frozenset[tuple[int, str]]) -> Iterator[Resource]:
    """The packages stay: something else may have come to need them."""
    paths = ServerPaths(entry.name)
    yield PortClosed(_question(entry), others=others)  # before the configuration is removed, which says that this port is the server's
    yield Unit(paths.unit, enabled=False, active=False)
    yield Unit(paths.forward_unit, enabled=False, active=False)
    yield ForwardingRemoved(entry.name)
    yield from (File(path, None) for path in (paths.configuration, paths.forward_script, paths.sysctl))
    yield from (File(path, None, then=_RELOAD) for path in (f"{paths.drop_ins}/novaops.conf", f"{UNITS}/{paths.forward_unit}"))
    yield FolderRemoved(paths.drop_ins, "novaops.conf")


def _question(entry: Server) -> VpnServer:
    return VpnServer(entry.name, entry.device, entry.port, entry.protocol)


def _address(entry: Server, host: HostView) -> str:
    found = entry.address or str(host.address)
    if not found:
        raise UsageError(f"{host.name}: say by which address clients reach it: --address, or address: in its vpn: entry")
    return found


def _proto(protocol: str, address: str) -> str:
    """OpenVPN's `proto`. A name may lead to addresses of both families: then the server listens on both."""
    ipv6 = not is_address(address) or ":" in address
    return {"udp": ("udp", "udp6"), "tcp": ("tcp-server", "tcp6-server")}[protocol][ipv6]
