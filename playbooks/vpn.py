"""vpn: links to OpenVPN servers for named routes only, and servers of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from novaops.engine.desired import HostView, Peers
from novaops.features.vpn.link import resources as link_resources
from novaops.features.vpn.resources.link import VpnRemoved
from novaops.features.vpn.settings import Server, Vpn, distinct
from novaops.model.plan import Resource

Settings = Annotated[list[Vpn], AfterValidator(distinct)]


def desired(host: HostView, settings: Settings, peers: Peers) -> Iterator[Resource]:
    del peers
    # What is taken away first: another link may want its routes.
    for entry in sorted(settings, key=lambda one: one.state != "absent"):
        if isinstance(entry, Server):
            from novaops.features.vpn.server import resources as server_resources

            yield from server_resources(entry, host)
        elif entry.state == "absent":
            yield VpnRemoved(entry.name)
        else:
            yield from link_resources(entry, host)
