"""A tunnel as it is to be on its client: what the inventory says of it, resolved once, and the resources that follow."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from novaops.engine import inventory
from novaops.engine.desired import HostView
from novaops.engine.inventory import Host
from novaops.errors import UsageError
from novaops.features.proxy.settings import Site
from novaops.features.tunnel.distinct import alias_parts
from novaops.features.tunnel.facts.reach import TargetReached
from novaops.features.tunnel.gateway_sessions import NO_LISTENER
from novaops.features.tunnel.paths import HOME, config_file, key_comment, unit
from novaops.features.tunnel.resources.connection import TunnelConnected
from novaops.features.tunnel.resources.hosts_file import HostsEntries
from novaops.features.tunnel.resources.permission import after_permission
from novaops.features.tunnel.resources.port_preconditions import PortsFree
from novaops.features.tunnel.resources.targets_reached import TargetsReached
from novaops.features.tunnel.settings import ResolvedForward, Tunnel
from novaops.features.tunnel.status import usage
from novaops.formats import names
from novaops.formats.names import pair
from novaops.model.plan import Resource
from novaops.resources.unit import OwnUnit
from novaops.shell import quote

_SSH = 22


@dataclass(frozen=True)
class TunnelClient:
    """A tunnel that is to be present, with all that follows from the inventory."""

    host: HostView
    """Where it begins, as a playbook sees it."""
    entry: Tunnel
    gateway: str
    """The name of the host that it goes through."""
    reached_at: tuple[str, int]
    """Address and port at which the client reaches the gateway's sshd."""
    forwards: tuple[ResolvedForward, ...]

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def comment(self) -> str:
        return key_comment(self.host.name, self.name)

    @property
    def key_options(self) -> str:
        return key_options(self.forwards)

    @property
    def key_line(self) -> str:
        """The gateway's line for the key, with {} in place of the key."""
        return f"{self.key_options} {{}} {self.comment}"

    @property
    def listeners(self) -> tuple[tuple[str, int], ...]:
        return tuple((forward.listen, forward.listen_port) for forward in self.forwards)

    @property
    def public_listeners(self) -> tuple[str, ...]:
        return tuple(forward.listens for forward in self.forwards if forward.is_public)

    @property
    def aliased(self) -> list[tuple[str, ResolvedForward]]:
        """Each forward with a local alias, and before it what tells its units apart."""
        pairs = zip(alias_parts(self.forwards), self.forwards, strict=True)
        return [(part, forward) for part, forward in pairs if forward.transparent]

    def targets_reached(self) -> Resource:
        """On the end that connects to them. What is on that end itself may come with the same run."""
        keys = f"{HOME}/.ssh/authorized_keys"
        asked, permissions = [], []
        for one in self.forwards:
            if one.to_site or one.host == "localhost" or (names.is_address(one.host) and ipaddress.ip_address(one.host).is_loopback):
                continue
            settled = f"grep -s -F -e {quote(one.key_permissions[0])} {keys} | grep -q -F -e {quote(self.comment)}"
            if self.entry.reverse:
                column = f"\t{one.target}\t"
                settled = f"grep -q -s -F -e {quote(column)} {config_file(self.name, 'forwards')}"
            asked.append(TargetReached(one.host, one.port, settled))
            permissions.append(one.key_permissions[0])
        if self.entry.reverse:
            return TargetsReached(self.name, self.host.name, tuple(asked))
        return TargetsReached(self.name, self.gateway, tuple(asked), tuple(permissions), self.comment)

    def ports_free(self) -> Resource:
        if self.entry.reverse:
            return PortsFree(self.name, tuple(forward.probe_address for forward in self.forwards))
        aliases = tuple((forward.local_alias, forward.port) for _, forward in self.aliased)
        return PortsFree(self.name, self.listeners, aliases, self._hosts_entries, self.public_listeners)

    def units(self) -> Iterator[Resource]:
        """They start once the gateway accepts the key."""
        sockets = (unit(self.name, part, "socket") for part, _ in self.aliased)
        for name in (unit(self.name), unit(self.name, "check", "timer"), *sockets):
            yield self.after_permission(OwnUnit(name))

    def connected(self) -> Resource:
        lines = (
            usage(one.target, one.listens, one.check, one.local_alias, socks=bool(one.reaches)) for one in self.forwards if not one.reverse
        )
        return TunnelConnected(self.name, tuple(filter(None, lines)), self.gateway, self.key_line)

    def hosts_entries(self) -> Resource:
        """Its lines in /etc/hosts; none without `transparent`."""
        entries = HostsEntries(self.name, self._hosts_entries)
        return self.after_permission(entries) if self.entry.transparent else entries

    def after_permission(self, resource: Resource) -> Resource:
        return after_permission(resource, self.name, self.gateway, self.key_line)

    @property
    def _hosts_entries(self) -> tuple[tuple[str, str], ...]:
        return tuple(dict.fromkeys((forward.local_alias, forward.host) for _, forward in self.aliased))


