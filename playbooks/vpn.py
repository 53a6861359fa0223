"""vpn: links to OpenVPN servers for named routes only, and servers of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from novaops.plan import Resource
from novaops.resources.vpn_link import VpnGone
from novaops.vpn import Server, Vpn, distinct
from novaops.vpn_link import resources as link_resources

Settings = Annotated[list[Vpn], AfterValidator(distinct)]


def desired(host: Any, settings: Settings, peers: Mapping[str, Any]) -> Iterator[Resource]:
    del peers
    # What is taken away first: another link may want its routes.
    for entry in sorted(settings, key=lambda one: one.state != "absent"):
        if isinstance(entry, Server):
            from novaops.vpn_server import resources as server_resources

            yield from server_resources(entry, host)
        elif entry.state == "absent":
            yield VpnGone(entry.name)
        else:
            yield from link_resources(entry, host)
