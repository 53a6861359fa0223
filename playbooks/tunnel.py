"""tunnel: reach an API, or any port, through another host, over ssh; a tunnel that is cut comes back by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from novaops.engine.desired import HostView, Peers
from novaops.features.tunnel.client import clients
from novaops.features.tunnel.client_files import client_files
from novaops.features.tunnel.distinct import distinct
from novaops.features.tunnel.gateway import gateways
from novaops.features.tunnel.paths import FOLDER
from novaops.features.tunnel.resources.account import TunnelUser, TunnelUserRemoved
from novaops.features.tunnel.resources.cleanup import StaleTunnelFiles
from novaops.features.tunnel.resources.hosts_file import HostsEntries
from novaops.features.tunnel.settings import Tunnel
from novaops.model.plan import Resource
from novaops.resources.directory import Directory
from novaops.resources.package import Package

Settings = Annotated[list[Tunnel], AfterValidator(distinct)]


def desired(host: HostView, settings: Settings, peers: Peers) -> Iterator[Resource]:
    present = clients(host, settings, peers)
    absent = [entry for entry in settings if entry.state == "absent"]
    for entry in absent:  # first: another one may come to have their ports and names
        yield from (HostsEntries(entry.name, ()), StaleTunnelFiles(entry.name, via=entry.via))
    yield from (client.ports_free() for client in present)
    yield from (client.targets_reached() for client in present if client.entry.reverse)
    if absent:
        yield TunnelUser() if present else TunnelUserRemoved(tuple(entry.name for entry in absent))
    if present:
        autossh = ["autossh"] if any(client.entry.supervisor == "autossh" for client in present) else []
        yield from map(Package, ("openssh-client", "curl", *autossh))
        if not absent:
            yield TunnelUser()
        yield from (Directory("/etc/novaops"), Directory(FOLDER))
    for client in present:
        if not client.entry.transparent:  # a line in /etc/hosts goes before the listener that it leads to
            yield client.hosts_entries()
        yield from client_files(client)
        yield from client.units()
    for client in present:
        yield client.connected()
        if client.entry.transparent:  # and comes after the request that proves the tunnel
            yield client.hosts_entries()


def desired_of_peers(host: HostView, settings: Settings, peers: Peers) -> Iterator[tuple[str, Resource]]:
    for gateway in gateways(host, settings, peers):
        yield from ((gateway.name, resource) for resource in gateway.resources())
