"""tunnel: ways through another host, over ssh, that heal themselves."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator

from novaops.engine.desired import HostView, Peers
from novaops.features.tunnel.client import Client, gateway_of
from novaops.features.tunnel.paths import FOLDER, USER, comment
from novaops.features.tunnel.resources.account import TunnelUser, TunnelUserRemoved
from novaops.features.tunnel.resources.authorized_key import AuthorizedKey
from novaops.features.tunnel.resources.cleanup import StaleTunnelFiles
from novaops.features.tunnel.resources.connection import TunnelConnected
from novaops.features.tunnel.resources.gateway_sshd import GatewaySshd, GatewaySshdRemoved
from novaops.features.tunnel.resources.hosts_file import HostsEntries
from novaops.features.tunnel.resources.port_preconditions import GatewayPortsFree
from novaops.features.tunnel.settings import Tunnel, distinct
from novaops.formats import names
from novaops.model.plan import Resource
from novaops.resources.directory import Directory
from novaops.resources.package import Package

Settings = Annotated[list[Tunnel], AfterValidator(distinct)]


def desired(host: HostView, settings: Settings, peers: Peers) -> Iterator[Resource]:
    present = [Client(entry, host, peers) for entry in settings if entry.state == "present"]
    gone = [entry for entry in settings if entry.state == "absent"]
    absent = [entry.name for entry in gone]
    for client in present:
        yield client.claims
    for entry in gone:
        yield from (HostsEntries(entry.name, ()), StaleTunnelFiles(entry.name, via_unknown=not entry.via))
    if absent:
        yield TunnelUserRemoved(tuple(absent)) if not present else TunnelUser()
    if present:
        packages = ["openssh-client", "curl", *(["autossh"] if any(one.entry.supervisor == "autossh" for one in present) else [])]
        yield from map(Package, packages)
        if not absent:
            yield TunnelUser()
        yield from (Directory("/etc/novaops"), Directory(FOLDER))
    for client in present:
        if not client.entry.transparent:  # a name leads nowhere before what it led to goes
            yield HostsEntries(client.entry.name, ())
        yield from client.files()
        yield from client.started()
    for client in present:
        yield TunnelConnected(client.entry.name, client.use, client.via, f"{client.options} {{}} {client.comment}")
        if client.entry.transparent:
            yield client.named()


def desired_of_peers(host: HostView, settings: Settings, peers: Peers) -> Iterator[tuple[str, Resource]]:
    gateways = dict.fromkeys(gateway_of(host, entry, peers).name for entry in settings if entry.via)
    for via in gateways:
        entries = [entry for entry in settings if entry.via and gateway_of(host, entry, peers).name == via]
        present = [Client(entry, host, peers) for entry in entries if entry.state == "present"]
        for client in present:
            if client.entry.reverse:
                yield via, GatewayPortsFree(client.entry.name, client.comment, client.listens, client.public)
        if present:
            yield via, present[0].after_key(host, TunnelUser())
        for entry in entries:
            if entry.state == "absent":
                yield via, AuthorizedKey(host.name, entry.name, comment(host.name, entry.name), None)
        for client in present:
            yield via, AuthorizedKey(host.name, client.entry.name, client.comment, client.options)
        if present:
            yield via, present[0].after_key(host, _gate(host, present))
        else:
            yield via, GatewaySshdRemoved()
            yield via, TunnelUserRemoved(ends_here=True)


def _gate(host: Any, clients: list[Client]) -> Resource:
    """What sshd needs to let all of them through."""
    listening = [passage for client in clients for passage in client.passages if passage.reverse]
    asks = any(not passage.is_plain for passage in listening)
    text = host.templates.render("tunnel/sshd.j2", user=USER, gateway_ports="clientspecified" if asks else "no")
    address = host.address if names.is_address(host.address) and not ipaddress.ip_address(host.address).is_loopback else ""
    return GatewaySshd(text, address, "remote" if all(client.entry.reverse for client in clients) else "local", bool(listening))
