"""Which VPN servers a host has or is to have, and what is wanted of the host for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novaops.engine.desired import DesiredState, HostView
from novaops.errors import UsageError
from novaops.features.vpn import server
from novaops.features.vpn.kind import is_server
from novaops.features.vpn.resources.server_client import ClientRevoked
from novaops.formats import names

if TYPE_CHECKING:
    from novaops.engine.inventory import Host, Inventory
    from novaops.engine.playbooks import Playbooks
    from novaops.features.vpn.settings import Server
    from novaops.model.plan import Resource

DEFAULT = "vpn"
"""The name of a server for which none is given."""


def plain_name(name: str, what: str) -> str:
    """The name. Raises UsageError where it is none; `what` is the option or argument that it was given by."""
    try:
        return names.name(name)
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from None


def names_of(host: Host) -> list[str]:
    """Of the servers in the host's section."""
    written = host.sections.get("vpn")
    entries = [entry for entry in written if isinstance(entry, dict)] if isinstance(written, list) else []
    return [str(entry["name"]) for entry in entries if is_server(entry) and "name" in entry]


def the_server_of(host: Host, name: str | None) -> str:
    """The server of that name, or the host's only one. Raises UsageError where it has several."""
    if name is not None:
        return plain_name(name, "--server")
    servers = names_of(host) or [DEFAULT]
    if len(servers) > 1:
        raise UsageError("say which: --server", why=f"{host.name} has {len(servers)}: {', '.join(servers)}.")
    return servers[0]


@dataclass(frozen=True)
class ServeOptions:
    """What `vpn serve` asks of each host."""

    name: str | None
    """None: the servers of the inventory."""
    add: bool
    """Whether a host without a server in the inventory gets one."""
    flags: Mapping[str, Any]
    """What is to be changed in the section's entry."""
    renewal: server.Renewal | None = None
    forget_clients: bool = False

    def desired(self, known: Inventory, playbooks: Playbooks, host: Host) -> DesiredState:
        """Raises UsageError, InventoryError."""
        found = [self.name] if self.name is not None else names_of(host) or ([DEFAULT] if self.add else [])
        own: list[Resource] = []
        for name in found:
            entries: list[Server] = playbooks.by_name["vpn"].overridden(known, host, "name", name, {**self.flags, "serve": "true"})
            if self.renewal is None:
                own += playbooks.resources(known, host, settings={"vpn": entries})
            else:  # of which a playbook knows nothing
                view = HostView(host.name, host.address, host.groups, playbooks.templates, Path())
                own += [resource for entry in entries for resource in server.resources(entry, view, self.renewal)]
            if self.forget_clients:
                own += [server.forgotten(entry) for entry in entries]
        return DesiredState(own)


def revoked(host: Host, server: str | None, client: str) -> DesiredState:
    """What `vpn client revoke` wants of the host. Raises UsageError where it has several servers and none is named."""
    return DesiredState([ClientRevoked(the_server_of(host, server), client)])
