"""vpn: links to OpenVPN servers for named routes only, and servers of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import AfterValidator

from novaops.engine.desired import HostView, Peers
from novaops.features.vpn.link import link_of, resources
from novaops.features.vpn.resources.link import VpnLink, VpnRemoved
from novaops.features.vpn.settings import Link, Server, Vpn, distinct
from novaops.model.plan import Resource

Settings = Annotated[list[Vpn], AfterValidator(distinct)]


def prepare(host: HostView, settings: Settings) -> list[Server | VpnLink | VpnRemoved]:
    """Read the profiles and passwords of links. Raises UsageError, and Refused where no link can come of a profile."""
    # What is taken away first: another link may want its routes.
    return [_prepared(host, entry) for entry in sorted(settings, key=lambda one: one.state != "absent")]


def _prepared(host: HostView, entry: Server | Link) -> Server | VpnLink | VpnRemoved:
    if isinstance(entry, Server):
        return entry
    return VpnRemoved(entry.name) if entry.state == "absent" else link_of(entry, host)


def desired(host: HostView, prepared: Iterable[Server | VpnLink | VpnRemoved], peers: Peers) -> Iterator[Resource]:
    del peers
    prepared = list(prepared)
    servers = [entry for entry in prepared if isinstance(entry, Server)]
    for entry in prepared:
        if isinstance(entry, Server):
            from novaops.features.vpn.server import resources as server_resources

            yield from server_resources(entry, host, beside=servers)
        elif isinstance(entry, VpnRemoved):
            yield entry
        else:
            yield from resources(entry)