def key_options(forwards: tuple[ResolvedForward, ...]) -> str:
    """What the key may do on the gateway: these forwards, and no shell, command, other port or other direction."""
    permissions = [permission for forward in forwards for permission in forward.key_permissions]
    if not any(permission.startswith("permitlisten") for permission in permissions):
        permissions.append(NO_LISTENER)
    return ",".join(["restrict", "port-forwarding", 'command="/bin/false"', *dict.fromkeys(permissions)])


def clients(host: HostView, settings: Iterable[Tunnel], peers: Mapping[str, Host]) -> list[TunnelClient]:
    """The tunnels of `host` that are to be present. Raises UsageError for a gateway or a site that does not fit."""
    return [_client(host, entry, peers) for entry in settings if entry.state == "present"]


def gateway_of(host: HostView, entry: Tunnel, peers: Mapping[str, Host]) -> Host:
    """The host that a tunnel goes through. Raises UsageError where `via` is no host, or is `host` itself."""
    try:
        gateway = peers[entry.via or ""]
    except UsageError as error:
        raise UsageError(f"{_where(host, entry)} via: {error.what}", why=error.why, fix=error.fix) from None
    if gateway.name == host.name:
        raise UsageError(f"{_where(host, entry)} via: that is the host itself", fix="a tunnel needs another host to go through")
    return gateway


def _client(host: HostView, entry: Tunnel, peers: Mapping[str, Host]) -> TunnelClient:
    gateway = gateway_of(host, entry, peers)
    forwards = entry.resolved_forwards(_site_address(host, entry, gateway) if entry.site else "")
    return TunnelClient(host, entry, str(gateway.name), _reached_at(host, entry, gateway), forwards)


def _where(host: HostView, entry: Tunnel) -> str:
    return f"{host.name}: tunnel {entry.name}:"


def _reached_at(host: HostView, entry: Tunnel, gateway: Host) -> tuple[str, int]:
    """Raises UsageError for a loopback address: there the client would reach itself."""
    if entry.via_address:
        address, port = names.address(entry.via_address)
        return address, port or _SSH
    address = gateway.address
    if address == "localhost" or (names.is_address(address) and ipaddress.ip_address(address).is_loopback):
        raise UsageError(
            f"{_where(host, entry)} via: {gateway.name} has the address {address}, where the client would reach itself",
            fix="say how the client reaches it: via_address: HOST[:PORT]",
        )
    return address, gateway.port or gateway.access.port or _SSH


def _site_address(host: HostView, entry: Tunnel, gateway: Host) -> str:
    """ADDRESS:PORT of the gateway's site. Raises UsageError where the site would not answer through the tunnel."""
    where = f"{_where(host, entry)} site:"
    written = gateway.sections.get("proxy") or []
    found = next((one for one in written if isinstance(one, dict) and one.get("name") == entry.site), None)
    if found is None:
        raise UsageError(f"{where} {gateway.name} has no site {entry.site} in its proxy: section")
    try:
        site = TypeAdapter(Site).validate_python(found)
    except ValidationError as error:
        raise UsageError(f"{where} {gateway.name}: {entry.site}: {inventory.message(error.errors()[0])}") from None
    listen = next((one for one in site.listen if ipaddress.ip_address(one).is_loopback), "")
    if not listen or site.encrypted:
        raise UsageError(
            f"{where} {entry.site} does not listen for plain http on loopback",
            why="The tunnel itself encrypts; clients use http://127.0.0.1:PORT, and nobody else may reach the site.",
            fix=f"in {gateway.name}'s proxy: section: listen: 127.0.0.1, tls: off",
        )
    address = pair(listen, site.http_port)
    named, _ = entry.resolved_forwards(address)[0].entrance
    if named not in site.domain:
        raise UsageError(
            f"{where} {entry.site} does not answer for http://{named}",
            why=f"Its domain: is {', '.join(site.domain)}, and clients request it by the address.",
            fix=f"add {named} to its domain:",
        )
    return address
