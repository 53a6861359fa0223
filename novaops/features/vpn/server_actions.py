"""Which VPN servers a host has or is to have, and what is wanted of the host for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from novaops.engine.desired import DesiredState, HostView
from novaops.errors import UsageError
from novaops.features.vpn import server, server_made
from novaops.features.vpn.kind import by_name, is_server
from novaops.features.vpn.resources.server_client import ClientRevoked
from novaops.features.vpn.resources.server_kept import ServerKept
from novaops.formats import names
from novaops.shell import quote

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
    return [name for name, entry in by_name(host.sections.get("vpn")).items() if is_server(entry)]


def _refuse_link(host: Host, name: str) -> None:
    """Raises UsageError where the inventory has a link of that name."""
    declared = by_name(host.sections.get("vpn")).get(name)
    if declared is not None and not is_server(declared):
        raise UsageError(f"{name} is a link of {host.name}", fix=f"novaops vpn up {quote(host.name)} --name {name}; or name a server")


def the_server_of(host: Host, name: str | None) -> str:
    """The server of that name, or the host's only one. Raises UsageError where it has several, and for a link."""
    if name is not None:
        _refuse_link(host, name)
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
    """What is to be changed in the section's entry; without one, in the server as it is."""
    without: tuple[str, ...] = ()
    """Networks that clients are to reach no more."""
    made: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The settings of a server that is in no inventory, as its host has them, by the host's name."""
    renewal: server.Renewal | None = None
    forget_clients: bool = False

    def _names(self, host: Host) -> list[str]:
        return [self.name] if self.name is not None else names_of(host) or ([DEFAULT] if self.add else [])

    def undeclared(self, host: Host) -> list[str]:
        """The servers of which only the host knows how they were made. None where they are removed."""
        return (
            []
            if self.flags.get("state") == "absent"
            else [name for name in self._names(host) if name not in by_name(host.sections.get("vpn"))]
        )

    def desired(self, known: Inventory, playbooks: Playbooks, host: Host) -> DesiredState:
        """Raises UsageError, InventoryError."""
        own: list[Resource] = []
        for name in self._names(host):
            _refuse_link(host, name)
            flags = self._flags(host, name)
            entries: list[Server] = playbooks.by_name["vpn"].overridden(known, host, "name", name, {**flags, "serve": "true"})
            if name in self.undeclared(host):
                says_reaches = bool(self.without) or "reaches" in self.flags
                own += [ServerKept(name, _settings(entry), self.made.get(host.name, {}), says_reaches) for entry in entries]
            if self.renewal is None:
                own += playbooks.resources(known, host, settings={"vpn": entries})
            else:  # of which a playbook knows nothing
                view = HostView(host.name, host.address, host.groups, playbooks.templates, Path())
                own += [resource for entry in entries for resource in server.resources(entry, view, self.renewal)]
            if self.forget_clients:
                own += [server.forgotten(entry) for entry in entries]
        return DesiredState(own)

    def _flags(self, host: Host, name: str) -> dict[str, Any]:
        """What is to be over the entry: by flags one adds, and takes away what is named. Raises UsageError."""
        declared = by_name(host.sections.get("vpn")).get(name)
        made = self.made.get(host.name, {}) if declared is None else {}
        more = names.listed(self.flags.get("reaches", []))
        now = made.get("reaches") if declared is None else declared.get("reaches", [])
        if not self.without and not more:
            return {**made, **self.flags}
        try:
            return {**made, **self.flags, "reaches": server_made.reaching(names.listed(now), more, self.without)}
        except ValueError:  # the entry's form says what is wrong
            return {**made, **self.flags}


def _settings(entry: Server) -> dict[str, Any]:
    """Those that open or close something, in the form of `server_made.settings`."""
    return {"port": str(entry.port), "protocol": entry.protocol, "network": entry.network, "reaches": list(entry.reaches)}


def revoked(host: Host, server: str | None, client: str) -> DesiredState:
    """What `vpn client revoke` wants of the host. Raises UsageError where it has several servers and none is named."""
    return DesiredState([ClientRevoked(the_server_of(host, server), client)])
